#include "mase/search/study.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"
#include "mase/search/database.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::NanSensitiveDoubleEq;
using ::testing::SizeIs;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

StudySpec Spec() {
  SearchParameter depends = RealParameter("rate", 1e-4, 1, /*log=*/true);
  depends.parent = 1;
  depends.parent_values = {1};
  return {.name = "test",
          .directions = {Direction::kMaximize, Direction::kMinimize},
          .metric_names = {"accuracy", "bits"},
          .space = ValueOrDie(ParameterSpace::Create(
              {IntegerParameter("a", 0, 9),
               CategoricalParameter("kind", {{}, std::string("in\"teger")}), depends}))};
}

// Where a study is kept: a file of its own for each test, or, where the variable names one, a
// database of a server, which tests share under studies of their own.
class StudyTest : public ::testing::Test {
 protected:
  StudyTest() : spec_(Spec()) {
    const char* url = std::getenv("MASE_TEST_DATABASE");
    const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    if (url != nullptr) {
      settings_.set_url(url);
      spec_.name = absl::StrCat(test, absl::ToUnixNanos(absl::Now()));
    } else {
      const std::string file = absl::StrCat(::testing::TempDir(), "/", test, ".db");
      for (const char* end : {"", "-wal", "-shm"}) unlink((file + end).c_str());
      settings_.set_url(absl::StrCat("sqlite:///", file));
    }
    settings_.set_timeout(0.5);
  }

  bool sqlite() const { return absl::StartsWith(settings_.url(), "sqlite"); }
  std::string file() const { return settings_.url().substr(10); }
  std::unique_ptr<Study> Open() { return ValueOrDie(Study::Open(settings_, spec_)); }

  // Runs one statement on the database behind the studies' back.
  void Execute(const std::string& statement) {
    auto database = ValueOrDie(Database::Open(settings_.url(), absl::Seconds(5), nullptr));
    EXPECT_OK(database->Transact([&](soci::session& sql) {
      sql << statement;
      return absl::OkStatus();
    }));
  }

  StorageSettings settings_;
  StudySpec spec_;
};

Trial Done(Trial trial, Point point, std::vector<double> values) {
  trial.point = std::move(point);
  trial.state = TrialState::kComplete;
  trial.values = std::move(values);
  return trial;
}

TEST_F(StudyTest, WhatIsFinishedIsReadBackBitForBit) {
  const double third = 1.0 / 3, tiny = 4.9406564584124654e-324, huge = 1.7976931348623157e308;
  {
    auto study = Open();
    std::vector<Trial> trials = ValueOrDie(study->Begin(3));
    trials[0].attributes["note"] = "{\"x\": [1, \"\u00e9\"]}";
    trials[0].constraints = {-1.5, third};
    EXPECT_OK(study->Report(0, 1, third));
    EXPECT_OK(study->Report(0, 2, std::nan("")));
    EXPECT_OK(study->Report(0, 2, -kInfinity));
    EXPECT_OK(study->Finish(Done(trials[0], {7, 1, 0.1}, {third, kInfinity})));
    EXPECT_OK(study->Finish(Done(trials[1], {0, 0, kInactive}, {tiny, -huge})));
    trials[2].state = TrialState::kPruned;
    trials[2].point = {3, 1, third};
    EXPECT_OK(study->Finish(trials[2]));
  }
  auto study = Open();
  ASSERT_EQ(study->history().size(), 3u);
  const Trial& first = *study->history().Find(0);
  EXPECT_EQ(first.state, TrialState::kComplete);
  EXPECT_THAT(first.point, ElementsAre(7, 1, 0.1));
  EXPECT_THAT(first.values, ElementsAre(third, kInfinity));
  EXPECT_THAT(first.constraints, ElementsAre(-1.5, third));
  EXPECT_THAT(first.intermediate,
              ElementsAre(std::make_pair(1, third), std::make_pair(2, -kInfinity)));
  EXPECT_EQ(first.attributes.at("note"), "{\"x\": [1, \"\u00e9\"]}");
  EXPECT_LE(absl::Now() - first.start, absl::Minutes(5));
  EXPECT_GE(first.complete, first.start);
  const Trial& second = *study->history().Find(1);
  EXPECT_THAT(second.point, ElementsAre(0, 0, NanSensitiveDoubleEq(kInactive)));
  EXPECT_THAT(second.values, ElementsAre(tiny, -huge));
  EXPECT_EQ(study->history().Find(2)->state, TrialState::kPruned);
  EXPECT_THAT(study->running(), IsEmpty());
}

