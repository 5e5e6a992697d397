// Nets of ONNX files, run and written as users do.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kQuantize[] = R"(
[passes.quantize]
by = "type"
[passes.quantize.linear.config]
name = "integer"
data_in_width = 8
data_in_frac_width = 4
weight_width = 8
weight_frac_width = 6
bias_width = 8
bias_frac_width = 4
)";

TEST(OnnxRunTest, ANetGoesInIsQuantizedAndComesOut) {
  const std::string folder = NewFolder();
  std::filesystem::copy_file(Runfile("testdata/onnx") + "/jsc_tiny.ts.onnx", folder + "/net.onnx");
  ASSERT_OK(WriteFileAtomically(folder + "/q.toml",
                                absl::StrCat("dataset = 'jsc'\nbatch_size = 256\n", kQuantize)));

  const CommandResult info = RunCommand("mase/ch", {"info", "--load=net.onnx"}, folder);
  EXPECT_EQ(info.exit_code, 0) << info.err;
  EXPECT_THAT(info.out, AllOf(HasSubstr("BatchNorm1d"), HasSubstr("Linear")));

  const CommandResult transform = RunCommand(
      "mase/ch",
      {"transform", "--load=net.onnx", "--config=q.toml", "--execution=integer", "--run_dir=run"},
      folder);
  ASSERT_EQ(transform.exit_code, 0) << transform.err;

  const CommandResult test =
      RunCommand("mase/ch", {"test", "--load=run", "--dataset=jsc", "--run_dir=tested"}, folder);
  EXPECT_EQ(test.exit_code, 0) << test.err;

  const CommandResult out =
      RunCommand("mase/ch", {"export", "qdq", "--load=run", "--out=q.onnx"}, folder);
  ASSERT_EQ(out.exit_code, 0) << out.err;
  EXPECT_THAT(out.out + out.err, AllOf(HasSubstr("Wrote"), HasSubstr("rounded operands"),
                                       HasSubstr("Read back: largest difference")));

  // What was written is measured as what it was written of.
  const CommandResult again =
      RunCommand("mase/ch", {"test", "--load=q.onnx", "--dataset=jsc", "--run_dir=again"}, folder);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(TestFigures(again.out), TestFigures(test.out));

  // Over a file that is there nothing is written unless that is asked for; the same of C.
  const auto export_as = [&](const std::vector<std::string>& words) {
    std::vector<std::string> all = {"export"};
    all.insert(all.end(), words.begin(), words.end());
    all.push_back("--load=run");
    return RunCommand("mase/ch", all, folder);
  };
  const CommandResult over = export_as({"qoperator", "--out=q.onnx"});
  EXPECT_NE(over.exit_code, 0);
  EXPECT_THAT(over.err, HasSubstr("q.onnx exists; --overwrite replaces it"));
  const CommandResult replaced = export_as({"qoperator", "--out=q.onnx", "--overwrite"});
  EXPECT_EQ(replaced.exit_code, 0) << replaced.err;
  const CommandResult dry = export_as({"c", "--out=net", "--dry_run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.err, HasSubstr("Would write "));
  EXPECT_THAT(dry.err, HasSubstr("/net/net.h, net.c and net_test.c"));
  EXPECT_EQ(export_as({"c", "--out=net"}).exit_code, 0);  // Nothing was there.
  EXPECT_THAT(export_as({"c", "--out=net"}).err, HasSubstr("net.h exists; --overwrite"));
  EXPECT_EQ(export_as({"c", "--out=net", "--overwrite"}).exit_code, 0);
}

// Ids as int64 in the file of the rows, which tables keep as numbers.
TEST(OnnxRunTest, ANetOfTokensReadsInt64) {
  const std::string folder = NewFolder();
  for (const char* name :
       {"encoder.dynamo.onnx", "encoder.dynamo.onnx.data", "tokens.npz", "tokens_bad.npz"}) {
    std::filesystem::copy_file(absl::StrCat(Runfile("testdata/onnx"), "/", name),
                               absl::StrCat(folder, "/", name));
  }
  const auto run = [&](const std::string& action, const std::string& load, const std::string& data,
                       const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {action, "--load=" + load, "--set",
                                      absl::StrCat("dataset.path=", data), "--batch_size=16"};
    words.insert(words.end(), more.begin(), more.end());
    return RunCommand("mase/ch", words, folder);
  };
  const CommandResult test = run("test", "encoder.dynamo.onnx", "tokens.npz", {"--run_dir=tested"});
  EXPECT_EQ(test.exit_code, 0) << test.out << test.err;

  const CommandResult train = run("train", "encoder.dynamo.onnx", "tokens.npz",
                                  {"--max_epochs=2", "--learning_rate=1e-3", "--run_dir=trained"});
  EXPECT_EQ(train.exit_code, 0) << train.out << train.err;
  ASSERT_OK(WriteFileAtomically(folder + "/q.toml", kQuantize));
  const CommandResult transform =
      run("transform", "trained", "tokens.npz", {"--config=q.toml", "--run_dir=quantized"});
  EXPECT_EQ(transform.exit_code, 0) << transform.out << transform.err;
  EXPECT_THAT(transform.out, HasSubstr("Transformed"));

  const CommandResult bad = run("test", "encoder.dynamo.onnx", "tokens_bad.npz", {"--run_dir=bad"});
  EXPECT_NE(bad.exit_code, 0);
  EXPECT_THAT(bad.err, HasSubstr("id 50 at position"));
}

TEST(OnnxRunTest, ErrorsNameFormFileAndNode) {
  const std::string folder = NewFolder();
  const CommandResult form =
      RunCommand("mase/ch", {"export", "qdp", "--load=x.safetensors", "--out=y.onnx"}, folder);
  EXPECT_EQ(form.exit_code, 2);
  EXPECT_THAT(form.err, HasSubstr("did you mean 'qdq'"));
  ASSERT_OK(WriteFileAtomically(folder + "/bad.onnx", "no net"));
  const CommandResult bad = RunCommand("mase/ch", {"info", "--load=bad.onnx"}, folder);
  EXPECT_EQ(bad.exit_code, 4);
  EXPECT_THAT(bad.err, HasSubstr("bad.onnx: is no ONNX model"));
}

TEST(OnnxRunTest, WhatWouldBeOfNoUseIsNotWritten) {
  const std::string folder = NewFolder();
  const auto export_to = [&](const std::string& form, const std::string& out) {
    return RunCommand(
        "mase/ch",
        {"export", form, "--load", Runfile("testdata/onnx") + "/jsc_tiny.ts.onnx", "--out", out},
        folder);
  };
  const CommandResult named = export_to("onnx", "net.txt");
  EXPECT_EQ(named.exit_code, 2);
  EXPECT_THAT(named.err, HasSubstr("net.txt: want a name that ends in .onnx"));
  const CommandResult rounded = export_to("qdq", "net.onnx");
  EXPECT_NE(rounded.exit_code, 0);
  EXPECT_THAT(rounded.err, HasSubstr("the net rounds nothing: quantize it first"));
}

}  // namespace
}  // namespace mase
