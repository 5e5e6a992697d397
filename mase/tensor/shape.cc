#include "mase/tensor/shape.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/limits.h"

namespace mase {
namespace {

struct DTypeEntry {
  DType dtype;
  size_t size;
  absl::string_view name;
};

constexpr DTypeEntry kDTypes[] = {
    {DType::kFloat32, 4, "float32"}, {DType::kFloat64, 8, "float64"},   {DType::kInt8, 1, "int8"},
    {DType::kUInt8, 1, "uint8"},     {DType::kInt32, 4, "int32"},       {DType::kInt64, 8, "int64"},
    {DType::kBool, 1, "bool"},       {DType::kBFloat16, 2, "bfloat16"},
};

const DTypeEntry& Entry(DType dtype) { return kDTypes[static_cast<int>(dtype)]; }

}  // namespace

size_t ElementSize(DType dtype) { return Entry(dtype).size; }

absl::string_view DTypeName(DType dtype) { return Entry(dtype).name; }

absl::StatusOr<DType> ParseDType(absl::string_view name) {
  for (const DTypeEntry& entry : kDTypes) {
    if (entry.name == name) return entry.dtype;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown element type '", name,
      "'; known: ", absl::StrJoin(kDTypes, ", ", [](std::string* out, const DTypeEntry& entry) {
        absl::StrAppend(out, entry.name);
      })));
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int64_t extent : dims_) product *= extent;
  return product;
}

absl::Status Shape::Validate() const {
  if (rank() > limits::kMaxTensorRank) {
    return absl::ResourceExhaustedError(
        absl::StrCat("shape ", ToString(), ": rank ", rank(), ", limit ", limits::kMaxTensorRank));
  }
  int64_t product = 1;
  bool empty = false;
  for (int64_t extent : dims_) {
    if (extent < 0) {
      return absl::InvalidArgumentError(absl::StrCat("shape ", ToString(), ": negative extent"));
    }
    if (extent > limits::kMaxTensorElements) {
      return absl::ResourceExhaustedError(absl::StrCat("shape ", ToString(), ": extent ", extent,
                                                       ", limit ", limits::kMaxTensorElements));
    }
    if (extent == 0) empty = true;
    if (!empty && __builtin_mul_overflow(product, extent, &product)) {
      product = limits::kMaxTensorElements + 1;
    }
    if (!empty && product > limits::kMaxTensorElements) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "shape ", ToString(), ": more elements than the limit ", limits::kMaxTensorElements));
    }
  }
  return absl::OkStatus();
}

std::string Shape::ToString() const { return absl::StrCat("[", absl::StrJoin(dims_, ", "), "]"); }

absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  absl::InlinedVector<int64_t, 4> dims(rank);
  for (int i = 1; i <= rank; ++i) {
    const int64_t left = i <= a.rank() ? a[-i] : 1;
    const int64_t right = i <= b.rank() ? b[-i] : 1;
    if (left != right && left != 1 && right != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("shapes ", a.ToString(), " and ", b.ToString(), " do not broadcast"));
    }
    dims[rank - i] = left == 1 ? right : left;
  }
  return Shape(dims);
}

}  // namespace mase
