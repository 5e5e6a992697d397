// Kills a training again and again, at moments that nothing in it chooses, resumes it, and compares
// the end with that of a run that was left alone. In //... a few times; a soak of 100:
//
//   ./bazelw test //mase:train_kill_soak_test
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/model/checkpoint.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

const std::vector<std::string> kBegin = {"jsc-toy",
                                         "jsc-sim",
                                         "--set=dataset.rows=20000",
                                         "--max-epochs=4",
                                         "--batch-size=64",
                                         "--learning-rate=0.01",
                                         "--log-every-n-steps=3",
                                         "--checkpoint_every_n_steps=10"};

// What passes the nets are put through: none; some; a format that draws random numbers at each
// step, which a resumed run must draw again; and one that training changes.
struct Passes {
  const char* name;
  const char* config;
};
constexpr Passes kPasses[] = {{"Float", ""},
                              {"Integer", R"(
[passes.quantize.linear.config]
name = "integer"
data_in_width = 6
weight_width = 4
bias_width = 6
)"},
                              {"StochasticBinary", R"(
[passes.quantize.linear.config]
name = "binary"
weight_bipolar = true
weight_stochastic = true
)"},
                              {"LearnedSteps", R"(
[passes.quantize.linear.config]
name = "lsq"
data_in_level = 16
data_in_scale = 0.2
weight_level = 16
weight_sym = true
weight_scale = 0.1
bias_level = 16
bias_sym = true
bias_scale = 0.1
)"}};

// A training in the background.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Runfile("mase/train_main"));
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    const int null = open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) dup2(null, fd);
    execv(argv[0], argv.data());
    _exit(127);
  }

  void Signal(int signal) const { kill(pid_, signal); }

  // The exit code, or 128 + the signal that ended it.
  int Wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

std::string Bytes(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 28)); }

int Kills() {
  int kills = 8;
  const char* text = std::getenv("MASE_KILLS");
  if (text != nullptr) {
    EXPECT_TRUE(absl::SimpleAtoi(text, &kills));
  }
  return kills;
}

class TrainKillTest : public ::testing::TestWithParam<Passes> {
 protected:
  TrainKillTest() : whole_(folder_ + "/whole"), run_(folder_ + "/run") {
    EXPECT_OK(WriteFileAtomically(config_, GetParam().config));
    const Clock::time_point begin = Clock::now();
    const int code = Process(In(whole_, /*resume=*/false)).Wait();
    CHECK_EQ(code, 0);  // Else there is nothing to compare with, however often it is tried.
    seconds_ = std::chrono::duration<double>(Clock::now() - begin).count();
  }

  std::vector<std::string> In(const std::string& run, bool resume) const {
    if (resume) return {absl::StrCat("--resume=", run)};
    std::vector<std::string> arguments = kBegin;
    arguments.push_back(absl::StrCat("--config=", config_));
    arguments.push_back(absl::StrCat("--run_dir=", run));
    return arguments;
  }

  void ExpectSameEnd() {
    for (const char* file : {"last.safetensors", "best.safetensors"}) {
      EXPECT_TRUE(Bytes(whole_ + "/" + file) == Bytes(run_ + "/" + file)) << file;
    }
  }

  // Sends `signal` somewhere in the life of the run, which it begins or resumes.
  int RunAndSignal(int signal) {
    // Killed before its settings were written, there is nothing to resume yet.
    const bool resume = fs::exists(run_ + "/settings.textproto");
    if (!resume) fs::remove_all(run_);
    const Process process(In(run_, resume));
    std::this_thread::sleep_for(std::chrono::duration<double>(moment_(random_) * seconds_));
    process.Signal(signal);
    return process.Wait();
  }

  const std::string folder_ = NewFolder();
  const std::string config_ = folder_ + "/passes.toml";
  const std::string whole_, run_;
  double seconds_ = 0;  // That a run takes.
  std::mt19937 random_{20240216};
  std::uniform_real_distribution<double> moment_{0, 1.1};
};

TEST_P(TrainKillTest, KilledAndResumedTheWeightsAreTheSameBytes) {
  int ended = 0;
  for (int killed = 0; killed < Kills();) {
    const int code = RunAndSignal(SIGKILL);
    killed += code == 128 + SIGKILL;
    if (fs::exists(run_ + "/last.safetensors")) {
      ASSERT_OK(LoadCheckpoint(run_ + "/last.safetensors")) << "after kill " << killed;
    }
    if (code == 0) {
      ++ended;
      ExpectSameEnd();
      fs::remove_all(run_);
    }
  }
  while (RunAndSignal(0) != 0) {
  }
  ExpectSameEnd();
  std::printf("%d kills in %d runs\n", Kills(), ended + 1);
}

// Ctrl-C, a batch system's end and a terminal that goes.
TEST_P(TrainKillTest, SignalsWriteACheckpointAndExit130) {
  int interrupted = 0;
  for (int i = 0; i < 20 && interrupted < 3; ++i) {
    const int signal = (i % 3 == 0) ? SIGINT : (i % 3 == 1) ? SIGTERM : SIGHUP;
    const int code = RunAndSignal(signal);
    // Before the handler is there, the signal ends the process like any other.
    EXPECT_TRUE(code == 130 || code == 0 || code == 128 + signal) << code;
    if (code == 130 && fs::exists(run_ + "/summary.json")) {
      ++interrupted;
      EXPECT_THAT(Bytes(run_ + "/summary.json"), ::testing::HasSubstr("\"interrupted\""));
    }
    if (code == 0) {
      ExpectSameEnd();
      fs::remove_all(run_);
    }
  }
  EXPECT_GE(interrupted, 1);
  while (RunAndSignal(0) != 0) {
  }
  ExpectSameEnd();
}

INSTANTIATE_TEST_SUITE_P(, TrainKillTest, ::testing::ValuesIn(kPasses),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace mase
