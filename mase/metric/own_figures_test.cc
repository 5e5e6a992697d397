#include "mase/metric/own_figures.h"

#include <cfenv>
#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/status_macros.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr float kScores[] = {1, 0, 0, 1};
constexpr int64_t kLabels[] = {0, 1};

// How many rows there were, unless it is told to do harm.
class Rows final : public Metric {
 public:
  explicit Rows(absl::string_view harm) : harm_(harm) {}
  void Add(absl::Span<const float>, absl::Span<const int64_t> labels) override {
    if (harm_ == "throws") throw std::runtime_error("no luck");
    if (harm_ == "rounds") std::fesetround(FE_UPWARD);
    rows_ += static_cast<double>(labels.size());
  }
  double Finish() const override {
    if (harm_ == "ends badly") throw 5;
    return rows_;
  }

 private:
  const std::string harm_;
  double rows_ = 0;
};

MetricDefinition Harmful(const std::string& harm) {
  return {.name = "rows", .summary = "Rows.", .create = [harm](int64_t) {
            return harm == "null" ? nullptr : std::make_unique<Rows>(harm);
          }};
}

absl::Status Measure(const std::string& harm) {
  const MetricDefinition definition = Harmful(harm);
  const MetricDefinition* const metrics[] = {&definition};
  OwnFigures figures(metrics);
  MASE_RETURN_IF_ERROR(figures.Add(kScores, 2, kLabels));
  return figures.Finish().status();
}

TEST(OwnFiguresTest, SeesAllRows) {
  const MetricDefinition rows = Harmful("");
  const MetricDefinition* const metrics[] = {&rows};
  OwnFigures figures(metrics);
  EXPECT_THAT(ValueOrDie(figures.Finish()), IsEmpty());
  ASSERT_OK(figures.Add(kScores, 2, kLabels));
  ASSERT_OK(figures.Add(kScores, 2, kLabels));
  EXPECT_THAT(ValueOrDie(figures.Finish()), testing::ElementsAre(Pair("rows", 4)));
}

TEST(OwnFiguresTest, OutlivesMetricsThatDoHarm) {
  EXPECT_THAT(Measure("throws"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("metric rows threw: no luck")));
  EXPECT_THAT(Measure("ends badly"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("metric rows threw something")));
  EXPECT_THAT(Measure("null"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("metric rows was made as null")));
  EXPECT_OK(Measure("rounds"));
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

}  // namespace
}  // namespace mase