TEST_F(StudyTest, TrialsAreNumberedOnAndEnqueuedOnesComeFirst) {
  auto study = Open(), other = Open();
  EXPECT_OK(study->Enqueue({5, 0, kInactive}));
  std::vector<Trial> trials = ValueOrDie(other->Begin(2));
  ASSERT_THAT(trials, SizeIs(2));
  EXPECT_EQ(trials[0].number, 0);
  EXPECT_THAT(trials[0].point, ElementsAre(5, 0, NanSensitiveDoubleEq(kInactive)));
  EXPECT_EQ(trials[1].number, 1);
  EXPECT_THAT(trials[1].point, IsEmpty());
  const std::vector<Trial> next = ValueOrDie(study->Begin(1));
  EXPECT_EQ(next[0].number, 2);
  EXPECT_OK(other->Finish(Done(trials[1], {3, 0, kInactive}, {0.5, 8})));
  EXPECT_OK(other->Flush());
  EXPECT_OK(study->Refresh());
  EXPECT_EQ(study->history().size(), 1u);
  ASSERT_THAT(study->running(), SizeIs(2));
  EXPECT_EQ(study->running()[0].number, 2);
  EXPECT_THAT(study->running()[1].point, ElementsAre(5, 0, NanSensitiveDoubleEq(kInactive)));
  EXPECT_THAT(other->Finish(trials[1]),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("trial 1")));
}

TEST_F(StudyTest, TheQueueAloneCanBeWorkedOff) {
  auto study = Open();
  EXPECT_THAT(ValueOrDie(study->BeginOf(100, 2, /*only_queued=*/true)), IsEmpty());
  EXPECT_OK(study->Enqueue({5, 0, kInactive}));
  const std::vector<Trial> trials = ValueOrDie(study->BeginOf(100, 2, /*only_queued=*/true));
  ASSERT_THAT(trials, SizeIs(1));
  EXPECT_EQ(trials[0].number, 0);
  EXPECT_THAT(ValueOrDie(study->BeginOf(100, 1, /*only_queued=*/true)), IsEmpty());
}

TEST_F(StudyTest, APointThatIsChosenIsSeenByOthers) {
  auto study = Open(), other = Open();
  Trial trial = ValueOrDie(study->Begin(1))[0];
  trial.point = {4, 1, 0.5};
  EXPECT_OK(study->Choose(trial));
  EXPECT_OK(study->Flush());
  EXPECT_OK(other->Refresh());
  ASSERT_THAT(other->running(), SizeIs(1));
  EXPECT_THAT(other->running()[0].point, ElementsAre(4, 1, 0.5));
}

// Two workers that saw the same trials choose the same point.
TEST_F(StudyTest, WhatAnotherChoseAMomentAgoIsNotChosenAgain) {
  auto study = Open(), other = Open();
  Trial trial = ValueOrDie(study->Begin(1))[0], late = ValueOrDie(other->Begin(1))[0];
  trial.point = late.point = {4, 1, 0.5};
  EXPECT_TRUE(ValueOrDie(study->Choose(trial)));
  EXPECT_FALSE(ValueOrDie(other->Choose(late)));
  ASSERT_THAT(other->running(), SizeIs(2));
  EXPECT_THAT(other->running()[0].point, IsEmpty());
  EXPECT_THAT(other->running()[1].point, ElementsAre(4, 1, 0.5));
  late.point = {4, 1, 0.25};
  EXPECT_TRUE(ValueOrDie(other->Choose(late)));
  late = ValueOrDie(other->Begin(1))[0];
  EXPECT_OK(study->Finish(Done(trial, trial.point, {0.5, 8})));
  EXPECT_OK(study->Flush());
  late.point = trial.point;
  EXPECT_FALSE(ValueOrDie(other->Choose(late)));  // It is finished meanwhile.
}

