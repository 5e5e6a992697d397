#include "mase/kernel/kernel.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

using Table = absl::flat_hash_map<std::pair<absl::string_view, DType>, KernelEntry>;

const Table& AllKernels() {
  static const Table& table = *[] {
    auto* table = new Table;
    for (const auto part :
         {UnaryKernels, BinaryKernels, LinearKernels, ConvKernels, ConvTransposeKernels,
          PoolKernels, BatchNormKernels, NormKernels, SoftmaxKernels, DropoutKernels, MoveKernels,
          DenseChainKernels, LossKernels, PickRowsKernels}) {
      for (const KernelEntry& entry : part()) {
        table->emplace(std::pair(entry.op, entry.dtype), entry);
      }
    }
    return table;
  }();
  return table;
}

int Find(const std::vector<std::string>& names, absl::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? -1 : static_cast<int>(found - names.begin());
}

}  // namespace

int64_t ChannelBlock() { return CurrentIsa() == Isa::kAvx512 ? 16 : 8; }

int KernelSpec::TensorIndex(absl::string_view name) const { return Find(tensors, name); }

int FusedOp::TensorIndex(absl::string_view name) const {
  const int index = Find(tensors, name);
  return index < 0 ? -1 : first_tensor + index;
}

bool HasKernel(absl::string_view op, DType dtype) {
  return AllKernels().contains(std::pair(op, dtype));
}

KernelOr CreateKernel(const KernelSpec& spec) {
  const absl::string_view name = spec.kernel.empty() ? spec.op : spec.kernel;
  const auto found = AllKernels().find(std::pair(name, spec.dst.dtype));
  if (found == AllKernels().end()) {
    return absl::UnimplementedError(absl::StrCat("there is no kernel for op '", name,
                                                 "' with results of ", DTypeName(spec.dst.dtype)));
  }
  return found->second.create(spec);
}

}  // namespace mase
