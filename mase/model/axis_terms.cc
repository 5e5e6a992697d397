#include "mase/model/axis_terms.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

// Nets that join a value with itself again and again have no end of them.
constexpr int64_t kMostLeaves = 10'000;

constexpr char kNumbersReason[] = "no layer gives them: they are as many as the net reads";

}  // namespace

AxisTerms::Term AxisTerms::Add(Kind kind, int64_t size, std::vector<Term> parts) {
  terms_.push_back({.kind = kind, .parts = std::move(parts)});
  sizes_.push_back(size);
  return static_cast<Term>(terms_.size()) - 1;
}

AxisTerms::Term AxisTerms::Number(int64_t size) { return Add(Kind::kNumber, size); }
AxisTerms::Term AxisTerms::Variable(int64_t size) { return Add(Kind::kVariable, size); }
AxisTerms::Term AxisTerms::Joined(std::vector<Term> parts) {
  return Compose(Kind::kJoined, std::move(parts));
}
AxisTerms::Term AxisTerms::Product(std::vector<Term> parts) {
  return Compose(Kind::kProduct, std::move(parts));
}

AxisTerms::Term AxisTerms::Compose(Kind kind, std::vector<Term> parts) {
  if (parts.size() == 1) return parts[0];
  int64_t size = kind == Kind::kProduct ? 1 : 0, leaves = 0;
  bool numbers = true;
  for (const Term part : parts) {
    const Data& data = terms_[Resolve(part)];
    size = kind == Kind::kProduct ? size * SizeOf(part) : size + SizeOf(part);
    leaves += data.leaves;
    numbers = numbers && data.kind == Kind::kNumber;
  }
  if (numbers) return Number(size);
  if (leaves > kMostLeaves) {
    for (const Term part : parts) Fix(part, "they are joined with too many others");
    return Number(size);
  }
  const Term term = Add(kind, size, std::move(parts));
  terms_[term].leaves = leaves;
  return term;
}

AxisTerms::Term AxisTerms::Resolve(Term term) const {
  while (terms_[term].bound >= 0) term = terms_[term].bound;
  return term;
}

bool AxisTerms::Occurs(Term variable, Term term) const {
  term = Resolve(term);
  return term == variable ||
         absl::c_any_of(terms_[term].parts, [&](Term part) { return Occurs(variable, part); });
}

void AxisTerms::Bind(Term variable, Term term, absl::string_view where) {
  terms_[variable].bound = term;
  terms_[variable].where = std::string(where);
}

void AxisTerms::Unify(Term a, Term b, absl::string_view where) {
  a = Resolve(a), b = Resolve(b);
  if (a == b) return;
  if (is_fixed(a) || is_fixed(b)) {
    const Term fixed = is_fixed(a) ? a : b;
    const std::string reason = ReasonOf(fixed);
    Fix(fixed == a ? b : a, !reason.empty() ? reason
                                            : absl::StrCat("'", where, "' reads them beside ",
                                                           SizeOf(fixed), " that cannot change"));
    return;
  }
  if (terms_[b].kind == Kind::kVariable) std::swap(a, b);
  const Data &left = terms_[a], &right = terms_[b];
  if (left.kind == Kind::kVariable && !Occurs(a, b)) return Bind(a, b, where);
  const bool alike = left.kind == right.kind && left.parts.size() == right.parts.size() &&
                     std::equal(left.parts.begin(), left.parts.end(), right.parts.begin(),
                                [this](Term x, Term y) { return SizeOf(x) == SizeOf(y); });
  if (alike) {
    const std::vector<Term> parts = left.parts, others = right.parts;
    for (size_t i = 0; i < parts.size(); ++i) Unify(parts[i], others[i], where);
    return;
  }
  for (const Term term : {a, b}) {
    Fix(term, absl::StrCat("'", where, "' reads them beside channels that are cut otherwise"));
  }
}

void AxisTerms::Fix(Term term, absl::string_view reason) {
  term = Resolve(term);
  Data& data = terms_[term];
  if (data.kind == Kind::kVariable && !data.fixed) {
    data.fixed = true;
    data.reason = std::string(reason);
  }
  const std::vector<Term> parts = data.parts;
  for (const Term part : parts) Fix(part, reason);
}

bool AxisTerms::is_fixed(Term term) const {
  const Data& data = terms_[Resolve(term)];
  if (data.kind == Kind::kVariable) return data.fixed;
  return absl::c_all_of(data.parts, [this](Term part) { return is_fixed(part); });
}

std::string AxisTerms::ReasonOf(Term term) const {
  const Data& data = terms_[Resolve(term)];
  if (data.kind == Kind::kVariable) return data.reason;
  for (const Term part : data.parts) {
    if (std::string reason = ReasonOf(part); !reason.empty()) return reason;
  }
  return "";
}

std::vector<AxisTerms::Term> AxisTerms::Factors(Term term) const {
  term = Resolve(term);
  if (terms_[term].kind != Kind::kProduct) return {term};
  std::vector<Term> factors;
  for (const Term part : terms_[term].parts) {
    for (const Term factor : Factors(part)) factors.push_back(factor);
  }
  return factors;
}

int64_t AxisTerms::SizeOf(Term term, const Sizes& sizes) const {
  term = Resolve(term);
  const Data& data = terms_[term];
  if (data.kind == Kind::kNumber || &sizes == &sizes_) return sizes_[term];
  if (data.kind == Kind::kVariable) return sizes[term];
  int64_t size = data.kind == Kind::kProduct ? 1 : 0;
  for (const Term part : data.parts) {
    const int64_t next = SizeOf(part, sizes);
    size = data.kind == Kind::kProduct ? size * next : size + next;
  }
  return size;
}

