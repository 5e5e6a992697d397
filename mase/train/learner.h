// Learner: a net, its optimizer and the loss, as a trainer sees them: batch in, figures out.
//
//   MASE_ASSIGN_OR_RETURN(auto learner, Learner::Create(graph, options));
//   learner->AddBatch(data, rows, /*share=*/1);   // gradients
//   learner->Step(rate);
//   learner->Evaluate(validation, batch_size, go_on);
//
// Hides in which precision all that happens.
#ifndef MASE_TRAIN_LEARNER_H_
#define MASE_TRAIN_LEARNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/data/augmentation.h"
#include "mase/data/dataset.h"
#include "mase/exec/evaluation.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"
#include "mase/interop/safetensors.h"
#include "mase/train/optimizer.h"

namespace mase {

// The arithmetic of training, and of the evaluations within it.
enum class Precision {
  kFloat32,
  kFloat64,   // Parameters, states and arithmetic, for checking.
  kBfloat16,  // Parameters and states of float32, ExecutorOptions::bfloat16.
};

// As in --trainer_precision: "32", "64", "bf16".
absl::string_view PrecisionName(Precision precision);

struct LearnerOptions {
  OptimizerKind optimizer = OptimizerKind::kAdam;
  double weight_decay = 0;
  Precision precision = Precision::kFloat32;
  uint64_t seed = 0;                              // Of dropout and augmentation.
  std::optional<ImageAugmentation> augmentation;  // Applied to each training batch.
  Loss loss = kSoftmaxCrossEntropy;
  double ebops_weight = 0;  // width_penalty.h
};

class Learner {
 public:
  // The net starts from the graph's tensors and shares nothing with it. Errors of
  // Executor::Create and WidthPenalty::Create.
  static absl::StatusOr<std::unique_ptr<Learner>> Create(const Graph& graph,
                                                         const LearnerOptions& options);
  virtual ~Learner() = default;

  // Runs the picked rows in training mode and adds `share` times the gradient of their mean loss
  // to what the next Step uses. The figures are those before that step.
  virtual absl::StatusOr<LossFigures> AddBatch(const SplitData& data,
                                               absl::Span<const int64_t> rows, double share) = 0;

  // What learned widths add to the loss: ebops_weight times the EBOPs of a row.
  virtual double WidthPenalty() const = 0;

  // One step of the optimizer with the gradients added since the last, and those of WidthPenalty.
  virtual void Step(double rate) = 0;

  // Loss and accuracy in inference mode. `go_on` is called after each batch with the rows done
  // before it; Cancelled if it returns false.
  virtual absl::StatusOr<Evaluation> Evaluate(const SplitData& data, int64_t batch_size,
                                              const std::function<bool(int64_t)>& go_on) = 0;

  // Writes parameters and buffers into the graph's tensors.
  virtual absl::Status StoreTo(Graph& graph) const = 0;

  // All that a learner made from the stored graph needs to go on bit for bit, as tensors named
  // "optimizer.exp_avg.seq_blocks.2.weight" and the like. Only between steps.
  virtual std::vector<NamedTensor> ExportState() const = 0;

  // DataLoss naming the tensor if one is missing or of another shape or type.
  virtual absl::Status ImportState(const SafeTensors& file) = 0;
};

}  // namespace mase

#endif  // MASE_TRAIN_LEARNER_H_
