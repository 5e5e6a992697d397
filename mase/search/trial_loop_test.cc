#include "mase/search/trial_loop.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class Starving final : public TrialRunner {
 public:
  absl::StatusOr<TrialFigures> Run(const Trial&, const EpochWatch&) override {
    throw std::bad_alloc();
  }
};

// With the first value of its first choice there is nothing to measure.
class Picky final : public TrialRunner {
 public:
  absl::StatusOr<TrialFigures> Run(const Trial& trial, const EpochWatch&) override {
    const Point& point = trial.point;
    if (point[0] == 0) return absl::InvalidArgumentError("a: 1 is too narrow\n  Try 2.");
    TrialFigures figures;
    figures.software["accuracy"] = point[1];
    return figures;
  }
};

// The third trial finds the disk full.
class Unlucky final : public TrialRunner {
 public:
  absl::StatusOr<TrialFigures> Run(const Trial& trial, const EpochWatch&) override {
    if (trial.number == 2) return absl::UnavailableError("x: cannot write: No space left");
    TrialFigures figures;
    figures.software["accuracy"] = trial.point[1];
    return figures;
  }
};

// With 2 and 40 values.
SearchSettings TwoChoices() {
  SearchSettings settings;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        search_space {
          settings {
            name: "a"
            values { number_value: 1 }
            values { number_value: 2 }
          }
          settings { name: "b" low: 1 high: 40 step: 1 }
        }
        strategy { metrics { name: "accuracy" } }
      )pb",
      &settings));
  return settings;
}

StudySpec SpecOfTwoChoices() {
  const SearchSettings settings = TwoChoices();
  const SearchSpace space = ValueOrDie(SearchSpace::Create(settings.search_space(), Graph()));
  const Objective objective = ValueOrDie(Objective::Create(settings, space.parameters()));
  return {.name = "test",
          .directions = objective.directions(),
          .metric_names = objective.names(),
          .space = space.parameters()};
}

using RunnerMaker = std::function<std::unique_ptr<TrialRunner>()>;

// How a search of the two choices ends, and its study.
absl::Status EndOf(const TrialLoopOptions& options, const RunnerMaker& make,
                   const std::string& name = "random", std::unique_ptr<Study>* kept = nullptr,
                   Reporter* reporter = nullptr, const StorageSettings& storage = {}) {
  const SearchSettings settings = TwoChoices();
  const SearchSpace space = ValueOrDie(SearchSpace::Create(settings.search_space(), Graph()));
  const Objective objective = ValueOrDie(Objective::Create(settings, space.parameters()));
  const Graph graph;
  const SearchSample sample;
  Reporter silent;
  const RunEnvironment environment = {.reporter = reporter != nullptr ? *reporter : silent};
  const SearchContext context{settings, space, objective, graph, sample, nullptr, environment, ""};
  SamplerSettings sampler;
  sampler.set_name(name);
  PointChooser chooser =
      ValueOrDie(PointChooser::Create(sampler, space.parameters(), objective, /*seed=*/0));
  auto study = ValueOrDie(Study::Open(storage, SpecOfTwoChoices()));
  TrialLoop loop(context, *study, chooser, make, options);
  const absl::Status end = loop.Run();
  if (kept != nullptr) *kept = std::move(study);
  return end;
}

TEST(TrialLoopTest, AThreadWithoutMemoryEndsTheSearchAndNotTheProcess) {
  for (const int batch : {0, 2}) {
    EXPECT_THAT(EndOf({.target = 2, .jobs = 2, .batch = batch},
                      [] { return std::make_unique<Starving>(); }),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("memory")))
        << batch;
  }
}

