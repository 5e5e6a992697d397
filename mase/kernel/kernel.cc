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

std::vector<KernelPart>& Parts() {
  static auto& parts = *new std::vector<KernelPart>{
      UnaryKernels,      BinaryKernels,         LinearKernels,
      ConvKernels,       ConvTransposeKernels,  PoolKernels,
      BatchNormKernels,  NormKernels,           SoftmaxKernels,
      MoveKernels,       ReduceKernels,         PickElementsKernels,
      DenseChainKernels, IntegerProductKernels, IntegerElementwiseKernels};
  return parts;
}

const Table& AllKernels() {
  static const Table& table = *[] {
    auto* table = new Table;
    for (const KernelPart part : Parts()) {
      for (const KernelEntry& entry : part()) {
        table->insert_or_assign(std::pair(entry.op, entry.dtype), entry);
      }
    }
    return table;
  }();
  return table;
}

}  // namespace

bool AddKernels(std::initializer_list<KernelPart> parts) {
  Parts().insert(Parts().end(), parts);
  return true;
}

int64_t ChannelBlock() { return CurrentIsa() == Isa::kAvx512 ? 16 : 8; }

bool HasKernel(absl::string_view op, DType dtype) {
  return AllKernels().contains(std::pair(op, dtype)) || HasPluginKernel(op, dtype);
}

KernelOr CreateKernel(const KernelSpec& spec) {
  const absl::string_view name = spec.kernel.empty() ? spec.op : spec.kernel;
  const auto found = AllKernels().find(std::pair(name, spec.dst.dtype));
  if (found == AllKernels().end()) {
    if (HasPluginKernel(name, spec.dst.dtype)) return CreatePluginKernel(name, spec);
    return absl::UnimplementedError(absl::StrCat("there is no kernel for op '", name,
                                                 "' with results of ", DTypeName(spec.dst.dtype)));
  }
  return found->second.create(spec);
}

}  // namespace mase
