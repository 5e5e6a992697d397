// The trained nets of testdata/checkpoints, measured on the 1,000 real jets.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// "..., 717 of 1,000 correct" in what the test prints; -1 if it is not there.
int CorrectOf1000(const std::string& out) {
  for (const absl::string_view line : absl::StrSplit(out, '\n')) {
    const std::pair<absl::string_view, absl::string_view> cut =
        absl::StrSplit(line, absl::MaxSplits(" of 1,000 correct", 1));
    int correct = -1;
    if (cut.first == line) continue;
    if (absl::SimpleAtoi(cut.first.substr(cut.first.rfind(' ') + 1), &correct)) return correct;
  }
  return -1;
}

TEST(CheckpointsTest, ClassifyRealJetsAsTheReadmeSays) {
  const std::pair<std::string, int> nets[] = {
      {"jsc-tiny", 717},  {"jsc-tiny-handout", 720}, {"jsc-nas", 726}, {"jsc-custom", 736},
      {"jsc-s", 737},     {"jsc-trt", 740},          {"jsc-toy", 746}, {"jsc-toy10x", 759},
      {"report-000", 759}};
  const std::string folder = NewFolder();
  for (const auto& [net, correct] : nets) {
    const std::string file = Runfile(absl::StrCat("testdata/checkpoints/", net, ".safetensors"));
    const CommandResult run = RunCommand("mase/test", {net, "jsc", "--load", file}, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    // Another processor may round a score the other way.
    EXPECT_NEAR(CorrectOf1000(run.out), correct, 1) << net;
  }
}

TEST(CheckpointsTest, KerassWeightsGoToAListOfLayers) {
  const std::string folder = NewFolder();
  const CommandResult run = RunCommand("mase/test",
                                       {"BatchNorm1d, Linear 8, ReLU, BatchNorm1d, Linear 5", "jsc",
                                        "--load", Runfile("testdata/keras/mlp.h5")},
                                       folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("mlp.h5: 12 tensors matched, 2 missing, 0 extra"));
}

TEST(CheckpointsTest, AKerasFileIsANetWithItsWeights) {
  const std::string folder = NewFolder();
  const CommandResult run = RunCommand(
      "mase/test", {"--dataset", "jsc", "--load", Runfile("testdata/keras/mlp.keras")}, folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("mlp.keras: 12 tensors matched, 2 missing, 0 extra"));
  const CommandResult cnn = RunCommand(
      "mase/test", {"--dataset", "jsc", "--load", Runfile("testdata/keras/cnn.keras")}, folder);
  EXPECT_NE(cnn.exit_code, 0);
  EXPECT_THAT(cnn.err, HasSubstr("name the net as a list of layers, too"));
}

std::string Foreign(absl::string_view name) {
  return Runfile(absl::StrCat("testdata/checkpoints/foreign/", name, ".safetensors"));
}

TEST(CheckpointsTest, ThoseOfOthersGiveTheSameNet) {
  const std::string folder = NewFolder();
  const std::pair<std::string, std::string> files[] = {
      {"module", "names in the file begin with 'module.'"},
      {"orig_mod", "names in the file begin with '_orig_mod.'"},
      {"lightning_compiled", "names in the file begin with 'model._orig_mod.'"},
      {"half", "6 tensors of F16 as float32: exact"},
      {"bfloat16", "6 tensors of BF16 as float32: exact"},
      {"double", "6 tensors of F64 as float32"},
      {"unused_half", "extra (unused): ema.decay"},
  };
  for (const auto& [name, note] : files) {
    const CommandResult run =
        RunCommand("mase/test", {"jsc-tiny", "jsc", "--load", Foreign(name)}, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.err, HasSubstr(note));
    // Weights of eight bits of mantissa are other weights.
    EXPECT_NEAR(CorrectOf1000(run.out), 717, name == "bfloat16" ? 10 : 2) << name;
  }
}

// As the reports wrote it, and a net given as PyTorch writes it.
TEST(CheckpointsTest, ThoseOfPyTorchAreReadWithoutIt) {
  const std::string folder = NewFolder();
  const auto test = [&](const std::string& net, const std::string& file, const std::string& note) {
    const CommandResult run = RunCommand(
        "mase/test", {net, "jsc", "--load", Runfile("testdata/torch/" + file), "--load-type", "pl"},
        folder);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out + run.err, HasSubstr(note));
    EXPECT_NEAR(CorrectOf1000(run.out), 717, 1);
  };
  test("jsc-tiny", "jsc_tiny_lightning.ckpt", "names in the file begin with 'model.'");
  test("jsc-tiny", "jsc_tiny_sequential.pt",
       "0.num_batches_tracked  seq_blocks.0.num_batches_tracked");
  const std::string written =
      "nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(16),  # the input\n"
      "              nn.Linear(16, 5), nn.ReLU(5))";
  test(written, "jsc_tiny_sequential.pt", "2.weight");
  ASSERT_OK(WriteFileAtomically(folder + "/net.py", "self.net = " + written + "\n"));
  test("net.py", "jsc_tiny_sequential.pt", "net.2.weight");
}

