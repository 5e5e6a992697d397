#include "mase/run/sweep_points.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Values(absl::string_view text) {
  return ValueOrDie(ParseSweepAxis(text)).values;
}

TEST(SweepPointsTest, ValuesStandBetweenCommasThatAreInNoBracketsAndQuotes) {
  EXPECT_THAT(Values("batch_size=64,256, 1024"), ElementsAre("64", "256", "1024"));
  EXPECT_THAT(Values("a.b=[1,2],[3]"), ElementsAre("[1,2]", "[3]"));
  EXPECT_THAT(Values("a='x,y',z"), ElementsAre("'x,y'", "z"));
  EXPECT_THAT(Values("model=BN, ReLU, Linear 5; jsc-tiny"),
              ElementsAre("BN, ReLU, Linear 5", "jsc-tiny"));
  EXPECT_THAT(Values("x=a=b,c"), ElementsAre("a=b", "c"));
  EXPECT_EQ(ValueOrDie(ParseSweepAxis("p.\"a=b\".c=1,2")).setting, "p.\"a=b\".c");
}

TEST(SweepPointsTest, AFileHasAValueALine) {
  const std::string folder = NewFolder();
  ASSERT_OK(WriteFileAtomically(folder + "/nets.txt", "# two nets\nBN, Linear 5\n\njsc-tiny\r\n"));
  EXPECT_THAT(Values("model=@" + folder + "/nets.txt"), ElementsAre("BN, Linear 5", "jsc-tiny"));
  EXPECT_THAT(ParseSweepAxis("model=@" + folder + "/none"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none")));
}

TEST(SweepPointsTest, WhatIsNoAxisIsRefused) {
  for (const char* text : {"batch_size", "=1,2", "batch_size=", "batch_size=1,,2"}) {
    EXPECT_THAT(ParseSweepAxis(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)))
        << text;
  }
  EXPECT_THAT(ParseSweepAxis("run_dir=a,b"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cannot be swept")));
  EXPECT_THAT(ParseSweepAxis("max_memory=1,2"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "'max_memory' cannot be swept: it is that of the program, in which all runs "
                       "are; give it beside --sweep"));
}

TEST(SweepPointsTest, GridsHaveAllCombinationsAndZipsThePairs) {
  const std::vector<SweepAxis> axes = {{"a", {"1", "2"}}, {"b", {"x", "y"}}};
  EXPECT_THAT(ValueOrDie(GridOf(axes)).points,
              ElementsAre(ElementsAre("1", "x"), ElementsAre("1", "y"), ElementsAre("2", "x"),
                          ElementsAre("2", "y")));
  EXPECT_THAT(ValueOrDie(ZipOf(axes)).points,
              ElementsAre(ElementsAre("1", "x"), ElementsAre("2", "y")));
  EXPECT_THAT(ZipOf({{"a", {"1", "2"}}, {"b", {"x"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a has 2, b has 1")));
  EXPECT_THAT(GridOf({{"a", {"1"}}, {"a", {"2"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'a' is swept twice")));
  EXPECT_THAT(GridOf({}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--sweep")));
  const SweepAxis thousand = {"c", std::vector<std::string>(1000, "1")};
  EXPECT_THAT(GridOf({thousand, {"d", thousand.values}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("more than 100000 points")));
}

TEST(SweepPointsTest, AListIsATableOfRuns) {
  const std::string folder = NewFolder(), path = folder + "/points.csv";
  ASSERT_OK(WriteFileAtomically(
      path, "model,batch_size\n# a comment\n\"BN, Linear 5\",64\r\njsc-tiny,256\n"));
  const SweepPoints points = ValueOrDie(ReadPointList(path));
  EXPECT_THAT(points.settings, ElementsAre("model", "batch_size"));
  EXPECT_THAT(points.points,
              ElementsAre(ElementsAre("BN, Linear 5", "64"), ElementsAre("jsc-tiny", "256")));
  ASSERT_OK(WriteFileAtomically(path, "model,batch_size\njsc-tiny\n"));
  EXPECT_THAT(ReadPointList(path), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("points.csv:2: 1 values for 2 settings")));
  ASSERT_OK(WriteFileAtomically(path, "model,model\n"));
  EXPECT_THAT(ReadPointList(path), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("points.csv:1: 'model' is swept twice")));
  ASSERT_OK(WriteFileAtomically(path, "model\n"));
  EXPECT_THAT(ReadPointList(path),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no points")));
}

TEST(SweepPointsTest, NamesAreFileNamesThatDiffer) {
  const SweepPoints points = {{"model", "rate"},
                              {{"jsc-tiny", "1e-3"},
                               {"BN, Linear 5", "1"},
                               {"BN- Linear 5", "1"},
                               {"../x", "1"},
                               {std::string(200, 'a'), "1"},
                               {std::string(200, 'a'), "2"}}};
  EXPECT_EQ(PointName(points, 0), "model=jsc-tiny,rate=1e-3");
  std::set<std::string> names;
  for (size_t i = 0; i < points.points.size(); ++i) {
    const std::string name = PointName(points, i);
    EXPECT_LE(name.size(), 80u);
    EXPECT_EQ(name.find('/'), std::string::npos);
    EXPECT_TRUE(names.insert(name).second) << name;
  }
}

}  // namespace
}  // namespace mase
