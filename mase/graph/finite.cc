#include "mase/graph/finite.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace mase {
namespace {

struct NonFinite {
  int64_t count = 0;
  double first = 0;
};

template <typename T>
NonFinite Count(absl::Span<const T> values) {
  NonFinite found;
  for (const T value : values) {
    if (std::isfinite(value)) continue;
    if (found.count++ == 0) found.first = value;
  }
  return found;
}

NonFinite Count(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kFloat32:
      return Count(tensor.data<float>());
    case DType::kFloat64:
      return Count(tensor.data<double>());
    default:
      return {};
  }
}

}  // namespace

std::string FindNonFinite(const Graph& graph) {
  std::string found;
  for (const GraphTensor& tensor : graph.tensors()) {
    const NonFinite here = Count(tensor.value);
    if (here.count == 0) continue;
    if (!found.empty()) return absl::StrCat(found, " and is not the only one");
    const char* what = std::isnan(here.first) ? "nan" : here.first > 0 ? "inf" : "-inf";
    found = absl::StrCat("tensor '", tensor.name, "' holds ", what, " in ", here.count, " of its ",
                         tensor.value.elements(), " elements");
  }
  return found;
}

}  // namespace mase