// A full disk says nothing of a point: it is tried again by the command that goes on.
TEST(TrialLoopTest, ATrialThatTheMachineDidNotLetBeMeasuredIsGivenBackAndEndsTheSearch) {
  for (const int batch : {0, 4}) {
    std::unique_ptr<Study> study;
    EXPECT_THAT(
        EndOf(
            {.target = 10, .batch = batch}, [] { return std::make_unique<Unlucky>(); }, "random",
            &study),
        StatusIs(absl::StatusCode::kUnavailable, "trial 2: x: cannot write: No space left"));
    for (const Trial* trial : study->history().trials()) {
      EXPECT_EQ(trial->state, TrialState::kComplete);
      EXPECT_NE(trial->number, 2);
    }
    const std::vector<Trial> next = ValueOrDie(study->Begin(1));
    ASSERT_EQ(next.size(), 1u);
    EXPECT_EQ(next[0].number, 2);
  }
}

// While the second trial runs, another worker of the study takes and ends one.
class Accompanied final : public TrialRunner {
 public:
  explicit Accompanied(const StorageSettings& storage) : storage_(storage) {}

  absl::StatusOr<TrialFigures> Run(const Trial& trial, const EpochWatch&) override {
    if (trial.number == 1) {
      auto other = ValueOrDie(Study::Open(storage_, SpecOfTwoChoices()));
      Trial theirs = ValueOrDie(other->Begin(1))[0];
      theirs.point = {1 - trial.point[0], trial.point[1]};
      theirs.values = {0.5};
      theirs.state = TrialState::kComplete;
      EXPECT_OK(other->Finish(theirs));
    }
    TrialFigures figures;
    figures.software["accuracy"] = trial.point[1];
    return figures;
  }

 private:
  const StorageSettings storage_;
};

TEST(TrialLoopTest, WorkersOfOneStudyMakeAsManyTrialsAsItIsToHaveAndNoMore) {
  for (const int target : {2, 3, 4}) {
    StorageSettings storage;
    storage.set_url(absl::StrCat("sqlite:///", ::testing::TempDir(), "/workers", target, ".db"));
    std::remove(storage.url().substr(10).c_str());
    ASSERT_OK(EndOf(
        {.target = target}, [&] { return std::make_unique<Accompanied>(storage); }, "random",
        nullptr, nullptr, storage));
    // The other worker of this test takes its trial whatever the target.
    EXPECT_EQ(ValueOrDie(Study::Open(storage, SpecOfTwoChoices()))->history().size(),
              std::max(target, 3));
  }
}

class Listening final : public Reporter {
 public:
  void Message(LogLevel level, absl::string_view text) override {
    if (level == LogLevel::kWarning) warnings.emplace_back(text);
  }
  std::vector<std::string> warnings;
};

TEST(TrialLoopTest, AValueThatAlwaysFailsIsLeftAloneAndSaidOnce) {
  for (const char* const name : {"random", "tpe", "nsgaii"}) {
    std::unique_ptr<Study> study;
    Listening reporter;
    ASSERT_OK(EndOf(
        {.target = 40}, [] { return std::make_unique<Picky>(); }, name, &study, &reporter));
    int failed = 0;
    for (const Trial* trial : study->history().trials()) {
      failed += trial->state == TrialState::kFailed;
    }
    EXPECT_EQ(study->history().size(), 40u);
    EXPECT_EQ(failed, kFailuresOfAValue) << name;
    ASSERT_EQ(reporter.warnings.size(), 2u);
    EXPECT_THAT(reporter.warnings[0], EndsWith("failed: \"a: 1 is too narrow\""));
    EXPECT_THAT(reporter.warnings[1], HasSubstr("4 trials failed"));
  }
}

// A grid has no choice, and where all others are tried they are, too.
TEST(TrialLoopTest, WhatAlwaysFailsIsTriedWhereNothingElseIsLeft) {
  for (const char* const name : {"random", "qmc"}) {
    std::unique_ptr<Study> study;
    ASSERT_OK(EndOf(
        {.target = 80}, [] { return std::make_unique<Picky>(); }, name, &study));
    EXPECT_EQ(study->history().size(), 80u);
  }
}

}  // namespace
}  // namespace mase
