#include "mase/sampler/distinct.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "mase/base/call_foreign.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr int kChanges = 64;  // Attempts near a proposal.
// A larger space is never full of tried points, nor walked.
constexpr uint64_t kWalkable = uint64_t{1} << 24;

class DistinctSampler final : public Sampler {
 public:
  DistinctSampler(const SamplerDefinition& definition, SamplerSpec spec,
                  std::unique_ptr<Proposer> proposer)
      : name_(definition.name),
        spec_(std::move(spec)),
        proposer_(std::move(proposer)),
        orderly_(definition.exhaustive) {}

  absl::StatusOr<Point> Sample(int64_t number, const TrialHistory& finished,
                               absl::Span<const Trial> running) override {
    Update(finished);
    absl::flat_hash_set<Point> busy;
    for (const Trial& trial : running) {
      if (trial.point.empty()) continue;
      Point key = PointKey(trial.point);
      if (!tried_.contains(key)) busy.insert(std::move(key));
    }
    const absl::optional<uint64_t> size = spec_.space.size();
    if (size.has_value() && tried_.size() + busy.size() >= *size) {
      return absl::OutOfRangeError(absl::StrCat("all ", *size,
                                                " points of the search space are tried",
                                                busy.empty() ? "" : " or being tried"));
    }
    const auto is_new = [&](const Point& point) {
      const Point key = PointKey(point);
      return !tried_.contains(key) && !busy.contains(key);
    };
    Draws draws(spec_.seed, number);
    MASE_ASSIGN_OR_RETURN(
        const Point proposed,
        CallForeign(absl::StrCat("sampler ", name_), [&]() -> absl::StatusOr<Point> {
          return proposer_->Propose(number, finished, running, draws);
        }));
    if (const absl::Status status = spec_.space.Check(proposed); !status.ok()) {
      return absl::InternalError(absl::StrCat("sampler ", name_, " proposes for trial ", number,
                                              " what is no point: ", status.message()));
    }
    if (is_new(proposed)) return proposed;
    for (int i = 0; !orderly_ && i < kChanges; ++i) {
      const Point point = Changed(proposed, 1 + i / 16, draws);
      if (is_new(point)) return point;
    }
    if (!size.has_value() || *size > kWalkable) return RandomPoint(spec_.space, draws);
    uint64_t at = orderly_ ? 0 : draws.Index(*size);
    while (!is_new(spec_.space.PointAt(at))) at = (at + 1) % *size;
    return spec_.space.PointAt(at);
  }

 private:
  void Update(const TrialHistory& history) {
    if (history.id() != history_) {
      history_ = history.id();
      arrivals_ = 0;
      tried_.clear();
    }
    for (; arrivals_ < history.arrivals().size(); ++arrivals_) {
      const Trial& trial = history.arrivals()[arrivals_];
      if (!trial.point.empty()) tried_.insert(PointKey(trial.point));
    }
  }

  // `count` parameters drawn anew, and those that thereby become active.
  Point Changed(const Point& from, int count, Draws& draws) const {
    Point wanted = from;
    for (int i = 0; i < count; ++i) wanted[draws.Index(wanted.size())] = kInactive;
    Point point(from.size(), kInactive);
    for (size_t i = 0; i < point.size(); ++i) {
      if (!spec_.space.IsActive(i, point)) continue;
      point[i] = std::isnan(wanted[i]) ? AtUnit(spec_.space[i], draws.Unit()) : wanted[i];
    }
    return point;
  }

  const std::string name_;
  const SamplerSpec spec_;
  const std::unique_ptr<Proposer> proposer_;
  const bool orderly_;
  uint64_t history_ = 0;
  size_t arrivals_ = 0;
  absl::flat_hash_set<Point> tried_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Sampler>> MakeDistinctSampler(const SamplerDefinition& definition,
                                                             SamplerSpec spec) {
  using Made = std::unique_ptr<Proposer>;
  MASE_ASSIGN_OR_RETURN(
      Made proposer,
      CallForeign(absl::StrCat("sampler ", definition.name), [&]() -> absl::StatusOr<Made> {
        absl::StatusOr<Made> made = definition.create(spec);
        if (made.ok()) return made;
        return absl::InvalidArgumentError(
            absl::StrCat("sampler ", definition.name, " ", made.status().message()));
      }));
  if (proposer == nullptr) {
    return absl::InternalError(absl::StrCat("sampler ", definition.name, " is made of nothing"));
  }
  return std::make_unique<DistinctSampler>(definition, std::move(spec), std::move(proposer));
}

}  // namespace mase
