// Early return on errors, for functions that return absl::Status or StatusOr.
//
//   MASE_RETURN_IF_ERROR(CheckShape(node));
//   MASE_ASSIGN_OR_RETURN(Tensor weights, LoadTensor(path));
//
// Both evaluate their expression once. MASE_ASSIGN_OR_RETURN is several
// statements: never the unbraced body of an `if`.
#ifndef MASE_BASE_STATUS_MACROS_H_
#define MASE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define MASE_RETURN_IF_ERROR(expr)                                                     \
  do {                                                                                 \
    if (::absl::Status mase_status_ = (expr); !mase_status_.ok()) return mase_status_; \
  } while (false)

#define MASE_STATUS_CONCAT_INNER_(x, y) x##y
#define MASE_STATUS_CONCAT_(x, y) MASE_STATUS_CONCAT_INNER_(x, y)

#define MASE_ASSIGN_OR_RETURN(lhs, expr) \
  MASE_ASSIGN_OR_RETURN_IMPL_(MASE_STATUS_CONCAT_(mase_statusor_, __COUNTER__), lhs, expr)

#define MASE_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr)   \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()

#endif  // MASE_BASE_STATUS_MACROS_H_
