// How a classifier fares class by class, which one accuracy hides: where 95 % of the rows are of
// one class, a net that always says that class is right in 95 %.
#ifndef MASE_EXEC_CLASS_COUNTS_H_
#define MASE_EXEC_CLASS_COUNTS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace mase {

struct ClassCount {
  int64_t rows = 0;       // Of this class.
  int64_t predicted = 0;  // That the net takes for this class.
  int64_t correct = 0;    // Both.
};

// The class of the highest of a row's scores, the first of equals; -1 where a score is NaN.
int64_t TopClass(absl::Span<const float> scores);

class ClassCounts {
 public:
  // Counts the labels of all rows, which must stay where they are; labels outside of 0..classes-1
  // (rows of no known class) count for none. Rows behind the last label have no class either.
  ClassCounts(absl::Span<const int64_t> labels, int64_t classes);

  // Adds what the net said of the rows from `first_row` on: scores [rows, outputs], as the sink of
  // Evaluate gets them. `outputs` may be more than the classes.
  void Add(int64_t first_row, absl::Span<const float> scores, int64_t outputs);

  absl::Span<const ClassCount> classes() const { return counts_; }

  // The class with most rows, the first of equals, and its share of the rows that have a class; 0
  // if none has one.
  int64_t largest() const { return largest_; }
  double largest_share() const;

  // The accuracy of what was added says less than it seems to: no better than always saying the
  // largest class, or there are classes with rows that are never predicted.
  bool AccuracyMisleads() const;

  int64_t undecided() const { return undecided_; }  // Rows with a NaN among their scores.

 private:
  absl::Span<const int64_t> labels_;
  std::vector<ClassCount> counts_;
  int64_t largest_ = 0;
  int64_t undecided_ = 0;
};

}  // namespace mase

#endif  // MASE_EXEC_CLASS_COUNTS_H_
