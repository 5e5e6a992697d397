// Workers of one study that are killed all the time: no trial is lost and none is done twice.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/sampler/draws.h"
#include "mase/search/study.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

constexpr int kPoints = 300;
constexpr int kWorkers = 4;
constexpr int kKills = 30;

StudySpec Spec(const std::string& name) {
  return {.name = name,
          .directions = {Direction::kMinimize},
          .metric_names = {"loss"},
          .space = ValueOrDie(ParameterSpace::Create(
              {IntegerParameter("point", 0, kPoints - 1), IntegerParameter("half", 0, 1)}))};
}

// A worker: takes what is in the queue until nothing is left, and ends with 0.
[[noreturn]] void Work(const StorageSettings& settings, const std::string& name) {
  auto study = Study::Open(settings, Spec(name));
  if (!study.ok()) _exit(2);
  for (int idle = 0; idle < 30;) {
    auto trials = (*study)->Begin(1);
    if (!trials.ok()) _exit(3);
    Trial& trial = (*trials)[0];
    // A number without a point: the queue is empty. Others may die and leave something yet.
    if (trial.point.empty()) {
      ++idle;
      trial.state = TrialState::kFailed;
    } else {
      idle = 0;
      trial.state = TrialState::kComplete;
      trial.values = {trial.point[0]};
    }
    absl::SleepFor(absl::Milliseconds(trial.point.empty() ? 50 : 3));
    if (!(*study)->Finish(trial).ok()) _exit(4);
  }
  _exit((*study)->Flush().ok() ? 0 : 5);
}

pid_t StartWorker(const StorageSettings& settings, const std::string& name) {
  const pid_t worker = fork();
  if (worker == 0) Work(settings, name);
  return worker;
}

TEST(StudySoakTest, KilledWorkersLoseAndDoubleNothing) {
  StorageSettings settings;
  const char* url = std::getenv("MASE_TEST_DATABASE");
  const std::string name = absl::StrCat("soak", absl::ToUnixNanos(absl::Now()));
  settings.set_url(
      url != nullptr ? url : absl::StrCat("sqlite:///", ::testing::TempDir(), "/", name, ".db"));
  settings.set_heartbeat_interval(0.05);
  settings.set_grace_period(0.5);
  settings.set_timeout(60);
  {
    auto study = ValueOrDie(Study::Open(settings, Spec(name)));
    for (int i = 0; i < kPoints; ++i) {
      ASSERT_OK(study->Enqueue({static_cast<double>(i), static_cast<double>(i % 2)}));
    }
  }
  std::vector<pid_t> workers;
  for (int i = 0; i < kWorkers; ++i) workers.push_back(StartWorker(settings, name));
  Draws draws(0, 0);
  int killed = 0;
  for (int i = 0; i < kKills; ++i) {
    absl::SleepFor(absl::Milliseconds(20 + static_cast<int64_t>(draws.Index(60))));
    pid_t& worker = workers[draws.Index(kWorkers)];
    kill(worker, SIGKILL);
    int status = 0;
    waitpid(worker, &status, 0);
    killed += WIFSIGNALED(status);
    worker = StartWorker(settings, name);
  }
  EXPECT_GT(killed, kKills / 2);
  for (pid_t worker : workers) {
    int status = 0;
    waitpid(worker, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }

  auto study = ValueOrDie(Study::Open(settings, Spec(name)));
  std::map<int, int> completed;
  int64_t expected = 0;
  for (const Trial* trial : study->history().trials()) {
    if (trial->state == TrialState::kComplete) {
      ++completed[static_cast<int>(trial->point[0])];
      EXPECT_EQ(trial->values[0], trial->point[0]);
    }
    // No number twice. One may be missing here: that of a trial that still seems to run.
    EXPECT_GE(trial->number, expected);
    expected = trial->number + 1;
  }
  EXPECT_EQ(completed.size(), static_cast<size_t>(kPoints));
  for (const auto& [point, times] : completed) EXPECT_EQ(times, 1) << point;
}

}  // namespace
}  // namespace mase
