#include "mase/kernel/kernel.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

template <typename T>
using Table = absl::flat_hash_map<absl::string_view, KernelEntry<T>>;

template <typename T>
const Table<T>& AllKernels() {
  static const Table<T>& table = *[] {
    auto* table = new Table<T>;
    for (const auto part : {UnaryKernels<T>, BinaryKernels<T>, LinearKernels<T>, ConvKernels<T>,
                            ConvTransposeKernels<T>, PoolKernels<T>, BatchNormKernels<T>,
                            NormKernels<T>, SoftmaxKernels<T>, MoveKernels<T>}) {
      for (const KernelEntry<T>& entry : part()) table->emplace(entry.op, entry);
    }
    return table;
  }();
  return table;
}

}  // namespace

int64_t ChannelBlock() { return CurrentIsa() == Isa::kAvx512 ? 16 : 8; }

int KernelSpec::TensorIndex(absl::string_view name) const {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i] == name) return static_cast<int>(i);
  }
  return -1;
}

template <typename T>
bool HasKernel(absl::string_view op) {
  return AllKernels<T>().contains(op);
}

template <typename T>
KernelOr<T> CreateKernel(const KernelSpec& spec) {
  const auto found = AllKernels<T>().find(spec.op);
  if (found == AllKernels<T>().end()) {
    return absl::UnimplementedError(absl::StrCat("there is no kernel for op '", spec.op, "'"));
  }
  return found->second.create(spec);
}

bool IsAliasOp(absl::string_view op, bool training) {
  return op == "flatten" || op == "view" || op == "reshape" || op == "identity" ||
         (op == "dropout" && !training);
}

template bool HasKernel<float>(absl::string_view op);
template bool HasKernel<double>(absl::string_view op);
template KernelOr<float> CreateKernel(const KernelSpec& spec);
template KernelOr<double> CreateKernel(const KernelSpec& spec);

}  // namespace mase