TEST_F(StudyTest, TrialsOfTheDeadAreFailedAndTriedAgainAndNoneTwice) {
  settings_.set_heartbeat_interval(1000);  // As if dead at once.
  settings_.set_grace_period(0.2);
  auto dead = Open();
  Trial trial = ValueOrDie(dead->Begin(1))[0];
  trial.point = {4, 1, 0.5};
  EXPECT_OK(dead->Choose(trial));
  EXPECT_OK(dead->Flush());
  absl::SleepFor(absl::Milliseconds(400));
  settings_.set_heartbeat_interval(0.05);
  auto study = Open();
  std::vector<Trial> again = ValueOrDie(study->Begin(1));
  EXPECT_EQ(again[0].number, 1);
  EXPECT_THAT(again[0].point, ElementsAre(4, 1, 0.5));
  EXPECT_EQ(study->history().Find(0)->state, TrialState::kFailed);
  // The one that was thought dead comes back, too late.
  EXPECT_OK(dead->Finish(Done(trial, {4, 1, 0.5}, {0.5, 8})));
  EXPECT_OK(dead->Flush());
  EXPECT_OK(study->Finish(Done(again[0], {4, 1, 0.5}, {0.25, 8})));
  study.reset();
  study = Open();
  EXPECT_EQ(study->history().size(), 2u);
  EXPECT_EQ(study->history().Find(0)->state, TrialState::kFailed);
  EXPECT_THAT(study->history().Find(1)->values, ElementsAre(0.25, 8));
}

TEST_F(StudyTest, TrialsThatAreGivenBackAreTakenAgainAsTheyWere) {
  auto study = Open();
  std::vector<Trial> trials = ValueOrDie(study->Begin(3));
  trials[1].point = {4, 1, 0.5};
  EXPECT_OK(study->Choose(trials[1]));
  EXPECT_OK(study->Report(1, 1, 0.25));
  EXPECT_OK(study->Finish(Done(trials[0], {7, 0, kInactive}, {0.5, 8})));
  EXPECT_OK(study->GiveBack({1, 2}));
  EXPECT_THAT(study->running(), IsEmpty());
  EXPECT_THAT(study->GiveBack({2}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("trial 2")));
  auto other = Open();
  EXPECT_EQ(other->history().size(), 1u);
  const std::vector<Trial> again = ValueOrDie(other->Begin(1));
  EXPECT_EQ(again[0].number, 1);
  EXPECT_THAT(again[0].point, ElementsAre(4, 1, 0.5));
  EXPECT_THAT(again[0].intermediate, IsEmpty());
  // Who gave them back can take them again, too.
  const std::vector<Trial> own = ValueOrDie(study->Begin(2));
  EXPECT_EQ(own[0].number, 2);
  EXPECT_THAT(own[0].point, IsEmpty());
  EXPECT_EQ(own[1].number, 3);
  EXPECT_OK(other->Finish(Done(again[0], {4, 1, 0.5}, {0.25, 8})));
  EXPECT_OK(other->Flush());
  EXPECT_THAT(Open()->history().Find(1)->point, ElementsAre(4, 1, 0.5));
}

TEST_F(StudyTest, WhoIsAloneNeedNotWaitForTheDead) {
  auto dead = Open();
  std::vector<Trial> trials = ValueOrDie(dead->Begin(2));
  trials[1].point = {4, 1, 0.5};
  EXPECT_OK(dead->Choose(trials[1]));
  EXPECT_OK(dead->Flush());
  auto study = Open();
  EXPECT_EQ(study->running_elsewhere(), 2u);
  EXPECT_OK(study->FailOthers());
  EXPECT_EQ(study->running_elsewhere(), 0u);
  ASSERT_EQ(study->history().size(), 2u);
  for (const Trial* trial : study->history().trials()) {
    EXPECT_EQ(trial->state, TrialState::kFailed);
    EXPECT_TRUE(DiedWithItsWorker(*trial));
  }
  const std::vector<Trial> again = ValueOrDie(study->Begin(2));
  EXPECT_EQ(again[0].number, 2);
  EXPECT_THAT(again[0].point, IsEmpty());
  EXPECT_THAT(again[1].point, ElementsAre(4, 1, 0.5));
  EXPECT_OK(study->FailOthers());  // Its own are not others'.
  EXPECT_EQ(study->running().size(), 2u);
}

