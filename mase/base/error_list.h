// Several errors as one, so that a user mends a file in one go.
#ifndef MASE_BASE_ERROR_LIST_H_
#define MASE_BASE_ERROR_LIST_H_

#include <vector>

#include "absl/status/status.h"

namespace mase {

// Errors in the order in which they were found.
//
//   ErrorList errors;
//   for (const Rule& rule : rules) errors.Add(Check(rule));
//   return errors.Combined();
class ErrorList {
 public:
  // Lines that Combined shows; then it says how many more there are.
  static constexpr int kMaxShown = 10;

  // Success adds nothing.
  void Add(const absl::Status& status);
  bool empty() const { return errors_.empty(); }

  // OK if empty; else the first error's code and a line for each error. A line break inside of a
  // message is written \n.
  absl::Status Combined() const;

 private:
  std::vector<absl::Status> errors_;
};

}  // namespace mase

#endif  // MASE_BASE_ERROR_LIST_H_
