#include "mase/search/search_page.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/run/page/page.h"
#include "mase/search/search_plots.h"
#include "mase/search/search_results.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Words, a number by its logarithm, and one that is there only with "adamw".
SearchSettings Settings() {
  SearchSettings settings;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        search_space {
          settings {
            name: "training_optimizer"
            values { string_value: "adam" }
            values { string_value: "adamw<b>" }
          }
          settings { name: "learning_rate" low: 0.0001 high: 0.1 log: true }
          settings {
            name: "weight_decay"
            values { number_value: 0 }
            values { number_value: 0.5 }
            when {
              name: "training_optimizer"
              values { string_value: "adamw<b>" }
            }
          }
          settings {
            name: "seed"
            values { number_value: 1 }
          }
        }
        strategy {
          metrics { name: "accuracy" }
          metrics { name: "ebops" }
        }
      )pb",
      &settings));
  return settings;
}

TEST(SearchPageTest, ShowsAllTrialsAndNeedsNothingElse) {
  const SearchSettings settings = Settings();
  const SearchSpace space = ValueOrDie(SearchSpace::Create(settings.search_space(), Graph()));
  const Objective objective = ValueOrDie(Objective::Create(settings, space.parameters()));
  TrialHistory history;
  for (int64_t k = 0; k < 12; ++k) {
    const double which = static_cast<double>(k % 2);
    Trial trial = {.number = k,
                   .state = k == 5 ? TrialState::kFailed : TrialState::kComplete,
                   .point = {which, 1e-4 * std::pow(1.8, static_cast<double>(k)),
                             which == 1 ? static_cast<double>(k % 4 == 1) : kInactive, 0}};
    if (k != 5) {
      const double x = static_cast<double>(k);
      trial.values = {0.5 + 0.03 * x, 1000 + 200 * x * (k % 3 == 0 ? 1 : 2)};
    }
    history.Add(std::move(trial));
  }
  const std::vector<const Trial*> front = BestTrials(history.trials(), objective.directions());
  const Table importances = ImportanceTable(history.trials(), space, objective, 0);

  const std::string figure = ParallelCoordinates(history.trials(), front, space, objective);
  EXPECT_EQ(Count(figure, "class=\"axis\""), 5u) << "three choices and two objectives";
  EXPECT_EQ(Count(figure, "<title>"), 11u) << "a line for each complete trial";
  EXPECT_EQ(Count(figure, "class=\"front\""), front.size());
  EXPECT_THAT(figure, AllOf(HasSubstr("adamw&lt;b&gt;"), Not(HasSubstr("adamw<b>")),
                            HasSubstr("trial 11, accuracy 0.83, ebops"), Not(HasSubstr("nan"))));

  FinishedRun run;
  run.report.set_action("search");
  run.report.set_status("ok");
  const std::string page = PageOf({&run, 1}, [&](Plots& plots) {
    return SearchSections(history.trials(), front, space, objective, importances, plots);
  });
  for (const char* section : {"best", "search", "parallel", "importances", "trials"}) {
    EXPECT_THAT(page, HasSubstr(std::string("<section id=\"") + section + "\">"));
  }
  EXPECT_EQ(Count(page, "<figure class=\"plot\""), 4u) << "front, hypervolume, best of each";
  EXPECT_THAT(page, AllOf(HasSubstr("hypervolume of the front"), HasSubstr("best ebops so far"),
                          HasSubstr("\"dots\":true")));
  EXPECT_EQ(Count(page, "src=\"http"), 0u);
  EXPECT_EQ(Count(page, "<section"), Count(page, "</section>"));
  EXPECT_EQ(Count(page, "<div"), Count(page, "</div>"));
  ASSERT_OK(WriteFileAtomically(::testing::TempDir() + "/search.html", page));
}

TEST(SearchPageTest, ManyTrialsAreThinnedAndNothingIsNoFigure) {
  const SearchSettings settings = Settings();
  const SearchSpace space = ValueOrDie(SearchSpace::Create(settings.search_space(), Graph()));
  const Objective objective = ValueOrDie(Objective::Create(settings, space.parameters()));
  EXPECT_EQ(ParallelCoordinates({}, {}, space, objective), "");
  TrialHistory history;
  for (int64_t k = 0; k < 5000; ++k) {
    history.Add({.number = k,
                 .state = TrialState::kComplete,
                 .point = {0, 1e-3, kInactive, 0},
                 .values = {static_cast<double>(k % 100), static_cast<double>(k % 70)}});
  }
  const std::string figure = ParallelCoordinates(history.trials(), {}, space, objective);
  EXPECT_LE(Count(figure, "<title>"), 600u);
  EXPECT_THAT(figure, HasSubstr("one in 9 of those not on the front"));
}

}  // namespace
}  // namespace mase
