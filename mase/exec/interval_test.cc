#include "mase/exec/interval.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace mase {
namespace {

// Values of statsmodels' proportion_confint(method="wilson").
TEST(WilsonIntervalTest, AgreesWithStatsmodels) {
  struct Case {
    int64_t correct, rows;
    double low, high;
  };
  for (const Case& c : {Case{717, 1000, 0.6882916278055017, 0.7440475590117673},
                        Case{0, 10, 0, 0.27753279986288926}, Case{10, 10, 0.7224672001371106, 1},
                        Case{1, 2, 0.09453120573423068, 0.9054687942657693}}) {
    EXPECT_NEAR(WilsonInterval(c.correct, c.rows).low, c.low, 1e-15) << c.correct;
    EXPECT_NEAR(WilsonInterval(c.correct, c.rows).high, c.high, 1e-15) << c.correct;
  }
  EXPECT_EQ(WilsonInterval(0, 0).high, 1) << "no rows say nothing";
}

TEST(DifferenceOnSameRowsTest, OnlyDisagreementsSaySomething) {
  // d = -8 / 1000; b = 28.5, c = 20.5, n = 1002: -8 / 1002 -+ z sqrt(49 - 64 / 1002) / 1002.
  const PairedDifference close = DifferenceOnSameRows(28, 20, 1000);
  EXPECT_EQ(close.difference, -0.008);
  const double half = 1.959963984540054 * std::sqrt(49 - 64 / 1002.0) / 1002;
  EXPECT_NEAR(close.interval.low, -8 / 1002.0 - half, 1e-15);
  EXPECT_NEAR(close.interval.high, -8 / 1002.0 + half, 1e-15);
  EXPECT_FALSE(close.Decided());

  EXPECT_TRUE(DifferenceOnSameRows(10, 0, 1000).Decided()) << "10 against none";
  EXPECT_FALSE(DifferenceOnSameRows(110, 100, 1000).Decided()) << "the same difference";
  EXPECT_FALSE(DifferenceOnSameRows(0, 0, 1000).Decided());
  EXPECT_FALSE(DifferenceOnSameRows(0, 0, 0).Decided());
  EXPECT_LE(DifferenceOnSameRows(0, 2, 2).interval.high, 1);
}

TEST(CompareOnSameRowsTest, ReadsOneBitARow) {
  const std::vector<uint8_t> first = {0b10000001, 0b01}, second = {0b10000110, 0b11};
  const PairedDifference difference = CompareOnSameRows(first, second, 9);
  EXPECT_EQ(difference.rows, 9);
  EXPECT_EQ(difference.only_first, 1);
  EXPECT_EQ(difference.only_second, 2) << "the last bit is of no row";
}

}  // namespace
}  // namespace mase
