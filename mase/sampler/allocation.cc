// Samplers that give bits to layers by what each layer's choices cost and lose alone: allocator,
// the optimum, and greedy, the way most tools go.
//
// First each choice of each layer is measured beside the reference (LayerPlan). Then the budgets
// are walked: first what the constraint allows, then halves, quarters, ... of what there is between
// that and the cheapest net, as van der Corput's sequence orders them, so that any number of trials
// is spread over the front.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "mase/base/status_macros.h"
#include "mase/sampler/allocator.h"
#include "mase/sampler/built_in.h"
#include "mase/sampler/layer_model.h"

namespace mase {
namespace {

constexpr int kMostBudgets = 1024;

using Solver = absl::StatusOr<Allocation> (*)(absl::Span<const LayerChoices> layers, double budget);

absl::StatusOr<Allocation> Exact(absl::Span<const LayerChoices> layers, double budget) {
  return AllocateBits(layers, budget);
}

// The bits of `index` behind the point, the last one first.
double VanDerCorput(uint32_t index) {
  double value = 0;
  for (double place = 0.5; index != 0; index >>= 1, place /= 2) value += place * (index & 1);
  return value;
}

class AllocationProposer final : public Proposer {
 public:
  AllocationProposer(const SamplerSpec& spec, LayerPlan plan, Solver solver)
      : spec_(spec), plan_(std::move(plan)), solver_(solver) {}

  Point Propose(int64_t, const TrialHistory& finished, absl::Span<const Trial> running,
                Draws& draws) override {
    Update(finished);
    absl::flat_hash_set<Point> busy;
    for (const Trial& trial : running) busy.insert(PointKey(trial.point));
    const auto is_new = [&](const Point& point) {
      const Point key = PointKey(point);
      return !tried_.contains(key) && !busy.contains(key);
    };
    for (int64_t i = measured_; i < plan_.size(); ++i) {
      Point point = plan_.PointAt(i);
      if (is_new(point)) return point;
    }
    for (size_t i = 0; i < allocations_.size() || Allocate(); ++i) {
      if (is_new(allocations_[i])) return allocations_[i];
    }
    // Around an optimum; without a model anywhere.
    if (allocations_.empty()) return RandomPoint(spec_.space, draws);
    return allocations_[draws.Index(allocations_.size())];
  }

 private:
  void Update(const TrialHistory& history) {
    if (history.id() != history_) {
      history_ = history.id();
      arrivals_ = 0;
      measured_ = 0;
      tried_.clear();
    }
    if (arrivals_ == history.arrivals().size()) return;
    bool changed = false;
    for (; arrivals_ < history.arrivals().size(); ++arrivals_) {
      const Trial& trial = history.arrivals()[arrivals_];
      if (trial.point.empty()) continue;
      const auto [known, is_new] = tried_.try_emplace(PointKey(trial.point), &trial);
      // One that died with its worker comes again.
      changed |= !is_new && trial.state == TrialState::kComplete;
      if (trial.state == TrialState::kComplete) known->second = &trial;
    }
    if (measured_ == plan_.size() && !changed) return;  // What single layers tell is known.
    while (measured_ < plan_.size() && tried_.contains(PointKey(plan_.PointAt(measured_)))) {
      ++measured_;
    }
    model_.reset();
    allocations_.clear();
    budgets_ = 0;
  }

  // The next allocation that is none of allocations_; false where there is none.
  bool Allocate() {
    if (!model_.has_value() && budgets_ == 0) {
      model_ = LayerModel::Of(
          plan_,
          [this](const Point& point) -> const Trial* {
            const auto found = tried_.find(PointKey(point));
            const bool known =
                found != tried_.end() && found->second->state == TrialState::kComplete;
            return known ? found->second : nullptr;
          },
          spec_.directions, spec_.error);
    }
    while (model_.has_value() && budgets_ < kMostBudgets) {
      const double share = budgets_ == 0 ? 1 : VanDerCorput(static_cast<uint32_t>(budgets_));
      ++budgets_;
      const auto allocation = solver_(model_->layers, share * std::max(0.0, model_->limit));
      if (!allocation.ok()) continue;
      Point point = plan_.PointOf(model_->Choices(allocation->choices));
      const bool known = absl::c_any_of(allocations_, [&point](const Point& other) {
        return PointKey(other) == PointKey(point);
      });
      if (known) continue;
      allocations_.push_back(std::move(point));
      return true;
    }
    return false;
  }

  const SamplerSpec spec_;
  const LayerPlan plan_;
  const Solver solver_;
  uint64_t history_ = 0;
  size_t arrivals_ = 0;
  int64_t measured_ = 0;  // Points of the plan before this are finished.
  absl::flat_hash_map<Point, const Trial*> tried_;
  std::optional<LayerModel> model_;
  std::vector<Point> allocations_;
  int budgets_ = 0;  // That allocations_ are of.
};

}  // namespace

absl::StatusOr<std::unique_ptr<Proposer>> MakeAllocator(const SamplerSpec& spec) {
  MASE_ASSIGN_OR_RETURN(LayerPlan plan, LayerPlan::Create(spec.space));
  return std::make_unique<AllocationProposer>(spec, std::move(plan), Exact);
}

absl::StatusOr<std::unique_ptr<Proposer>> MakeGreedy(const SamplerSpec& spec) {
  MASE_ASSIGN_OR_RETURN(LayerPlan plan, LayerPlan::Create(spec.space));
  return std::make_unique<AllocationProposer>(spec, std::move(plan), GreedyAllocation);
}

}  // namespace mase
