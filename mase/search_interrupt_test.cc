// Searches that are interrupted, killed, left without their database, shared by workers: they go
// on, and nothing that was found is lost.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"
#include "mase/search/database.h"
#include "mase/search_command.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

namespace fs = std::filesystem;

using ::nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

// `ch` with these words in `folder`, sent the signal so long after `file` is there. How it ended:
// as CommandResult::exit_code.
int RunAndSignal(const std::vector<std::string>& words, const std::string& folder,
                 const std::string& file, absl::Duration after, int signal) {
  const std::string program = Runfile("mase/ch");
  std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (chdir(folder.c_str()) != 0) _exit(99);
    unsetenv("BUILD_WORKING_DIRECTORY");
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    dup2(null, 2);
    execv(program.c_str(), arguments.data());
    _exit(99);
  }
  for (int i = 0; i < 1500 && !fs::exists(fs::path(folder) / file); ++i) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  absl::SleepFor(after);
  kill(child, signal);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(SearchInterruptTest, ASearchGoesOnInItsDirectoryAndRefusesAnother) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Search(folder, LabFile(), {"--sampler=random", "--trials=5"}).exit_code, 0);
  const json before = ReadJson(folder + "/out/log.json");
  ASSERT_EQ(before.size(), 5u);
  const CommandResult more = Search(folder, LabFile(), {"--sampler=random", "--trials=9"});
  ASSERT_EQ(more.exit_code, 0) << more.err;
  const json after = ReadJson(folder + "/out/log.json");
  ASSERT_EQ(after.size(), 9u);
  for (const char* row : {"0", "4"}) {
    EXPECT_EQ(after[row]["user_attrs_sampled_config"], before[row]["user_attrs_sampled_config"]);
    EXPECT_EQ(after[row]["values_0"], before[row]["values_0"]);
  }
  // Nothing is searched any more, and a trial of it is applied.
  const CommandResult applied =
      Search(folder, LabFile(), {"--sampler=random", "--trials=9", "--apply=3"});
  ASSERT_EQ(applied.exit_code, 0) << applied.err;
  EXPECT_TRUE(fs::exists(folder + "/out/trial-3/transformed.safetensors"));
  const CommandResult other = Search(folder, LabFile(), {"--sampler=grid"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("was searched with other settings"));
}

TEST(SearchInterruptTest, WorkersShareTheStudyOfADatabase) {
  const std::string folder = NewFolder();
  const std::string storage = "--storage=sqlite:///" + folder + "/shared.db";
  const std::vector<std::string> words = {
      "search",  "--config=" + LabFile(), "--set=dataset.rows=4000", "--sampler=random", storage,
      "--worker"};
  for (const char* number : {"1", "2"}) {
    std::vector<std::string> worker = words;
    worker.push_back(absl::StrCat("--run_dir=worker", number));
    worker.push_back(absl::StrCat("--trials=", number, "0"));
    const CommandResult run = RunCommand("mase/ch", worker, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, Not(HasSubstr("whole test split")));
  }
  EXPECT_EQ(ReadJson(folder + "/worker1/log.json").size(), 10u);
  EXPECT_EQ(ReadJson(folder + "/worker2/log.json").size(), 18u);
}

