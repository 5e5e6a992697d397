// What DenseNet knows of its chain before it sees rows: stages, segments and the memory they need.
#ifndef MASE_KERNEL_DENSE_DENSE_PLAN_H_
#define MASE_KERNEL_DENSE_DENSE_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/kernel/dense/dense.h"

namespace mase {

// A run "linear? batch norm? ReLU? dropout?" of layers, worked on as one. Matrices of a stage are
// named by the number of features that lie before them in a chunk's memory.
struct DenseStage {
  int linear = -1;  // Index of the layer, or -1.
  int norm = -1;
  bool relu = false;
  int dropout = -1;  // Index of the layer, or -1.
  int64_t in = 0;
  int64_t out = 0;

  int64_t src = 0;       // The stage's input: the result of the one before.
  int64_t norm_src = 0;  // What the norm normalizes: the linear layer's result, or `src`.
  int64_t dst = 0;       // The stage's result.
  int64_t factor = 0;    // Dropout's factors.
  int64_t diff_src = 0;  // Gradients of src and dst. The same without a linear layer.
  int64_t diff_dst = 0;
  bool cheap = false;   // dst is one normalization away from norm_src, and only the next linear
                        // layer reads it.
  bool masked = false;  // The stage above applies this one's ReLU mask to diff_dst.

  int64_t weight_gradient = 0;  // In a chunk's partial gradients.
  int64_t bias_gradient = 0;
  int64_t statistics = 0;  // The norm's place among the features of all norms.
};

// Rows are cut into chunks, which depend on their number alone.
struct DenseChunks {
  // Enough work to hide the sums at the end of each, small enough to stay in the L2 cache.
  static constexpr int64_t kRows = 512;
  // Bounds the memory for partial gradients.
  static constexpr int64_t kMaxCount = 32;

  explicit DenseChunks(int64_t rows);

  int64_t first(int64_t chunk) const { return chunk * chunk_rows; }
  int64_t size(int64_t chunk) const;
  // At least count * ld of these and of any fewer rows.
  int64_t MaxPaddedRows() const;

  int64_t rows = 0;
  int64_t count = 0;
  int64_t chunk_rows = 0;  // Of all but the last one; a multiple of 16.
  int64_t ld = 0;          // An odd multiple of 16, so that features spread over all cache sets.
};

class DenseNet::Plan {
 public:
  static absl::StatusOr<std::shared_ptr<const Plan>> Create(absl::Span<const DenseLayer> layers,
                                                            const DenseOptions& options);

  bool bfloat16() const { return options_.bfloat16; }
  const DenseLayer& layer(int i) const { return layers_[i]; }
  const std::vector<DenseStage>& stages() const { return stages_; }
  // Stages with a batch norm, at whose statistics all chunks meet.
  const std::vector<int>& norms() const { return norms_; }

  int64_t in() const { return stages_.front().in; }
  int64_t out() const { return stages_.back().out; }
  int64_t chunk_features() const { return chunk_features_; }  // Of all matrices of a chunk.
  int64_t partial_gradients() const { return partial_gradients_; }
  int64_t statistics() const { return statistics_; }
  // Of rounded weights, which lie as their gradients do.
  int64_t rounded_weights() const { return bfloat16() ? partial_gradients_ : 0; }

 private:
  absl::Status Check() const;
  void MakeStages();
  void PlaceMatrices();

  std::vector<DenseLayer> layers_;
  DenseOptions options_;
  std::vector<DenseStage> stages_;
  std::vector<int> norms_;
  int64_t max_features_ = 0;
  int64_t chunk_features_ = 0;
  int64_t partial_gradients_ = 0;
  int64_t statistics_ = 0;
};

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_DENSE_PLAN_H_
