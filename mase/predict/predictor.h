// Predictor: a trained net as a function from rows to results, for programs that use it.
//
//   MASE_ASSIGN_OR_RETURN(auto predictor, Predictor::Load("best.safetensors"));
//   std::vector<float> in(rows * predictor->inputs()), out(rows * predictor->outputs());
//   MASE_RETURN_IF_ERROR(predictor->Predict(in, absl::MakeSpan(out)));
//
// A row is one sample as its data file has it: numbers in the order of feature_names(), which the
// checkpoint's recipe then scales as the training did (data/recipe.h). Results are what the net
// gives, for a classifier a number for each of class_names(), of which the largest is the guess.
//
// One predictor serves any number of threads. Each has memory of its own, made at its first call;
// rows run in batches of a few sizes, so that after the first call of a size a thread allocates
// nothing for any call of as many rows; but oneDNN's float convolutions, products of two tensors on
// codes and block formats take small pieces for the time of a call. Thousands of rows of a small
// net are spread over OpenMP's threads (OMP_NUM_THREADS). Results do not depend on threads or on
// other rows; those of float convolutions depend on how many rows there are, in the last bits, as
// one image and many take other kernels.
//
// This room depends on what runs a net and on what reads a file, and on nothing that trains one.
#ifndef MASE_PREDICT_PREDICTOR_H_
#define MASE_PREDICT_PREDICTOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/data/recipe.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"

namespace mase {

struct PredictorOptions {
  // How nodes with a quantization record are computed. What cannot run on integers is simulated.
  Execution execution = Execution::kInteger;
  // Scales inputs as the checkpoint's recipe says. Without, they are what the net itself reads.
  bool apply_recipe = true;
};

class Predictor {
 public:
  // Reads a checkpoint of a run (best.safetensors, transformed.safetensors, ...).
  //
  // Errors of ReadSafeTensors and ReadSavedNet (model/saved_net.h); InvalidArgument for a file that
  // holds no graph, and those of Create.
  static absl::StatusOr<std::unique_ptr<Predictor>> Load(absl::string_view path,
                                                         const PredictorOptions& options = {});

  // The same from parts. `recipe` may be null.
  //
  // InvalidArgument: the graph has not one input and one result, both float32 with rows as their
  // first axis; the recipe is one of other samples. Else errors of Executor::Create, and of running
  // one row: a net that cannot run is found here.
  static absl::StatusOr<std::unique_ptr<Predictor>> Create(const Graph& graph,
                                                           const DataRecipe* recipe,
                                                           const PredictorOptions& options = {});
  ~Predictor();
  Predictor(const Predictor&) = delete;
  Predictor& operator=(const Predictor&) = delete;

  // Numbers of a row.
  int64_t inputs() const { return inputs_; }
  int64_t outputs() const { return outputs_; }

  // The columns that a row's numbers are, and the classes of its results, by position. Empty where
  // the checkpoint does not know (images have no columns).
  const std::vector<std::string>& feature_names() const { return feature_names_; }
  const std::vector<std::string>& class_names() const { return class_names_; }

  // Writes the results of the rows in `in` to `out`, row-major; the spans may not overlap. As many
  // rows as `in` has, also none.
  //
  // InvalidArgument, naming both numbers: `in` is no whole number of rows, or `out` has not as
  // many. OutOfRange: a NaN where a format has no code for it, naming its row and its place in it,
  // from 0. `out` is then unspecified.
  absl::Status Predict(absl::Span<const float> in, absl::Span<float> out) const;

 private:
  class Workers;
  struct Worker;

  Predictor() = default;
  // The rows after the recipe, in the worker's memory.
  const float* Scaled(Worker& worker, const float* in, int64_t rows) const;
  // Those from `row` to before `end`.
  absl::Status RunBatches(Worker& worker, const float* in, int64_t row, int64_t end,
                          float* out) const;
  // Two batches and more.
  absl::Status RunManyRows(Worker& worker, const float* in, int64_t rows, float* out) const;

  int64_t inputs_ = 0, outputs_ = 0;
  std::vector<std::string> feature_names_, class_names_;
  std::vector<double> mean_, scale_;  // Of the recipe's scaler; empty: none.
  std::shared_ptr<Workers> workers_;
  uint64_t id_ = 0;  // Another one for every predictor of the process.
};

}  // namespace mase

#endif  // MASE_PREDICT_PREDICTOR_H_
