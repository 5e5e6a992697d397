#include "mase/onnx/known.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {

std::string Extent::ToString() const {
  if (fixed()) return absl::StrCat(constant);
  const std::string rows = per_row == 1 ? "rows" : absl::StrCat(per_row, "*rows");
  return constant == 0 ? rows : absl::StrCat(rows, constant > 0 ? "+" : "", constant);
}

absl::StatusOr<Extent> Multiply(const Extent& a, const Extent& b) {
  if (!a.fixed() && !b.fixed()) {
    return absl::InvalidArgumentError(
        absl::StrCat(a.ToString(), " times ", b.ToString(), " is not in proportion to the rows"));
  }
  const Extent& grows = a.fixed() ? b : a;
  const int64_t factor = a.fixed() ? a.constant : b.constant;
  Extent product;
  if (__builtin_mul_overflow(grows.constant, factor, &product.constant) ||
      __builtin_mul_overflow(grows.per_row, factor, &product.per_row)) {
    return absl::InvalidArgumentError("a product of extents overflows");
  }
  return product;
}

absl::StatusOr<Extent> Divide(const Extent& a, const Extent& b) {
  if (a == b && a.constant + a.per_row != 0) return Extent{1};
  if (b.fixed() && b.constant != 0 && a.constant % b.constant == 0 && a.per_row % b.constant == 0) {
    return Extent{a.constant / b.constant, a.per_row / b.constant};
  }
  // 6 rows / 2 rows.
  if (a.constant == 0 && b.constant == 0 && b.per_row != 0 && a.per_row % b.per_row == 0) {
    return Extent{a.per_row / b.per_row};
  }
  return absl::InvalidArgumentError(
      absl::StrCat(a.ToString(), " is not divided by ", b.ToString(), " for any number of rows"));
}

absl::StatusOr<Extent> Product(const std::vector<Extent>& extents) {
  Extent product = {1};
  for (const Extent& extent : extents) {
    MASE_ASSIGN_OR_RETURN(product, Multiply(product, extent));
  }
  return product;
}

bool KnownInts::fixed() const {
  return std::all_of(values.begin(), values.end(), [](const Extent& e) { return e.fixed(); });
}

absl::StatusOr<std::vector<int64_t>> KnownInts::Numbers() const {
  std::vector<int64_t> numbers;
  numbers.reserve(values.size());
  for (const Extent& value : values) {
    if (!value.fixed()) {
      return absl::InvalidArgumentError(
          absl::StrCat("a number depends on how many rows there are: ", value.ToString()));
    }
    numbers.push_back(value.constant);
  }
  return numbers;
}

}  // namespace mase