TEST_F(StudyTest, ValuesThatAParameterCannotHaveAreNoPoint) {
  auto study = Open();
  const char* infinity = sqlite() ? "1e999" : "'Infinity'";
  const std::vector<const char*> wrong = {"5", "-1", "0.5", "1e300", infinity, "NULL"};
  for (size_t i = 0; i <= wrong.size(); ++i) {
    Trial trial = ValueOrDie(study->Begin(1))[0];
    trial.state = TrialState::kPruned;
    if (i % 2 == 0) trial = Done(std::move(trial), {}, {0.5, 8});
    trial.point = {7, 0, kInactive};
    EXPECT_OK(study->Finish(std::move(trial)));
  }
  EXPECT_OK(study->Flush());
  for (size_t i = 0; i < wrong.size(); ++i) {
    Execute(absl::StrCat("UPDATE trial_params SET param_value = ", wrong[i],
                         " WHERE param_name = 'kind' AND trial_id IN (SELECT trial_id FROM trials "
                         "WHERE number = ",
                         i, " AND study_id = (SELECT study_id FROM studies WHERE study_name = '",
                         spec_.name, "'))"));
  }
  study = Open();
  for (size_t i = 0; i < wrong.size(); ++i) {
    const Trial& trial = *study->history().Find(static_cast<int64_t>(i));
    EXPECT_NE(trial.state, TrialState::kComplete) << wrong[i];
    if (std::string(wrong[i]) == "NULL") {
      EXPECT_THAT(trial.point,
                  ElementsAre(7, NanSensitiveDoubleEq(kInactive), NanSensitiveDoubleEq(kInactive)));
      continue;
    }
    EXPECT_THAT(trial.point, IsEmpty()) << wrong[i];
    EXPECT_THAT(trial.attributes.at("error"), HasSubstr("parameter 'kind' cannot be ")) << wrong[i];
  }
  EXPECT_EQ(study->history().Find(static_cast<int64_t>(wrong.size()))->state,
            TrialState::kComplete);
}

TEST_F(StudyTest, AWorkerDoesNotReadItsOwnTrialsAgain) {
  if (!sqlite()) return;  // There other studies have trials of that number.
  auto study = Open();
  EXPECT_OK(study->Finish(Done(ValueOrDie(study->Begin(1))[0], {1, 0, kInactive}, {1, 2})));
  EXPECT_OK(study->Refresh());
  Execute("UPDATE trials SET number = 77");  // Would be new.
  EXPECT_OK(study->Refresh());
  EXPECT_EQ(study->history().size(), 1u);
}

TEST_F(StudyTest, AWorkerThatLivesKeepsItsTrials) {
  settings_.set_heartbeat_interval(0.05);
  settings_.set_grace_period(0.5);
  auto slow = Open();
  const Trial trial = ValueOrDie(slow->Begin(1))[0];
  absl::SleepFor(absl::Milliseconds(900));
  auto study = Open();
  EXPECT_EQ(ValueOrDie(study->Begin(1))[0].number, 1);
  EXPECT_OK(slow->Finish(Done(trial, {1, 0, kInactive}, {0.5, 8})));
  EXPECT_OK(slow->Flush());
  EXPECT_OK(study->Refresh());
  EXPECT_EQ(study->history().Find(0)->state, TrialState::kComplete);
}

TEST_F(StudyTest, ATrialThatKillsItsWorkersIsGivenUp) {
  settings_.set_heartbeat_interval(1000);
  settings_.set_grace_period(0.05);
  EXPECT_OK(Open()->Enqueue({4, 0, kInactive}));
  for (int death = 0; death <= kMostRetries; ++death) {
    EXPECT_THAT(ValueOrDie(Open()->Begin(1))[0].point, SizeIs(3)) << death;
    absl::SleepFor(absl::Milliseconds(150));
  }
  EXPECT_THAT(ValueOrDie(Open()->Begin(1))[0].point, IsEmpty());
}

