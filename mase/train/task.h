// Task: what a net is trained for: the labels that it learns and the loss that says how well.
//
//   MASE_RETURN_IF_ERROR(kClassification.check(graph, dataset));
//   Learner::Create(graph, {.loss = kClassification.loss});
//
// A task of another kind (regression, the next token) is one more constant here, with its loss in
// kernel/loss.h; the trainer knows none by name.
#ifndef MASE_TRAIN_TASK_H_
#define MASE_TRAIN_TASK_H_

#include "absl/status/status.h"
#include "mase/data/dataset.h"
#include "mase/graph/graph.h"
#include "mase/kernel/loss.h"

namespace mase {

struct Task {
  Loss loss;
  // InvalidArgument, naming model and data set, where the net's results are not what the loss
  // takes, or do not suffice for the data set's labels.
  absl::Status (*check)(const Graph& graph, const Dataset& dataset);
};

// Labels are classes; the net's one result are their scores, [rows, classes].
absl::Status CheckClassifier(const Graph& graph, const Dataset& dataset);
inline constexpr Task kClassification = {kSoftmaxCrossEntropy, CheckClassifier};

}  // namespace mase

#endif  // MASE_TRAIN_TASK_H_
