#include "mase/search/study_tables.h"

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// The texts that Optuna 5.0.0 wrote, but for its spaces.
TEST(StudyTablesTest, DistributionsAreOptunas) {
  const SearchParameter choices =
      CategoricalParameter("c", {int64_t{2}, std::string("NA"), {}, true, 0.5});
  const char* text =
      R"({"name": "CategoricalDistribution", "attributes": {"choices": [2, "NA", null, true, 0.5]}})";
  EXPECT_TRUE(IsDistributionOf(choices, text));
  EXPECT_FALSE(IsDistributionOf(
      choices,
      R"({"name": "CategoricalDistribution", "attributes": {"choices": [2, "NA", null, 1, 0.5]}})"));
  EXPECT_TRUE(IsDistributionOf(choices, DistributionJson(choices)));

  const SearchParameter whole = IntegerParameter("i", 1, 10, 2);
  EXPECT_EQ(DistributionJson(whole),
            R"({"name":"IntDistribution","attributes":{"log":false,"step":2,"low":1,"high":9}})");

  const SearchParameter rate = RealParameter("f", 1e-4, 0.1, /*log=*/true);
  EXPECT_TRUE(IsDistributionOf(
      rate,
      R"({"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}})"));
  EXPECT_FALSE(IsDistributionOf(
      rate,
      R"({"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1, "log": true}})"));
  for (const char* wrong : {"", "[]", "{}", R"({"name": "FloatDistribution"})", "{\"name\": 1"}) {
    EXPECT_FALSE(IsDistributionOf(rate, wrong)) << wrong;
  }
}

TEST(StudyTablesTest, FixedParamsAreValuesByName) {
  const ParameterSpace space = ValueOrDie(ParameterSpace::Create(
      {CategoricalParameter("c", {int64_t{2}, {}}), IntegerParameter("i", 1, 9, 2)}));
  EXPECT_EQ(FixedParamsJson(space, {1, 3}), R"({"c":null,"i":3})");
  EXPECT_EQ(ValueOrDie(PointOfFixedParams(space, R"({"i": 3.0, "c": 2})")), (Point{0, 3}));
  EXPECT_TRUE(std::isnan(ValueOrDie(PointOfFixedParams(space, R"({"i": 3})"))[0]));
  EXPECT_THAT(PointOfFixedParams(space, R"({"i": 4})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'i' cannot be 4")));
  EXPECT_THAT(PointOfFixedParams(space, R"({"x": 4})"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no parameter 'x'")));
  EXPECT_THAT(PointOfFixedParams(space, "]"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(StudyTablesTest, TimesAreThoseOfTheClockOnTheWall) {
  const absl::Time time = absl::FromUnixMicros(1'764'000'000'123'456);
  EXPECT_EQ(TimeOf(TimeText(time)), time);
  EXPECT_EQ(TimeOf("2026-11-28 22:28:50"), TimeOf("2026-11-28 22:28:50.000000"));
  EXPECT_EQ(TimeOf("yesterday"), absl::InfinitePast());
}

}  // namespace
}  // namespace mase