TEST_F(StudyTest, PointsAndValuesThatAreNoneAreRefused) {
  auto study = Open();
  EXPECT_THAT(study->Enqueue({11, 0, kInactive}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'a'")));
  const Trial trial = ValueOrDie(study->Begin(1))[0];
  EXPECT_THAT(
      study->Finish(Done(trial, {1, 0, kInactive}, {std::nan(""), 1})),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("trial 0 has the values nan")));
  EXPECT_THAT(study->Finish(Done(trial, {1, 0, kInactive}, {1})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("accuracy, bits")));
}

TEST_F(StudyTest, AnotherStudyOfThatNameIsRefused) {
  {
    auto study = Open();
    EXPECT_OK(study->Finish(Done(ValueOrDie(study->Begin(1))[0], {1, 0, kInactive}, {1, 2})));
  }
  const StudySpec spec = spec_;
  spec_.directions[1] = Direction::kMaximize;
  EXPECT_THAT(Study::Open(settings_, spec_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("MAXIMIZE, MINIMIZE")));
  spec_ = spec;
  spec_.metric_names[1] = "bytes";
  EXPECT_THAT(Study::Open(settings_, spec_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("measures")));
  spec_ = spec;
  spec_.space = ValueOrDie(ParameterSpace::Create({IntegerParameter("a", 0, 8)}));
  EXPECT_THAT(
      Study::Open(settings_, spec_),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("another search space: parameter '")));
  spec_ = spec;
  EXPECT_EQ(Open()->history().size(), 1u);
}

// testdata/optuna_5.sql is the dump of a file in which Optuna 5.0.0 kept a study of this space.
TEST_F(StudyTest, AStudyOfOptunasIsReadAndWorkedAt) {
  if (!sqlite()) return;  // The dump is SQLite's.
  std::ifstream dump(Runfile("mase/search/testdata/optuna_5.sql"));
  std::string statement;
  auto database = ValueOrDie(Database::Open(settings_.url(), absl::Seconds(5), nullptr));
  EXPECT_OK(database->Transact([&](soci::session& sql) {
    while (std::getline(dump, statement)) sql << statement;
    return absl::OkStatus();
  }));
  auto study = Open();
  ASSERT_EQ(study->history().size(), 4u);
  const Trial& first = *study->history().Find(0);
  EXPECT_THAT(first.point, ElementsAre(7, 1, 0.1));
  EXPECT_THAT(first.values, ElementsAre(1.0 / 3, 8));
  EXPECT_EQ(first.attributes.at("note"), R"({"x": [1, "\u00e9"]})");
  EXPECT_THAT(study->history().Find(1)->values, ElementsAre(1.0 / 3, kInfinity));
  EXPECT_EQ(study->history().Find(3)->state, TrialState::kPruned);
  ASSERT_THAT(study->running(), SizeIs(1));
  EXPECT_EQ(study->running()[0].number, 4);
  // Trial 5 was enqueued with a = 50, which the space does not have.
  const Trial next = ValueOrDie(study->Begin(1))[0];
  EXPECT_EQ(next.number, 6);
  EXPECT_OK(study->Refresh());
  EXPECT_EQ(study->history().Find(5)->attributes.at("error"), R"("parameter 'a' cannot be 50")");
}

TEST_F(StudyTest, AStudyThatShouldBeThereIsNotMade) {
  Open();
  StudySpec wrong = spec_;
  wrong.name = "tset";
  wrong.is_there = true;
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Study::Open(settings_, wrong),
                StatusIs(absl::StatusCode::kNotFound,
                         AllOf(HasSubstr("has no study 'tset'; it has "), HasSubstr(spec_.name))));
  }
  spec_.is_there = true;
  EXPECT_OK(Study::Open(settings_, spec_));
}

TEST_F(StudyTest, AFileThatShouldBeThereIsNotMade) {
  if (!sqlite()) return;
  const std::string file = ::testing::TempDir() + "/no_study.db";
  StorageSettings nowhere = settings_;
  nowhere.set_url("sqlite:///" + file);
  spec_.is_there = true;
  EXPECT_THAT(Study::Open(nowhere, spec_),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr(file + ": cannot open: No such file or directory")));
  EXPECT_FALSE(std::filesystem::exists(file));
}

// Workers make the study that they are started for; a name that is mistyped is told.
TEST_F(StudyTest, AStudyThatIsMadeBesideOthersIsTold) {
  Open();
  std::vector<std::string> told;
  const auto say = [&told](absl::string_view text) { told.emplace_back(text); };
  StudySpec other = spec_;
  other.name = spec_.name + " twice";
  ASSERT_OK(Study::Open(settings_, spec_, say));
  EXPECT_THAT(told, IsEmpty());
  ASSERT_OK(Study::Open(settings_, other, say));
  EXPECT_THAT(told, ElementsAre(AllOf(HasSubstr("made the study '" + other.name + "' beside "),
                                      HasSubstr("'" + spec_.name + "'"))));
  ASSERT_OK(Study::Open(settings_, other, say));
  EXPECT_THAT(told, SizeIs(1)) << "is there already";
}

