// How far a share that was counted on a sample can be trusted: 95 % confidence intervals.
//
// An accuracy on 1,000 rows is one draw: on other rows of the same kind it would have been another.
// An interval says which true accuracies are compatible with what was counted.
//
//   Interval interval = WilsonInterval(717, 1000);   // 0.688 to 0.744
//
//   // Two nets on the same rows. 28 rows only the first has right, 20 only the second.
//   PairedDifference difference = CompareOnSameRows(first.right, second.right, 1000);
//   difference.difference   // -0.008
//   difference.Decided()    // false: the interval, -0.022 to 0.006, has 0 in it.
#ifndef MASE_EXEC_INTERVAL_H_
#define MASE_EXEC_INTERVAL_H_

#include <cstdint>

#include "absl/types/span.h"

namespace mase {

struct Interval {
  double low = 0, high = 0;
};

// Wilson's score interval (Wilson 1927) at 95 % for `correct` of `rows`, within [0, 1]:
//
//   (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),  z = 1.959963984540054
//
// Unlike p -+ z sqrt(p (1 - p) / n) it holds for few rows and for shares near 0 and 1, too.
// Of no rows it is 0 to 1.
Interval WilsonInterval(int64_t correct, int64_t rows);

// What two nets did on the same rows.
struct PairedDifference {
  int64_t rows = 0;
  int64_t only_first = 0;   // Rows that the first has right and the second wrong.
  int64_t only_second = 0;  // The other way round.
  double difference = 0;    // Accuracy of the second less that of the first.
  Interval interval;        // Of the difference.

  // The rows tell the nets apart: 0 is outside of the interval.
  bool Decided() const { return interval.low > 0 || interval.high < 0; }
};

// The difference of two accuracies counted on the same rows, where only the rows on which the nets
// disagree say anything (McNemar 1947). The interval is that of Agresti and Min (2005): Wald's for
// paired shares after half a row was added to each of the four cells of the table,
//
//   d -+ z sqrt(b + c - (b - c)^2 / n) / n,   d = (c - b) / n,
//   b = only_first + 1/2, c = only_second + 1/2, n = rows + 2.
//
// Of no rows it is -1 to 1.
PairedDifference DifferenceOnSameRows(int64_t only_first, int64_t only_second, int64_t rows);

// The same, counted from one bit a row, lowest bit of the first byte first: set where the net was
// right. Both spans hold (rows + 7) / 8 bytes.
PairedDifference CompareOnSameRows(absl::Span<const uint8_t> first,
                                   absl::Span<const uint8_t> second, int64_t rows);

}  // namespace mase

#endif  // MASE_EXEC_INTERVAL_H_
