#include "mase/search/slice_weights.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/tensor/tensor.h"

namespace mase {
namespace {

// Copies the common corner, a run of the last axis at a time.
void CopyCorner(const Tensor& from, Tensor& to) {
  const Shape &source = from.shape(), &target = to.shape();
  const int rank = source.rank();
  const auto* in = static_cast<const char*>(from.raw_data());
  auto* out = static_cast<char*>(to.mutable_raw_data());
  const size_t size = ElementSize(from.dtype());
  if (rank == 0) {
    std::memcpy(out, in, size);
    return;
  }
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  const int64_t run = std::min(source[rank - 1], target[rank - 1]);
  for (;;) {
    int64_t at = 0, place = 0;
    for (int axis = 0; axis < rank; ++axis) {
      at = at * source[axis] + index[static_cast<size_t>(axis)];
      place = place * target[axis] + index[static_cast<size_t>(axis)];
    }
    std::memcpy(out + static_cast<size_t>(place) * size, in + static_cast<size_t>(at) * size,
                static_cast<size_t>(run) * size);
    int axis = rank - 2;
    while (axis >= 0 &&
           ++index[static_cast<size_t>(axis)] == std::min(source[axis], target[axis])) {
      index[static_cast<size_t>(axis--)] = 0;
    }
    if (axis < 0) return;
  }
}

}  // namespace

absl::Status SliceWeights(const Graph& from, Graph& to) {
  int64_t taken = 0;
  std::vector<std::string> names;
  for (const GraphTensor& tensor : to.tensors()) names.push_back(tensor.name);
  for (const std::string& name : names) {
    const GraphTensor* source = from.FindTensor(name);
    const Tensor& old = to.FindTensor(name)->value;
    if (source == nullptr || source->value.dtype() != old.dtype() ||
        source->value.shape().rank() != old.shape().rank() || source->value.elements() == 0 ||
        old.elements() == 0) {
      continue;
    }
    CopyCorner(source->value, *to.MutableTensor(name));
    ++taken;
  }
  if (taken > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "graph '", from.name(), "' has no tensor of '", to.name(),
      "' that weights could be taken from; leave weights = \"sliced\" out, or load another net"));
}

}  // namespace mase
