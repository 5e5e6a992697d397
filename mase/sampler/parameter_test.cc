#include "mase/sampler/parameter.h"

#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
ParameterSpace Space(std::vector<SearchParameter> parameters) {
  return ValueOrDie(ParameterSpace::Create(std::move(parameters)));
}

// A point without NaN, which has no order: an inactive parameter is -1.
std::vector<double> Comparable(Point point) {
  for (double& value : point) value = std::isnan(value) ? -1 : value;
  return point;
}

std::vector<std::vector<double>> AllPoints(const ParameterSpace& space) {
  std::vector<std::vector<double>> points;
  for (uint64_t i = 0; i < *space.size(); ++i) points.push_back(Comparable(space.PointAt(i)));
  return points;
}

TEST(ParameterSpaceTest, TheLastParameterOfTheGridTurnsFastest) {
  const ParameterSpace space =
      Space({CategoricalParameter("a", {int64_t{2}, int64_t{4}}), IntegerParameter("b", 3, 7, 2)});
  EXPECT_EQ(space.size(), 6u);
  EXPECT_THAT(AllPoints(space),
              ElementsAre(ElementsAre(0, 3), ElementsAre(0, 5), ElementsAre(0, 7),
                          ElementsAre(1, 3), ElementsAre(1, 5), ElementsAre(1, 7)));
}

TEST(ParameterSpaceTest, ParametersThatAreNotActiveSpanNoPoints) {
  SearchParameter width = CategoricalParameter("width", {int64_t{4}, int64_t{8}});
  width.parent = 0;
  width.parent_values = {1};
  const ParameterSpace space = Space({CategoricalParameter("name", {{}, std::string("integer")}),
                                      width, IntegerParameter("last", 0, 1)});
  EXPECT_EQ(space.size(), 6u);
  EXPECT_THAT(AllPoints(space),
              ElementsAre(ElementsAre(0, -1, 0), ElementsAre(0, -1, 1), ElementsAre(1, 0, 0),
                          ElementsAre(1, 0, 1), ElementsAre(1, 1, 0), ElementsAre(1, 1, 1)));
}

TEST(ParameterSpaceTest, EveryPointOfADeepConditionalGridComesOnce) {
  SearchParameter b = IntegerParameter("b", 1, 3), c = IntegerParameter("c", 0, 4),
                  d = CategoricalParameter("d", {true, false});
  b.parent = 0, b.parent_values = {0, 2};
  c.parent = 1, c.parent_values = {3};
  d.parent = 0, d.parent_values = {1, 2};
  const ParameterSpace space =
      Space({IntegerParameter("a", 0, 2), b, c, d, IntegerParameter("e", 0, 1)});
  // a=0: b gives 2 + 5; a=1: d gives 2; a=2: both; each twice for e.
  EXPECT_EQ(space.size(), 2u * (7 + 2 + 7 * 2));
  const auto points = AllPoints(space);
  EXPECT_EQ(std::set<std::vector<double>>(points.begin(), points.end()).size(), points.size());
  for (uint64_t i = 0; i < points.size(); ++i) EXPECT_OK(space.Check(space.PointAt(i)));
}

TEST(ParameterSpaceTest, SizesAreExactHugeOrInfinite) {
  std::vector<SearchParameter> many;
  for (int i = 0; i < 70; ++i) {
    many.push_back(IntegerParameter(std::string(1, 'a') + std::to_string(i), 0, 1));
  }
  const ParameterSpace huge = Space(many);
  EXPECT_EQ(huge.size(), kHugeSpace);
  EXPECT_OK(huge.Check(huge.PointAt(uint64_t{1} << 62)));
  EXPECT_EQ(huge.PointAt(5)[69], 1);
  EXPECT_EQ(huge.PointAt(5)[68], 0);
  EXPECT_EQ(huge.PointAt(5)[67], 1);
  EXPECT_EQ(Space({RealParameter("rate", 0, 1)}).size(), absl::nullopt);
}

