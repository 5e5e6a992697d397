#include "mase/data/batch_sampler.h"

#include <numeric>

#include "glog/logging.h"
#include "mase/base/limits.h"

namespace mase {

BatchSampler::BatchSampler(int64_t rows, int64_t batch_size, bool shuffle)
    : rows_(rows), batch_size_(batch_size), shuffle_(shuffle), order_(rows) {
  CHECK_GT(rows, 0);
  CHECK_LE(rows, limits::kMaxDataRows);
  CHECK_GT(batch_size, 0);
  std::iota(order_.begin(), order_.end(), 0);
}

void BatchSampler::StartPass(TorchGenerator& generator) {
  generator.Int63();
  if (shuffle_) ResumePass(generator.Int63());
}

void BatchSampler::ResumePass(int64_t pass_seed) {
  if (!shuffle_) return;
  pass_seed_ = pass_seed;
  TorchGenerator(pass_seed).Permute(absl::MakeSpan(order_));
}

}  // namespace mase
