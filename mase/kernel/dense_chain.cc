#include "mase/kernel/dense_chain.h"

#include "mase/graph/ops.h"
#include "mase/kernel/dense_kernels.h"
#include "mase/kernel/gemm.h"
#include "mase/kernel/kernels.h"

namespace mase {

bool IsDenseLayer(absl::string_view op, const Attributes& attributes, bool training) {
  if (op == ops::kRelu) return true;
  if (op == ops::kDropout) return training;
  if (op == ops::kBatchNorm1d) return attributes.Bool("track_running_stats");
  return op == ops::kLinear && (training || PrefersRowMajorB<float>(attributes.Int("out_features"),
                                                                    attributes.Int("in_features")));
}

std::vector<KernelEntry> DenseChainKernels() {
  return {{kDenseChain, DType::kFloat32, MakeDenseInference}};
}

}  // namespace mase
