// Constraints: which points they rule out, and which are none.
#include "mase/search/objective.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/status_macros.h"
#include "mase/search/search_space.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Three choices, and the accuracy as the metric.
absl::StatusOr<Objective> WithConstraint(const std::string& constraint) {
  SearchSettings settings;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        search_space {
          settings {
            name: "format"
            values { null_value: NULL_VALUE }
            values { string_value: "integer 8/4" }
            values { string_value: "lsq" }
          }
          settings {
            name: "bypass"
            values { bool_value: false }
            values { bool_value: true }
          }
          settings { name: "width" low: 1 high: 9 step: 1 }
        }
        strategy { metrics { name: "accuracy" } }
      )pb",
      &settings));
  settings.mutable_search_space()->add_constraints(constraint);
  MASE_ASSIGN_OR_RETURN(const SearchSpace space,
                        SearchSpace::Create(settings.search_space(), Graph()));
  return Objective::Create(settings, space.parameters());
}

// Which of the values of the choice at `index` a constraint leaves, where the others are their
// last.
std::vector<double> Left(const std::string& constraint, size_t index, int values) {
  const absl::StatusOr<Objective> objective = WithConstraint(constraint);
  EXPECT_OK(objective);
  std::vector<double> left;
  for (int value = 0; value < values; ++value) {
    std::vector<double> point = {2, 1, 9};
    point[index] = value;
    if (objective->Refusal(point).empty()) left.push_back(value);
  }
  return left;
}

TEST(ConstraintTest, RulesOutPointsByNumbersAndTexts) {
  EXPECT_THAT(Left("format == lsq", 0, 3), ElementsAre(2));
  EXPECT_THAT(Left("format != 'integer 8/4'", 0, 3), ElementsAre(0, 2));
  EXPECT_THAT(Left("format != integer 8/4", 0, 3), ElementsAre(0, 2));
  EXPECT_THAT(Left("format != NA", 0, 3), ElementsAre(1, 2));
  EXPECT_THAT(Left("bypass == true", 1, 2), ElementsAre(1));
  EXPECT_THAT(Left("bypass != true", 1, 2), ElementsAre(0));
  EXPECT_THAT(Left("width >= 3", 2, 5), ElementsAre(3, 4));
  EXPECT_THAT(Left("3 > width", 2, 5), ElementsAre(0, 1, 2));
}

TEST(ConstraintTest, WhatNamesNothingIsRefused) {
  const struct {
    const char* constraint;
    const char* error;
  } cases[] = {
      {"width >= widht",
       "'widht' is no choice and no metric, and no number; did you mean 'width'?"},
      {"accuracy <= nan", "'nan' is no choice and no metric, and no number"},
      {"accuracy == lsq", "'lsq' is no choice and no metric, and no number"},
      {"format == lqs", "'lqs' is no choice"},
      {"bypass == maybe", "'maybe' is no choice"},
      {"format >= 4", "'format' is a text each time; want == or !="},
      {"acuracy >= 4", "'acuracy' is no choice and no metric; did you mean 'accuracy'?"},
      {"1 <= 2", "names no choice and no metric"},
      {"width", "want NAME RELATION VALUE"},
  };
  for (const auto& [constraint, error] : cases) {
    EXPECT_THAT(WithConstraint(constraint),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(error)))
        << constraint;
  }
}

}  // namespace
}  // namespace mase