TEST_F(StudyTest, TablesOfAnotherSchemaAreRefusedAndNotTouched) {
  if (!sqlite()) return;  // Would be in the way of the other tests.
  Open();
  Execute("UPDATE version_info SET schema_version = 13");
  Execute("DROP TABLE alembic_version");  // As others may have theirs.
  EXPECT_THAT(Study::Open(settings_, spec_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("schema 13"), HasSubstr("nothing was changed"))));
}

TEST_F(StudyTest, FilesThatAreNoStudiesAreRefused) {
  if (!sqlite()) return;
  FILE* text = fopen(file().c_str(), "w");
  fputs(
      "This is a text, and as long as the header of a database file is, a hundred bytes or so "
      "of text in one line or two.",
      text);
  fclose(text);
  EXPECT_THAT(Study::Open(settings_, spec_),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr(file()), HasSubstr("is no database of SQLite (\"file is not "
                                                          "a database\"); name another file"))));
  unlink(file().c_str());
  mkdir(file().c_str(), 0700);
  EXPECT_THAT(Study::Open(settings_, spec_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a folder; name a file")));
  rmdir(file().c_str());
  mkfifo(file().c_str(), 0600);
  EXPECT_THAT(Study::Open(settings_, spec_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no regular file")));
  unlink(file().c_str());
  Execute("CREATE TABLE recipes (name TEXT)");
  EXPECT_THAT(Study::Open(settings_, spec_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("holds no studies")));
}

TEST_F(StudyTest, FilesThatMayNotBeWrittenAreRefused) {
  if (!sqlite() || geteuid() == 0) return;  // To root all is permitted.
  Open();
  chmod(file().c_str(), 0400);
  EXPECT_THAT(Study::Open(settings_, spec_), StatusIs(absl::StatusCode::kInvalidArgument,
                                                      HasSubstr("may not be read and written")));
}

TEST_F(StudyTest, AFullDiskIsSaidAtOnce) {
  if (!sqlite()) return;
  const absl::Time begin = absl::Now();
  auto database = ValueOrDie(Database::Open(settings_.url(), absl::Minutes(5), nullptr));
  const auto write = [](soci::session& sql) {
    sql << "CREATE TABLE much (bytes BLOB)";
    sql << "PRAGMA max_page_count = 4";
    sql << "INSERT INTO much VALUES (zeroblob(1000000))";
    return absl::OkStatus();
  };
  EXPECT_THAT(database->Transact(write),
              StatusIs(absl::StatusCode::kUnavailable,
                       absl::StrCat(settings_.url(),
                                    ": the disk is full (\"database or disk is "
                                    "full\"); free some space, and give the same "
                                    "command again")));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(30));
}

TEST_F(StudyTest, ADiskThatFailsIsWaitedForForAMomentOnly) {
  if (!sqlite()) return;
  const absl::Time begin = absl::Now();
  auto database = ValueOrDie(Database::Open(settings_.url(), absl::Minutes(5), nullptr));
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {1 << 16, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = database->Transact([](soci::session& sql) {
    sql << "CREATE TABLE much (bytes BLOB)";
    sql << "INSERT INTO much VALUES (zeroblob(1000000))";
    return absl::OkStatus();
  });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               AllOf(HasSubstr("the disk does not read or write it (\"disk I/O "
                                               "error\")"),
                                     HasSubstr("gave up after"))));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(30));
}

TEST_F(StudyTest, ADatabaseThatDoesNotAnswerIsWaitedForAndThenGivenUp) {
  std::vector<std::string> said;
  settings_.set_url("postgresql://nobody:secret@127.0.0.1:1/none");
  settings_.set_timeout(0.3);
  const absl::Status gone = Study::Open(settings_, spec_, [&](absl::string_view text) {
                              said.emplace_back(text);
                            }).status();
  EXPECT_THAT(gone, StatusIs(absl::StatusCode::kUnavailable,
                             AllOf(HasSubstr("postgresql://nobody:***@127.0.0.1:1/none"),
                                   HasSubstr("gave up after"))));
  EXPECT_THAT(said, ElementsAre(HasSubstr("waiting up to 300ms")));
}

