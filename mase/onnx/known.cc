#include "mase/onnx/known.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "mase/base/memory_budget.h"
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

namespace {
// Whether y divides x, and the quotient is a number: the least one has no opposite.
bool Divides(int64_t y, int64_t x) {
  if (y == -1) return x != std::numeric_limits<int64_t>::min();
  return y != 0 && x % y == 0;
}
}  // namespace

absl::StatusOr<Extent> Divide(const Extent& a, const Extent& b) {
  int64_t of_one_row = 0;
  const bool too_large = __builtin_add_overflow(a.constant, a.per_row, &of_one_row);
  if (a == b && (too_large || of_one_row != 0)) return Extent{1};
  if (b.fixed() && Divides(b.constant, a.constant) && Divides(b.constant, a.per_row)) {
    return Extent{a.constant / b.constant, a.per_row / b.constant};
  }
  // 6 rows / 2 rows.
  if (a.constant == 0 && b.constant == 0 && Divides(b.per_row, a.per_row)) {
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

absl::StatusOr<KnownInts> KnownInts::WithRoom(const Shape& shape, int type) {
  MASE_RETURN_IF_ERROR(
      CheckMemory(shape.elements() * static_cast<int64_t>(sizeof(Extent)),
                  absl::StrCat("a constant of ", shape.elements(), " whole numbers")));
  KnownInts ints = {shape, {}, type};
  ints.values.reserve(static_cast<size_t>(shape.elements()));
  return ints;
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