absl::Status AxisTerms::Set(Term term, int64_t channels, Sizes& sizes) const {
  term = Resolve(term);
  const Data& data = terms_[term];
  if (channels == SizeOf(term, sizes)) return absl::OkStatus();
  if (is_fixed(term)) {
    const std::string reason = ReasonOf(term);
    return absl::InvalidArgumentError(reason.empty() ? kNumbersReason : reason);
  }
  if (data.kind == Kind::kVariable) {
    if (sizes[term] != sizes_[term]) {
      return absl::InvalidArgumentError(absl::StrCat("they are to be ", sizes[term], ", too"));
    }
    sizes[term] = channels;
    return absl::OkStatus();
  }
  // What of it is to change, and by how much all of that together.
  int64_t fixed = data.kind == Kind::kProduct ? 1 : 0, changing = fixed;
  std::vector<Term> parts;
  for (const Term part : data.parts) {
    int64_t& all = is_fixed(part) ? fixed : changing;
    all = data.kind == Kind::kProduct ? all * SizeOf(part) : all + SizeOf(part);
    if (!is_fixed(part)) parts.push_back(part);
  }
  if (data.kind == Kind::kProduct) {
    if (parts.size() > 1) {
      return absl::InvalidArgumentError("they are a product of channels of several layers");
    }
    if (channels % fixed == 0) return Set(parts[0], channels / fixed, sizes);
    return absl::InvalidArgumentError(absl::StrCat("they come in groups, of which there are ",
                                                   fixed, ": want a multiple of that"));
  }
  const int64_t rest = channels - fixed;
  for (const Term part : parts) {
    if (rest < 1 || rest * SizeOf(part) % changing != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          fixed, " that cannot change and ", changing,
          " of several layers are joined in them, which cannot grow alike to that many"));
    }
    MASE_RETURN_IF_ERROR(Set(part, rest * SizeOf(part) / changing, sizes));
  }
  return absl::OkStatus();
}

void AxisTerms::Solve(Term term, int64_t channels, Sizes& sizes) const {
  term = Resolve(term);
  const Data& data = terms_[term];
  if (data.kind == Kind::kVariable && sizes[term] == 0) sizes[term] = channels;
  std::vector<Term> unknown;
  int64_t known = data.kind == Kind::kProduct ? 1 : 0;
  for (const Term part : data.parts) {
    const std::set<Term> variables = VariablesOf(part);
    if (absl::c_any_of(variables, [&sizes](Term variable) { return sizes[variable] == 0; })) {
      unknown.push_back(part);
      continue;
    }
    const int64_t size = SizeOf(part, sizes);
    known = data.kind == Kind::kProduct ? known * size : known + size;
  }
  if (unknown.size() != 1) return;
  const int64_t rest = data.kind == Kind::kJoined ? channels - known
                       : channels % known == 0    ? channels / known
                                                  : 0;
  if (rest > 0) Solve(unknown[0], rest, sizes);
}

std::vector<int64_t> AxisTerms::Match(Term term, const Sizes& from, const Sizes& to) const {
  term = Resolve(term);
  const Data& data = terms_[term];
  std::vector<int64_t> match;
  if (data.kind == Kind::kNumber || data.kind == Kind::kVariable) {
    const int64_t size = SizeOf(term, to), old = SizeOf(term, from);
    for (int64_t i = 0; i < size; ++i) match.push_back(i < old ? i : -1);
    return match;
  }
  if (data.kind == Kind::kProduct) match.push_back(0);
  int64_t before = 0;
  for (const Term part : data.parts) {
    const std::vector<int64_t> inner = Match(part, from, to);
    const int64_t size = SizeOf(part, from);
    if (data.kind == Kind::kJoined) {
      for (const int64_t i : inner) match.push_back(i < 0 ? -1 : before + i);
      before += size;
      continue;
    }
    std::vector<int64_t> outer;
    std::swap(outer, match);
    for (const int64_t o : outer) {
      for (const int64_t i : inner) match.push_back(o < 0 || i < 0 ? -1 : o * size + i);
    }
  }
  return match;
}

std::set<AxisTerms::Term> AxisTerms::VariablesOf(Term term) const {
  term = Resolve(term);
  if (terms_[term].kind == Kind::kVariable) return {term};
  std::set<Term> variables;
  for (const Term part : terms_[term].parts) variables.merge(VariablesOf(part));
  return variables;
}

bool AxisTerms::Share(Term a, Term b) const {
  const std::set<Term> in_a = VariablesOf(a), in_b = VariablesOf(b);
  return absl::c_any_of(in_a, [&in_b](Term variable) { return in_b.contains(variable); });
}

std::vector<std::pair<AxisTerms::Term, std::string>> AxisTerms::PathOf(Term term) const {
  std::vector<std::pair<Term, std::string>> path = {{term, ""}};
  for (; terms_[term].bound >= 0; term = terms_[term].bound) {
    path.push_back({terms_[term].bound, terms_[term].where});
  }
  return path;
}

std::string AxisTerms::MeetingOf(Term a, Term b) const {
  const auto path = PathOf(a);
  for (const auto& [term, where] : PathOf(b)) {
    for (const auto& [other, earlier] : path) {
      if (other == term) return where.empty() ? earlier : where;
    }
  }
  return "";
}

}  // namespace mase
