// LayerModel: what layers that are changed alone tell of all of them changed together.
//
//   MASE_ASSIGN_OR_RETURN(const LayerPlan plan, LayerPlan::Create(space));
//   plan.points();       // To be measured: trial 0, and each layer's other choices beside it.
//   const std::optional<LayerModel> model = LayerModel::Of(plan, measured, directions, 0);
//   MASE_ASSIGN_OR_RETURN(Allocation best, AllocateBits(model->layers, model->limit));
//   plan.PointOf(model->Choices(best.choices));
//
// A layer is what SearchParameter::group says: the keys of one node's format. Costs of a net (its
// bytes, BitOPs, EBOPs, bits on average) are sums over layers, so the model has them exactly;
// errors are not, and what the model says of those is a guess for measurements to judge.
#ifndef MASE_SAMPLER_LAYER_MODEL_H_
#define MASE_SAMPLER_LAYER_MODEL_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/sampler/allocator.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/trial.h"

namespace mase {

// Choices that one layer may have, all its parameters taken together.
inline constexpr int64_t kMostLayerChoices = 4096;

class LayerPlan {
 public:
  // Parameters that depend on another belong to the layer of that one, those without a group are
  // layers of their own. InvalidArgument, naming it: a layer with infinitely many choices, or with
  // more than kMostLayerChoices.
  static absl::StatusOr<LayerPlan> Create(const ParameterSpace& space);

  struct Layer {
    std::string name;
    std::vector<int> parameters;
    std::vector<Point> choices;  // Of these parameters. The first is that of the reference.
  };
  const std::vector<Layer>& layers() const { return layers_; }

  // The point with choice choices[i] of layer i.
  Point PointOf(absl::Span<const int> choices) const;

  // How many points single layers span: the reference, which has of each number the greatest and of
  // each list of words the first, and, layer by layer, its other choices.
  int64_t size() const;
  Point PointAt(int64_t index) const;

 private:
  std::vector<Layer> layers_;
  size_t dimensions_ = 0;
};

struct LayerModel {
  // `trial_at` gives the complete trial of a point, or null. `error` is the objective that is an
  // error. The cost is how far the trial's one constraint is exceeded or, without, the other
  // objective; nothing has a cost where there is none. Choices that were not measured are left out.
  // Unset: the reference was not measured, or its error or cost is no finite number.
  static std::optional<LayerModel> Of(const LayerPlan& plan,
                                      const std::function<const Trial*(const Point&)>& trial_at,
                                      absl::Span<const Direction> directions, size_t error);

  // Errors and costs less the reference's; of each layer the least cost is 0.
  std::vector<LayerChoices> layers;
  std::vector<std::vector<int>> measured;  // Of each layer's entries, the plan's choice.
  // What `layers` may cost: to keep the constraint, or at most. Below 0: not even the cheapest do.
  double limit = 0;
  double reference_error = 0;  // Of the reference.

  // The plan's choices for an allocation's.
  std::vector<int> Choices(absl::Span<const int> allocated) const;
};

// What the model of a study, whose sampler was the allocator or the greedy, says of its best
// trials: the error that the layers foretell, the one that was measured, the least that any
// allocation of that cost is foretold, and the gap between. No rows where there is no model.
// `error_name` is the objective's: "loss".
Table AllocationTable(const LayerPlan& plan, const TrialHistory& history,
                      absl::Span<const Trial* const> best, absl::Span<const Direction> directions,
                      size_t error, const std::string& error_name);

}  // namespace mase

#endif  // MASE_SAMPLER_LAYER_MODEL_H_
