// AxisTerms: what the axes of a net's values and tensors are made of.
//
// An axis is a term: channels that a layer gives (a variable), a number that cannot change, terms
// one after another (what cat makes of its inputs), or a product of terms, the first of which
// varies slowest (what flatten makes of channels, height and width). Where a net demands that two
// axes are equal, as add does, their terms are unified:
//
//   const Term a = terms.Variable(8), b = terms.Variable(16), sum = terms.Variable(24);
//   terms.Unify(sum, terms.Joined({a, b}), "add");   // sum is a, then b.
//   AxisTerms::Sizes sizes = terms.sizes();
//   terms.Set(sum, 48, sizes);                       // a is 16, b is 32.
//   terms.Match(sum, terms.sizes(), sizes);          // 0 ... 7, 8 times -1, 8 ... 23, 16 times -1
//
// A variable that must be equal to what cannot change is fixed, with the reason.
#ifndef MASE_MODEL_AXIS_TERMS_H_
#define MASE_MODEL_AXIS_TERMS_H_

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace mase {

class AxisTerms {
 public:
  using Term = int;
  // By term, of which those of variables are read; 0 of those that are not known.
  using Sizes = std::vector<int64_t>;

  Term Number(int64_t size);
  Term Variable(int64_t size);
  Term Joined(std::vector<Term> parts);   // One part: that itself.
  Term Product(std::vector<Term> parts);  // The same; none: 1.

  // Makes both equal. `where` is the node that demands it. Terms that cannot be, as they are cut in
  // different ways, are fixed.
  void Unify(Term a, Term b, absl::string_view where);
  // Makes all variables of the term keep their sizes. The first reason stays.
  void Fix(Term term, absl::string_view reason);

  // Whether nothing of the term can change; why, "" for a number.
  bool is_fixed(Term term) const;
  std::string ReasonOf(Term term) const;
  // The parts of a product, else the term itself.
  std::vector<Term> Factors(Term term) const;

  // As the net is.
  const Sizes& sizes() const { return sizes_; }
  int64_t SizeOf(Term term) const { return SizeOf(term, sizes_); }
  int64_t SizeOf(Term term, const Sizes& sizes) const;

  // Gives the term so many channels: those of terms that are joined grow alike. InvalidArgument,
  // saying why, where it is fixed, where the number does not divide, and where a variable in it has
  // got another size than that of sizes() before.
  absl::Status Set(Term term, int64_t channels, Sizes& sizes) const;
  // Finds out which sizes of variables make the term so large, as far as one size is all that is
  // not known (0). Says nothing of contradictions.
  void Solve(Term term, int64_t channels, Sizes& sizes) const;

  // For each index of the axis under the sizes `to` that of the same channel under `from`, or -1.
  std::vector<int64_t> Match(Term term, const Sizes& from, const Sizes& to) const;

  // Whether a variable is in both.
  bool Share(Term a, Term b) const;
  // The node at which two terms became the same; "" if they only have parts in common.
  std::string MeetingOf(Term a, Term b) const;

 private:
  enum class Kind { kNumber, kVariable, kJoined, kProduct };
  struct Data {
    Kind kind = Kind::kNumber;
    std::vector<Term> parts;
    int64_t leaves = 1;  // Numbers and variables in it, when it was made.
    Term bound = -1;     // Of a variable: what it is.
    std::string where;   // The node that bound it.
    bool fixed = false;  // Of a variable, and why.
    std::string reason;
  };

  Term Add(Kind kind, int64_t size, std::vector<Term> parts = {});
  Term Compose(Kind kind, std::vector<Term> parts);
  std::set<Term> VariablesOf(Term term) const;
  Term Resolve(Term term) const;
  bool Occurs(Term variable, Term term) const;
  void Bind(Term variable, Term term, absl::string_view where);
  std::vector<std::pair<Term, std::string>> PathOf(Term term) const;

  std::vector<Data> terms_;
  Sizes sizes_;
};

}  // namespace mase

#endif  // MASE_MODEL_AXIS_TERMS_H_