TEST(ParameterSpaceTest, ARangeOfTenthsHasItsLastValue) {
  SearchParameter tenths = RealParameter("t", 0, 0.3);
  tenths.step = 0.1;
  const ParameterSpace space = Space({tenths});
  EXPECT_EQ(space.size(), 4u);
  EXPECT_THAT(space.PointAt(3), ElementsAre(0.3));
  EXPECT_OK(space.Check({0.1 + 0.1}));
}

TEST(ParameterSpaceTest, NearestIsAValueThatTheParameterHas) {
  EXPECT_EQ(IntegerParameter("i", 1, 9, 3).Nearest(5.4), 4);
  EXPECT_EQ(IntegerParameter("i", 1, 9, 3).Nearest(5.5), 7);
  EXPECT_EQ(IntegerParameter("i", 1, 9, 3).Nearest(100), 7);
  EXPECT_EQ(IntegerParameter("i", 1, 9, 3).Nearest(-100), 1);
  EXPECT_EQ(RealParameter("r", 0, 1).Nearest(2), 1);
}

TEST(ParameterSpaceTest, BadSpacesAreRefusedByTheNameOfTheParameter) {
  const auto error = [](std::vector<SearchParameter> parameters) {
    return ParameterSpace::Create(std::move(parameters)).status().ToString();
  };
  EXPECT_THAT(error({}), HasSubstr("no parameter"));
  EXPECT_THAT(error({CategoricalParameter("w", {})}), HasSubstr("'w' has no choices"));
  EXPECT_THAT(error({IntegerParameter("w", 1, 2), IntegerParameter("w", 1, 2)}),
              HasSubstr("'w' is in the search space twice"));
  EXPECT_THAT(error({IntegerParameter("w", 3, 2)}),
              HasSubstr("'w': low must not be above high (low 3"));
  EXPECT_THAT(error({RealParameter("w", 0, 1, /*log=*/true)}), HasSubstr("'w': a logarithmic"));
  EXPECT_THAT(error({IntegerParameter("w", 0, 4, 0)}), HasSubstr("'w': step must be"));
  SearchParameter child = IntegerParameter("w", 0, 1);
  child.parent = 0;
  EXPECT_THAT(error({child}), HasSubstr("'w' depends on one that does not stand before it"));
  child.parent_values = {7};
  EXPECT_THAT(error({IntegerParameter("v", 0, 1), child}),
              HasSubstr("values that 'v' cannot have"));
}

TEST(ParameterSpaceTest, PointsThatAreNoneOfTheSpaceAreNamed) {
  SearchParameter child = IntegerParameter("child", 0, 1);
  child.parent = 0;
  child.parent_values = {4};
  const ParameterSpace space = Space({IntegerParameter("a", 0, 4, 2), child});
  EXPECT_OK(space.Check({2, kInactive}));
  EXPECT_THAT(space.Check({2}).ToString(), HasSubstr("1 numbers, not 2"));
  EXPECT_THAT(space.Check({1, kInactive}).ToString(), HasSubstr("'a' cannot be 1"));
  EXPECT_THAT(space.Check({2, 1}).ToString(), HasSubstr("'child' is not active"));
}

TEST(ParameterSpaceTest, ValuesAreDescribedAsPeopleWriteThem) {
  const ParameterSpace space =
      Space({CategoricalParameter("c", {{}, std::string("integer"), int64_t{8}, 0.5, true}),
             IntegerParameter("i", 1, 9), RealParameter("r", 0, 1)});
  EXPECT_EQ(space.Describe(0, 0), "NA");
  EXPECT_EQ(space.Describe(0, 1), "integer");
  EXPECT_EQ(space.Describe(0, 2), "8");
  EXPECT_EQ(space.Describe(0, 3), "0.5");
  EXPECT_EQ(space.Describe(0, 4), "true");
  EXPECT_EQ(space.Describe(1, 3), "3");
  EXPECT_EQ(space.Describe(2, 0.25), "0.25");
  EXPECT_EQ(space.Describe(2, kInactive), "-");
  EXPECT_EQ(ChoiceJson(std::string("a\"b")), "\"a\\\"b\"");
}

}  // namespace
}  // namespace mase