TEST_F(StudyTest, WhatCouldNotBeWrittenIsKeptAndWrittenLater) {
  if (!sqlite()) return;  // There others do not lock the whole database.
  settings_.set_timeout(0.1);
  auto study = Open();
  const Trial trial = ValueOrDie(study->Begin(1))[0];
  auto database = ValueOrDie(Database::Open(settings_.url(), absl::Seconds(5), nullptr));
  EXPECT_OK(database->Transact([&](soci::session&) {
    const absl::Status finished = study->Finish(Done(trial, {1, 0, kInactive}, {1, 2}));
    EXPECT_THAT(finished.ok() ? study->Flush() : finished,
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("database is locked")));
    return absl::OkStatus();
  }));
  EXPECT_EQ(Open()->history().size(), 0u);
  EXPECT_OK(study->Flush());
  EXPECT_THAT(Open()->history().Find(0)->values, ElementsAre(1, 2));
}

TEST_F(StudyTest, WhoHasGivenUpDoesNotWaitAgainUntilTheDatabaseAnswers) {
  if (!sqlite()) return;
  settings_.set_timeout(2);  // An attempt takes a second.
  std::vector<std::string> said;
  auto study = ValueOrDie(
      Study::Open(settings_, spec_, [&](absl::string_view text) { said.emplace_back(text); }));
  const Trial trial = ValueOrDie(study->Begin(1))[0];
  auto database = ValueOrDie(Database::Open(settings_.url(), absl::Seconds(5), nullptr));
  EXPECT_OK(database->Transact([&](soci::session&) {
    const absl::Status finished = study->Finish(Done(trial, {1, 0, kInactive}, {1, 2}));
    EXPECT_FALSE((finished.ok() ? study->Flush() : finished).ok());
    EXPECT_THAT(said, ElementsAre(HasSubstr("waiting up to 2s")));
    EXPECT_THAT(study->Flush(),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("gave up after")));
    EXPECT_EQ(said.size(), 1u);
    return absl::OkStatus();
  }));
  EXPECT_OK(study->Flush());
}

// Needs a server: tools/check_studies.
TEST_F(StudyTest, WhatAServerRefusesIsSaidAtOnceWithItsReason) {
  if (sqlite()) return;
  settings_.set_url(absl::StrCat(settings_.url(), "_of_nobody"));
  settings_.set_timeout(30);
  EXPECT_THAT(Study::Open(settings_, spec_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("does not exist")));
}

TEST(StudyInMemoryTest, NeedsNoFile) {
  auto study = ValueOrDie(Study::Open({}, Spec()));
  EXPECT_OK(study->Finish(Done(ValueOrDie(study->Begin(1))[0], {1, 0, kInactive}, {1, 2})));
  EXPECT_OK(study->Flush());
  EXPECT_EQ(study->history().size(), 1u);
  EXPECT_EQ(ValueOrDie(study->Begin(1))[0].number, 1);
}

TEST(DatabaseUrlTest, AddressesAreReadAsSqlAlchemyHasThem) {
  const DatabaseUrl url = ValueOrDie(
      ParseDatabaseUrl("postgresql+psycopg2://me:p%40ss@[::1]:5433/studies?sslmode=disable"));
  EXPECT_EQ(url.text, "postgresql://me:***@[::1]:5433/studies?sslmode=disable");
  EXPECT_EQ(url.connect,
            "host=::1 port=5433 user=me password=p@ss dbname=studies sslmode=disable "
            "connect_timeout=5 tcp_user_timeout=15000 keepalives_idle=5 keepalives_interval=5 "
            "keepalives_count=3 ");
  EXPECT_EQ(ValueOrDie(ParseDatabaseUrl("sqlite:////tmp/a b.db")).connect,
            "dbname=\"/tmp/a b.db\" timeout=1");
  for (const char* wrong : {"study.db", "sqlite:/x", "mysql://h/n", "postgresql://h", "sqlite:///",
                            "postgresql://h/a%2", "postgresql://h/a b"}) {
    EXPECT_THAT(ParseDatabaseUrl(wrong),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no storage")))
        << wrong;
  }
  EXPECT_THAT(Database::Open("sqlite:////no/such/folder/x.db", absl::Seconds(1), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/no/such/folder does not")));
}

}  // namespace
}  // namespace mase
