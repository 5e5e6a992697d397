// Actions of a build system: the same bytes from equal runs, and many actions in one process.
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/delimited_message_util.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/cli/worker_protocol.pb.h"
#include "mase/plugin/testdata/fixtures.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// The files below a folder by their names.
std::map<std::string, std::string> FilesBelow(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[fs::relative(entry.path(), folder).string()] =
        ValueOrDie(ReadFile(entry.path().string(), 64 << 20));
  }
  return files;
}

// A folder with a net and its settings, as a build system lays them out; another name each time.
std::string NewWorkspace() {
  const std::string folder = NewFolder();
  fs::create_directories(folder + "/nets");
  fs::create_directories(folder + "/configs");
  fs::copy(Runfile("testdata/checkpoints/jsc-tiny.safetensors"), folder + "/nets/a.safetensors");
  EXPECT_OK(WriteFileAtomically(folder + "/configs/int8.toml", R"(
load_name = "../nets/a.safetensors"
dataset = "jsc"
[passes.quantize.linear]
config = "integer 8/4"
[passes.calibrate]
[passes.save_graph]
)"));
  return folder;
}

std::vector<std::string> Transform(const std::string& run_dir) {
  return {"transform",      "--config=configs/int8.toml", "--goal=accuracy >= 0.5",
          "--html",         "--report_execution",         "--quiet",
          "--reproducible", "--run_dir=" + run_dir};
}

TEST(ReproducibleTest, EqualRunsWriteEqualBytes) {
  const std::string first = NewWorkspace();
  const CommandResult run = RunCommand("mase/ch", Transform("out/run"), first, {"TZ=UTC"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const std::map<std::string, std::string> wanted = FilesBelow(first + "/out/run");
  EXPECT_THAT(wanted, Not(IsEmpty()));
  for (const auto& [name, bytes] : wanted) {
    EXPECT_THAT(bytes, Not(HasSubstr(first))) << name;
    EXPECT_THAT(bytes, Not(HasSubstr(".runfiles"))) << name;
  }
  for (const char* threads : {"1", "2", "4"}) {
    const std::string other = NewWorkspace();
    fs::create_directories(other + "/out/run");  // As Bazel does.
    const CommandResult again =
        RunCommand("mase/ch", Transform("out/run"), other,
                   {absl::StrCat("OMP_NUM_THREADS=", threads), "TZ=Asia/Tokyo", "HOME=/nowhere"});
    ASSERT_EQ(again.exit_code, 0) << again.err;
    const std::map<std::string, std::string> got = FilesBelow(other + "/out/run");
    EXPECT_THAT(got, SizeIs(wanted.size()));
    for (const auto& [name, bytes] : wanted) {
      EXPECT_TRUE(got.count(name) == 1 && got.at(name) == bytes) << name << ", " << threads;
    }
  }
}

TEST(ReproducibleTest, TrainingsToo) {
  std::vector<std::map<std::string, std::string>> runs;
  for (const char* threads : {"1", "2"}) {
    const std::string folder = NewWorkspace();
    const CommandResult run =
        RunCommand("mase/ch",
                   {"train", "--load=nets/a.safetensors", "--dataset=jsc-sim", "--max-epochs=2",
                    "--set=dataset.rows=5000", "--quiet", "--reproducible", "--run_dir=out"},
                   folder, {absl::StrCat("OMP_NUM_THREADS=", threads)});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    runs.push_back(FilesBelow(folder + "/out"));
  }
  ASSERT_THAT(runs[1], SizeIs(runs[0].size()));
  for (const auto& [name, bytes] : runs[0]) EXPECT_TRUE(runs[1][name] == bytes) << name;
}

TEST(ReproducibleTest, SettingsMakeTheSameRunAgain) {
  const std::string folder = NewWorkspace();
  ASSERT_EQ(RunCommand("mase/ch", Transform("out/run"), folder).exit_code, 0);
  EXPECT_THAT(ValueOrDie(ReadFile(folder + "/out/run/settings.textproto", 1 << 20)),
              HasSubstr("load_name: \"../../nets/a.safetensors\""));
  const CommandResult again = RunCommand(
      "mase/ch", {"transform", "--config=out/run/settings.textproto", "--run_dir=again"}, folder);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(FilesBelow(folder + "/again")["transformed.safetensors"],
            FilesBelow(folder + "/out/run")["transformed.safetensors"]);
}

TEST(ReproducibleTest, TimesAreRefusedAndFullFoldersAreKept) {
  const std::string folder = NewWorkspace();
  std::vector<std::string> words = Transform("out");
  words.push_back("--goal=latency_us <= 5");
  CommandResult run = RunCommand("mase/ch", words, folder);
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("latency_us <= 5: asks for times"));
  run = RunCommand("mase/ch", Transform("nets"), folder);
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("nets exists"));
}

TEST(WordsTest, OfAFile) {
  const std::string folder = NewFolder();
  ASSERT_OK(WriteFileAtomically(folder + "/words", "formats\ndescribe\ninteger\n"));
  const CommandResult run = RunCommand("mase/ch", {"@words"}, folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out, RunCommand("mase/ch", {"formats", "describe", "integer"}, folder).out);
  EXPECT_EQ(RunCommand("mase/ch", {"@none"}, folder).exit_code, 2);
}

// What a worker says to these bytes on its stdin.
struct Answers {
  int exit_code;
  std::vector<WorkResponse> responses;
  std::string err;
};

Answers Ask(const std::string& folder, const std::string& bytes) {
  EXPECT_OK(WriteFileAtomically(folder + "/requests", bytes));
  const std::string command = absl::StrCat(
      "cd ", folder, " && BUILD_WORKING_DIRECTORY= ", "exec env -u BUILD_WORKING_DIRECTORY ",
      fs::absolute(Runfile("mase/ch")).string(), " --persistent_worker <requests >responses 2>err");
  const int status = std::system(command.c_str());
  Answers answers = {WEXITSTATUS(status), {}, ValueOrDie(ReadFile(folder + "/err", 1 << 20))};
  const std::string got = ValueOrDie(ReadFile(folder + "/responses", 64 << 20));
  google::protobuf::io::ArrayInputStream in(got.data(), static_cast<int>(got.size()));
  bool ended = false;
  while (true) {
    WorkResponse response;
    if (!google::protobuf::util::ParseDelimitedFromZeroCopyStream(&response, &in, &ended)) break;
    answers.responses.push_back(response);
  }
  EXPECT_TRUE(ended);
  return answers;
}

std::string Request(const std::vector<std::string>& words) {
  WorkRequest request;
  for (const std::string& word : words) request.add_arguments(word);
  std::string bytes;
  google::protobuf::io::StringOutputStream out(&bytes);
  google::protobuf::util::SerializeDelimitedToZeroCopyStream(request, &out);
  return bytes;
}

TEST(WorkerTest, DoesOneActionAfterAnother) {
  constexpr char kLarge[] = "Linear 4000, Linear 4000, Linear 5";  // 64 MB of weights.
  const std::string folder = NewWorkspace();
  ASSERT_EQ(RunCommand("mase/ch", Transform("out/alone"), folder).exit_code, 0);
  const Answers answers =
      Ask(folder, Request(Transform("out/first")) + Request({"transform", "--max_memory=none"}) +
                      Request({"info", kLarge, "--input_shape=16", "--max_memory=50MB"}) +
                      Request({"info", kLarge, "--input_shape=16"}) +
                      Request({"formats", "describe", "integer"}) +
                      Request({"test", "--load=nets/a.safetensors", "--dataset=jsc",
                               "--goal=accuracy >= 0.9", "--run_dir=missed"}) +
                      Request(Transform("out/again")));
  EXPECT_EQ(answers.exit_code, 0) << answers.err;
  EXPECT_THAT(answers.err, IsEmpty());
  std::vector<int> codes;
  for (const WorkResponse& response : answers.responses) codes.push_back(response.exit_code());
  EXPECT_THAT(codes, ElementsAre(0, 2, 4, 0, 0, 3, 0));
  ASSERT_THAT(answers.responses, SizeIs(7));
  EXPECT_THAT(answers.responses[0].output(), IsEmpty());
  EXPECT_THAT(answers.responses[1].output(), HasSubstr("max_memory"));
  EXPECT_THAT(answers.responses[4].output(), HasSubstr("integer"));
  EXPECT_THAT(answers.responses[5].output(), HasSubstr("accuracy >= 0.9"));
  // The same as a process of its own writes.
  const auto alone = FilesBelow(folder + "/out/alone");
  EXPECT_EQ(FilesBelow(folder + "/out/first")["transformed.safetensors"],
            alone.at("transformed.safetensors"));
  EXPECT_EQ(FilesBelow(folder + "/out/again")["quantize/nodes.csv"],
            alone.at("quantize/nodes.csv"));
}

// Bazel has the log of a worker that died, not what it had kept of the action's output.
TEST(WorkerTest, AnActionThatEndsItIsNamedInItsLog) {
  const std::string folder = NewWorkspace();
  FixtureIn(folder, "bad");
  const Answers answers =
      Ask(folder, Request(Transform("out/first")) +
                      Request({"transform", "jsc-tiny", "jsc-sim", "--set=dataset.rows=200",
                               "--plugins=./bad.so", "--evaluate=false", "--set=passes.exits={}",
                               "--quiet", "--run_dir=run"}) +
                      Request(Transform("out/second")));
  EXPECT_EQ(answers.exit_code, 1);
  EXPECT_THAT(answers.responses, SizeIs(1));
  EXPECT_THAT(answers.err, HasSubstr("pass exits of plugin bad called exit"));
}

TEST(WorkerTest, RefusesWhatIsNoRequest) {
  const std::string folder = NewFolder();
  EXPECT_EQ(Ask(folder, "").exit_code, 0);
  const std::string request = Request({"formats", "describe", "integer"});
  for (const std::string& bad :
       {std::string("\x05hello"), request.substr(0, 5), std::string("\xff\xff\xff\xff\x0f"),
        std::string(20, '\xff'), std::string("{\"arguments\": []}\n")}) {
    const Answers answers = Ask(folder, request + bad);
    EXPECT_EQ(answers.exit_code, 4) << answers.err;
    EXPECT_THAT(answers.err, HasSubstr("--persistent_worker: "));
    EXPECT_THAT(answers.responses, SizeIs(1));
  }
}

}  // namespace
}  // namespace mase