// Somebody locks the study's database for good. All that was found is in the run directory, and the
// same command goes on later.
TEST(SearchInterruptTest, ADatabaseThatGoesAwayLosesNothingThatWasFound) {
  const std::string folder = NewFolder();
  const std::string url = absl::StrCat("sqlite:///", folder, "/shared.db");
  std::atomic<bool> over = false;
  std::thread somebody([&] {
    while (!over && !fs::exists(folder + "/shared.db")) absl::SleepFor(absl::Milliseconds(20));
    auto database = ValueOrDie(Database::Open(url, absl::Seconds(30), nullptr));
    int complete = 0;
    while (!over && complete < 2) {
      const auto count = [&](soci::session& sql) {
        sql << "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'", soci::into(complete);
        return absl::OkStatus();
      };
      if (!database->Transact(count).ok()) complete = 0;  // There are no tables yet.
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_OK(database->Transact([&](soci::session&) {
      while (!over) absl::SleepFor(absl::Milliseconds(20));
      return absl::OkStatus();
    }));
  });
  const std::vector<std::string> words = {
      NotWider(3), "--storage=" + url,
      "--set=search.strategy.storage={timeout=1, grace_period=2, heartbeat_interval=0.5}",
      "--set=search.strategy.sw_runner.basic_train.max_epochs=5", "--jobs=1"};
  const std::string config = Runfile("testdata/configs/jsc_widths_search.toml");
  const CommandResult gone = Search(folder, config, words);
  over = true;
  somebody.join();
  EXPECT_EQ(gone.exit_code, 1) << gone.err;
  EXPECT_THAT(gone.err, HasSubstr("gave up after"));
  EXPECT_THAT(gone.err, HasSubstr("and the same command goes on from there"));
  EXPECT_THAT(States(ReadJson(folder + "/out/log.json")), Contains(Pair("COMPLETE", Gt(1))));
  const CommandResult again = Search(folder, config, words);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(States(ReadJson(folder + "/out/log.json")), Contains(Pair("COMPLETE", 9)));
}

// Fast trials, of which many are taken at a time.
TEST(SearchInterruptTest, TrialsThatAnInterruptLeavesAreRunByTheNextCommand) {
  const std::string folder = NewFolder();
  const std::string widths = "[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]\n";
  const std::string config = WriteConfig(
      folder, absl::StrCat("[search.search_space]\n"
                           "name = \"graph/quantize/mixed_precision_ptq\"\n"
                           "[search.search_space.seed.seq_blocks_2.config]\n"
                           "name = [\"integer\"]\ndata_in_width = ",
                           widths, "data_in_frac_width = ", widths, "weight_width = ", widths,
                           "weight_frac_width = ", widths, "bias_width = ", widths,
                           "[search.strategy.setup]\nsampler = \"random\"\n", kMetrics));
  const std::vector<std::string> words = {"search", "--config=" + config, "--run_dir=out",
                                          "--set=dataset.rows=4000"};
  std::vector<std::string> many = words;
  many.push_back("--trials=150000");
  ASSERT_EQ(RunAndSignal(many, folder, "out/study.db", absl::Seconds(1), SIGINT), 130);
  const json before = ReadJson(folder + "/out/log.json");
  EXPECT_GT(before.size(), 40u);
  EXPECT_LT(before.size(), 150000u);
  EXPECT_THAT(States(before), ElementsAre(Pair("COMPLETE", before.size())));

  const size_t target = before.size() + 40;
  const CommandResult run = Search(folder, config, {absl::StrCat("--trials=", target)});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json after = ReadJson(folder + "/out/log.json");
  EXPECT_THAT(States(after), ElementsAre(Pair("COMPLETE", target)));
  EXPECT_TRUE(after.contains(absl::StrCat(target - 1)));  // No number is left out.
}

TEST(SearchInterruptTest, ASearchThatIsKilledAgainAndAgainEndsWithAllItsTrials) {
  for (const bool shared : {false, true}) {
    const std::string folder = NewFolder();
    std::vector<std::string> words = {
        "search",
        "--config=" + Runfile("testdata/configs/jsc_widths_search.toml"),
        "--run_dir=out",
        NotWider(3),
        "--set=search.strategy.sw_runner.basic_train.max_epochs=40",
        "--set=dataset.rows=40000",
        "--jobs=2"};
    const std::string file = shared ? "shared.db" : "out/study.db";
    if (shared) {
      words.push_back("--storage=sqlite:///" + folder + "/shared.db");
      words.push_back("--set=search.strategy.storage.heartbeat_interval=0.2");
      words.push_back("--set=search.strategy.storage.grace_period=2");
    }
    for (const int milliseconds : {300, 600}) {
      EXPECT_EQ(RunAndSignal(words, folder, file, absl::Milliseconds(milliseconds), SIGKILL),
                128 + SIGKILL);
    }
    const CommandResult run = RunCommand("mase/ch", words, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const json log = ReadJson(folder + "/out/log.json");
    EXPECT_EQ(States(log)["COMPLETE"], 9) << log.dump(1);
    std::set<std::string> points;
    for (const auto& [number, trial] : log.items()) {
      if (trial["state"] == "COMPLETE") {
        points.insert(trial["user_attrs_sampled_config"].dump());
      } else {
        EXPECT_EQ(trial["user_attrs_error"], "its worker died") << trial.dump(1);
      }
    }
    EXPECT_EQ(points.size(), 9u);
    for (const auto& entry : fs::directory_iterator(folder + "/out")) {
      EXPECT_FALSE(entry.is_directory()) << entry.path();
    }
  }
}

}  // namespace
}  // namespace mase
