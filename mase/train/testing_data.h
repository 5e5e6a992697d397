// Data and short cuts for tests of training. Test only.
#ifndef MASE_TRAIN_TESTING_DATA_H_
#define MASE_TRAIN_TESTING_DATA_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/base/random.h"
#include "mase/data/dataset.h"
#include "mase/graph/graph.h"
#include "mase/train/trainer.h"

namespace mase {

// 16 features, 5 classes: uniform points in [-2, 2)^16, labelled by the largest of five fixed
// linear functions. NumPy: X = R(s).rand(n, 16) * 4 - 2, argmax(X (R(7).rand(16, 5) - 0.5)), with
// s = 0 for the training split, 1 for validation, 2 for test, and R = numpy.random.RandomState.
Dataset LinearJets(int64_t train_rows = 4100, int64_t validation_rows = 1000);

// A net with PyTorch's initial weights of seed 0, and the generator that building it left.
struct FreshModel {
  Graph graph;
  TorchGenerator generator{0};
};
FreshModel BuildFresh(absl::string_view model, const Dataset& dataset);

// Gives operands of all nodes of `op` the number format (its text proto).
void QuantizeNodes(absl::string_view op, absl::string_view format, Graph& graph,
                   const std::vector<std::string>& operands = {"data_in", "weight", "bias"});

// An empty folder of the running test.
std::string EmptyTestFolder(absl::string_view name);

// Options with these settings, a text proto: OptionsWith("batch_size: 64 max_epochs: 3").
TrainerOptions OptionsWith(const std::string& settings);

// Makes a trainer and runs it in an existing folder.
TrainingResult Train(absl::string_view model, const Dataset& dataset, const TrainerOptions& options,
                     const std::string& folder);

// The values of one tag in a folder's metrics.jsonl, in order.
std::vector<double> LoggedValues(const std::string& folder, absl::string_view tag);

}  // namespace mase

#endif  // MASE_TRAIN_TESTING_DATA_H_
