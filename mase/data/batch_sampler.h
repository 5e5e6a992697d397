// The order in which a training or evaluation pass visits the rows of a split, drawn from the
// run's generator exactly as torch.utils.data.DataLoader draws it, so that a plain PyTorch loop
// over the same data sees the same batches.
#ifndef MASE_DATA_BATCH_SAMPLER_H_
#define MASE_DATA_BATCH_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "mase/base/random.h"

namespace mase {

class BatchSampler {
 public:
  // Batches of `batch_size` rows out of 0..rows-1; the last one of a pass may be shorter. Requires
  // 0 < rows <= kMaxDataRows and batch_size > 0.
  BatchSampler(int64_t rows, int64_t batch_size, bool shuffle);

  // Begins the next pass. Draws one 64-bit number that goes unused here (PyTorch's workers get
  // it) and, when shuffling, a second one that seeds the order. Without shuffling rows come in
  // order.
  void StartPass(TorchGenerator& generator);

  // Begins again a pass whose seed is known, drawing nothing: how a run resumes in mid-pass.
  void ResumePass(int64_t pass_seed);
  int64_t pass_seed() const { return pass_seed_; }  // Of the pass begun last; 0 unless shuffling.

  int64_t batches() const { return (rows_ + batch_size_ - 1) / batch_size_; }

  // The rows of batch 0..batches()-1 of this pass. Valid until the next call.
  absl::Span<const int64_t> Batch(int64_t batch) {
    const auto picked = absl::MakeConstSpan(order_).subspan(batch * batch_size_, batch_size_);
    batch_.assign(picked.begin(), picked.end());
    return batch_;
  }

  // True if Batch(i) is always the consecutive rows from i * batch_size, so that they need not be
  // gathered.
  bool consecutive() const { return !shuffle_; }

 private:
  int64_t rows_;
  int64_t batch_size_;
  bool shuffle_;
  int64_t pass_seed_ = 0;
  std::vector<uint32_t> order_;  // Half as long in the cache, where it is shuffled.
  std::vector<int64_t> batch_;
};

}  // namespace mase

#endif  // MASE_DATA_BATCH_SAMPLER_H_
