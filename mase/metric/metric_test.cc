#include "mase/metric/metric.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// How many rows there were.
class Rows final : public Metric {
 public:
  void Add(absl::Span<const float>, absl::Span<const int64_t> labels) override {
    rows_ += static_cast<double>(labels.size());
  }
  double Finish() const override { return rows_; }

 private:
  double rows_ = 0;
};

MetricDefinition Named(std::string name) {
  return {.name = std::move(name), .summary = "Rows.", .create = [](int64_t) {
            return std::unique_ptr<Metric>(std::make_unique<Rows>());
          }};
}

TEST(MetricTest, IsFoundByNameOnceItIsRegistered) {
  EXPECT_EQ(FindMetric("rows_b"), nullptr);
  const auto before = OwnMetrics();
  ASSERT_OK(RegisterMetric(Named("rows_b")));
  ASSERT_OK(RegisterMetric(Named("rows_a")));
  EXPECT_TRUE(before.empty()) << "a snapshot stays as it was";
  ASSERT_EQ(OwnMetrics().size(), 2u);
  EXPECT_EQ(OwnMetrics()[0]->name, "rows_a") << "sorted";
  const auto metric = FindMetric("rows_b")->create(2);
  const float scores[] = {1, 0, 0, 1};
  const int64_t labels[] = {0, 1};
  metric->Add(scores, labels);
  metric->Add(scores, labels);
  EXPECT_EQ(metric->Finish(), 4);
}

TEST(MetricTest, RefusesNamesThatAreTakenOrNone) {
  ASSERT_OK(RegisterMetric(Named("mine")));
  EXPECT_THAT(RegisterMetric(Named("mine")),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("a metric mine already")));
  EXPECT_THAT(RegisterMetric(Named("accuracy")), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(RegisterMetric(Named("My F1")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("metric 'My F1': want")));
  EXPECT_THAT(RegisterMetric({.name = "none"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nothing makes it")));
}

}  // namespace
}  // namespace mase