TEST(CheckpointsTest, FilesThatBreakTheFormatAreRefused) {
  const std::string folder = NewFolder();
  const std::pair<std::string, std::string> files[] = {
      {"overlap", "tensors 'seq_blocks.0.weight' [0, 64) and 'seq_blocks.0.bias' [0, 64) overlap"},
      {"trailing",
       "bytes [604, 668) of its data, after the last tensor 'seq_blocks.2.bias' [584, "
       "604), belong to no tensor"},
  };
  for (const auto& [name, message] : files) {
    const CommandResult run =
        RunCommand("mase/test", {"jsc-tiny", "jsc", "--load", Foreign(name)}, folder);
    EXPECT_EQ(run.exit_code, 4);
    EXPECT_THAT(run.err, HasSubstr(message));
  }
}

TEST(CheckpointsTest, ADirectoryStandsForItsBestNet) {
  namespace fs = std::filesystem;
  const std::string folder = NewFolder();
  const auto run = [&](const std::string& load) {
    return RunCommand("mase/test", {"jsc-tiny", "jsc", "--load", load}, folder);
  };
  for (const char* file : {"best.safetensors", "transformed.safetensors"}) {
    const std::string directory = absl::StrCat(folder, "/run-of-", file);
    fs::create_directory(directory);
    fs::copy(Runfile("testdata/checkpoints/jsc-tiny.safetensors"), directory + "/" + file);
    const CommandResult loaded = run(directory);
    ASSERT_EQ(loaded.exit_code, 0) << loaded.err;
    EXPECT_THAT(loaded.err, HasSubstr(absl::StrCat(directory, " is a run: its best net is ",
                                                   directory, "/", file)));
    EXPECT_NEAR(CorrectOf1000(loaded.out), 717, 1);
  }

  const std::string other = folder + "/other";
  fs::create_directory(other);
  const auto refused = [&](const char* message) {
    const CommandResult loaded = run(other);
    EXPECT_EQ(loaded.exit_code, 2);
    EXPECT_THAT(loaded.err, HasSubstr(message));
  };
  refused("is a directory without best.safetensors or transformed.safetensors, so no run");
  std::ofstream(other + "/model.safetensors") << "x";
  refused("name one of its files: model.safetensors");
  fs::create_directory_symlink("train-0001", other + "/train-latest");
  refused("the newest runs below it: train-latest");
  std::ofstream(other + "/last.safetensors") << "x";
  refused("other/last.safetensors is its last state");
}

TEST(CheckpointsTest, AFileOfAnotherKindIsCalledByItsName) {
  const std::string folder = NewFolder();
  const auto refused = [&](const std::string& contents, int exit_code, const char* message) {
    std::ofstream(folder + "/net.pt", std::ios::binary | std::ios::trunc) << contents;
    const CommandResult run =
        RunCommand("mase/test", {"jsc-tiny", "jsc", "--load", "net.pt"}, folder);
    EXPECT_EQ(run.exit_code, exit_code);
    EXPECT_THAT(run.err, HasSubstr(message));
  };
  refused("PK\x03\x04 ... archive/data.pkl ...", 4, "damaged zip archive: no directory");
  refused("\x08\x07\x12\x07pytorch", 2, "is an ONNX model");
  refused("", 4, "net.pt: is empty");
  std::filesystem::remove(folder + "/net.pt");
  ASSERT_EQ(mkfifo((folder + "/net.pt").c_str(), 0600), 0);
  const CommandResult run =
      RunCommand("mase/test", {"jsc-tiny", "jsc", "--load", "net.pt"}, folder);
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("net.pt: is a pipe, no regular file"));
}

}  // namespace
}  // namespace mase
