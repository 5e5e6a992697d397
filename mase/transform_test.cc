// The main job, run as its users run it.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

CommandResult Transform(const std::vector<std::string>& arguments, const std::string& folder,
                        const std::vector<std::string>& environment = {}) {
  return RunCommand("mase/transform", arguments, folder, environment);
}

std::string Config(absl::string_view name = "jsc_tiny_integer.toml") {
  return absl::StrCat("--config=", Runfile("testdata/configs"), "/", name);
}

std::string Contents(const std::string& path) {
  return ValueOrDie(ReadFile(path, int64_t{1} << 30));
}

void Write(const std::string& path, absl::string_view text) {
  ASSERT_OK(WriteFileAtomically(path, text));
}

constexpr char kLinearInteger[] = R"(
[passes.quantize]
by = "type"
[passes.quantize.linear.config]
name = "integer"
data_in_width = 8
data_in_frac_width = 4
weight_width = 8
weight_frac_width = 4
bias_width = 8
bias_frac_width = 4
)";

// The histogram that MASE's users know, to the letter.
constexpr char kHistogram[] =
    R"(| Original type   | OP           |   Total |   Changed |   Unchanged |
|-----------------+--------------+---------+-----------+-------------|
| BatchNorm1d     | batch_norm1d |       1 |         0 |           1 |
| Linear          | linear       |       1 |         1 |           0 |
| ReLU            | relu         |       2 |         0 |           2 |
| output          | output       |       1 |         0 |           1 |
| x               | placeholder  |       1 |         0 |           1 |
)";

// A metric of a stage in a summary.
json Metric(const json& summary, absl::string_view name, absl::string_view stage) {
  for (const json& metric : summary["metrics"]) {
    if (metric["name"] == std::string(name) && metric["stage"] == std::string(stage)) {
      return metric["value"];
    }
  }
  return nullptr;
}

TEST(TransformTest, QuantizesJscTinyAndMeasuresItOnRealJets) {
  const std::string folder = NewFolder();
  const CommandResult run = Transform({Config(), "--run_dir=run"}, folder);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr(kHistogram));
  EXPECT_THAT(run.out, HasSubstr("1,000 real rows"));
  for (const char* file : {"summary.json", "transformed.safetensors", "settings.textproto",
                           "quantize/quantize_table.csv", "quantize/quantize_histogram.csv"}) {
    EXPECT_TRUE(std::filesystem::exists(folder + "/run/" + file)) << file;
    EXPECT_THAT(run.out, HasSubstr(file));
  }
  const json summary = json::parse(Contents(folder + "/run/summary.json"));
  EXPECT_EQ(summary["action"], "transform");
  EXPECT_EQ(summary["status"], "ok");
  EXPECT_EQ(summary["seed"], 0);
  EXPECT_EQ(summary["model"]["name"], "jsc-tiny");
  EXPECT_EQ(summary["model"]["parameters"], 117);
  EXPECT_EQ(summary["data"]["name"], "jsc");
  EXPECT_EQ(summary["data"]["real"], true);
  for (const json& metric : summary["metrics"]) {
    EXPECT_EQ(metric["split"], "test");
    EXPECT_EQ(metric["samples"], 1000);
  }
  EXPECT_FLOAT_EQ(Metric(summary, "accuracy", "original"), 0.717);  // The shipped checkpoint's.
  EXPECT_TRUE(Metric(summary, "loss", "transformed").is_number());
  bool quantized = false;
  for (const json& pass : summary["passes"]) {
    if (pass["name"] != "quantize") continue;
    quantized = true;
    EXPECT_EQ(pass["changed"], true);
    EXPECT_GE(pass["seconds"].get<double>(), 0);
  }
  EXPECT_TRUE(quantized);
}

TEST(TransformTest, TextProtoAndTheWrittenSettingsGiveTheSameRun) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Transform({Config(), "--run_dir=a"}, folder).exit_code, 0);
  const CommandResult b = Transform({Config("jsc_tiny_integer.textproto"), "--run_dir=b"}, folder);
  ASSERT_EQ(b.exit_code, 0) << b.err;
  const CommandResult c = Transform({"--config=a/settings.textproto", "--run_dir=c"}, folder);
  ASSERT_EQ(c.exit_code, 0) << c.err;
  for (const char* file : {"transformed.safetensors", "quantize/quantize_table.csv"}) {
    EXPECT_EQ(Contents(folder + "/a/" + file), Contents(folder + "/b/" + file)) << file;
    EXPECT_EQ(Contents(folder + "/a/" + file), Contents(folder + "/c/" + file)) << file;
  }
}

TEST(TransformTest, ThreadsChangeNoBit) {
  const std::string folder = NewFolder();
  const auto run = [&](const std::string& threads) {
    const CommandResult result =
        Transform({Config("linear_integer.toml"), "jsc-toy10x", "jsc", "--run_dir=" + threads},
                  folder, {"OMP_NUM_THREADS=" + threads});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const json summary = json::parse(Contents(folder + "/" + threads + "/summary.json"));
    return std::make_pair(summary["metrics"].dump(),
                          Contents(folder + "/" + threads + "/transformed.safetensors"));
  };
  EXPECT_EQ(run("1"), run("2"));
}

// Rows of calibrate/comparison.csv by calibration: {operand SQNR, output SQNR, accuracy, kept}.
std::map<std::string, std::vector<std::string>> Comparison(const std::string& run) {
  std::map<std::string, std::vector<std::string>> rows;
  for (absl::string_view line : absl::StrSplit(Contents(run + "/calibrate/comparison.csv"), '\n')) {
    std::vector<std::string> cells = absl::StrSplit(line, ',');
    const std::string name = cells[0];
    cells.erase(cells.begin());
    rows[name] = std::move(cells);
  }
  return rows;
}

TEST(TransformTest, CalibrationRescuesFourBitsAndComparesItsMethods) {
  const std::string folder = NewFolder();
  const CommandResult run = Transform({Config("jsc_s_calibrated.toml"), "--run_dir=run"}, folder);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("Calibration on 1,000 real rows, test split"));
  auto rows = Comparison(folder + "/run");
  for (const char* method : {"minmax", "moving_average", "percentile", "mse", "entropy"}) {
    EXPECT_EQ(rows.count(method), 1u) << method;
    EXPECT_THAT(run.out, HasSubstr(method));
  }
  EXPECT_LT(std::stod(rows["as given"][2]), 0.4);  // Of five classes.
  EXPECT_GT(std::stod(rows["mse"][2]), 0.5);
  EXPECT_EQ(rows["mse"][3], "true");
  const json summary = json::parse(Contents(folder + "/run/summary.json"));
  const json found = Metric(summary, "accuracy", "transformed");
  EXPECT_NEAR(found.get<double>(), std::stod(rows["mse"][2]), 1e-6);
  // The checkpoint has the formats that were found.
  Write(folder + "/r.toml", "dataset = \"jsc\"\n[passes.summarize_quantization]\n");
  ASSERT_EQ(Transform({"--config=r.toml", "--load=run/transformed.safetensors", "--run_dir=again"},
                      folder)
                .exit_code,
            0);
  EXPECT_EQ(Metric(json::parse(Contents(folder + "/again/summary.json")), "accuracy", "original"),
            found);
}

TEST(TransformTest, AFlagCalibratesAnyConfigTheSameForAnyNumberOfThreads) {
  const std::string folder = NewFolder();
  const auto run = [&](const std::string& threads) {
    const CommandResult result =
        Transform({Config(), "--calibrate=compare", "--set", "passes.calibrate.scale=float",
                   "--set", "passes.calibrate.granularity=channel", "--run_dir=" + threads},
                  folder, {"OMP_NUM_THREADS=" + threads});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Contents(folder + "/" + threads + "/calibrate/operands.csv") +
           Contents(folder + "/" + threads + "/calibrate/comparison.csv");
  };
  const std::string one = run("1");
  EXPECT_THAT(one, HasSubstr("affine"));
  EXPECT_EQ(one, run("2"));
}

TEST(TransformTest, AConfigWithNothingButQuantizeWorks) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", kLinearInteger);
  const CommandResult run =
      Transform({"jsc-tiny", "--config=q.toml", "jsc", "--batch-size", "64"}, folder);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr(kHistogram));
}

TEST(TransformTest, ATransformedNetLoadsAgainAndCanBeTransformedFurther) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Transform({Config(), "--run_dir=first"}, folder).exit_code, 0);
  Write(folder + "/report.toml",
        "dataset = \"jsc\"\nbatch_size = 256\n[passes.summarize_quantization]\n");
  const CommandResult again = Transform(
      {"--config=report.toml", "--load=first/transformed.safetensors", "--run_dir=again"}, folder);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  for (const char* name : {"accuracy", "loss"}) {
    EXPECT_EQ(Metric(json::parse(Contents(folder + "/first/summary.json")), name, "transformed"),
              Metric(json::parse(Contents(folder + "/again/summary.json")), name, "original"));
  }
}

TEST(TransformTest, ARunDirectoryIsNeverShared) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Transform({Config(), "--run_dir=run"}, folder).exit_code, 0);
  const std::string before = Contents(folder + "/run/summary.json");
  const CommandResult second = Transform({Config(), "--run_dir=run"}, folder);
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_THAT(second.err, HasSubstr("exists"));
  EXPECT_EQ(Contents(folder + "/run/summary.json"), before);
}

TEST(TransformTest, RunsWithoutADirectoryGetNewOnes) {
  const std::string folder = NewFolder();
  for (int i = 0; i < 2; ++i) {
    const CommandResult run = Transform({Config(), "--project=p"}, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  EXPECT_TRUE(std::filesystem::exists(folder + "/mase_output/p/transform-0001/summary.json"));
  EXPECT_TRUE(std::filesystem::exists(folder + "/mase_output/p/transform-0002/summary.json"));
  // The newest of each action has its link: a test does not take a training's.
  EXPECT_TRUE(std::filesystem::equivalent(folder + "/mase_output/p/transform-latest",
                                          folder + "/mase_output/p/transform-0002"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/mase_output/p/latest"));
}

TEST(TransformTest, AFlagCountsBecauseItWasGiven) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", absl::StrCat("batch_size = 512\nseed = 42\n", kLinearInteger));
  const CommandResult run = Transform(
      {"jsc-tiny", "jsc", "--config=q.toml", "--batch-size=128", "--run_dir=run"}, folder);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(Contents(folder + "/run/settings.textproto"), HasSubstr("batch_size: 128"));
  EXPECT_EQ(json::parse(Contents(folder + "/run/summary.json"))["seed"], 42);
}

struct BadInput {
  const char* what;
  std::vector<std::string> arguments;
  int exit_code;
  std::vector<const char*> messages;
};

TEST(TransformTest, BadInputIsOneLineAndLeavesNothing) {
  const std::string folder = NewFolder();
  const auto toml = [&](const std::string& name, absl::string_view text) {
    Write(folder + "/" + name, text);
    return "--config=" + name;
  };
  const std::string head = "model = \"jsc-tiny\"\ndataset = \"jsc\"\n";
  const auto rule = [&](const std::string& name, const std::string& lines) {
    return toml(name, absl::StrCat(head, "[passes.quantize]\nby = \"type\"\n", lines));
  };
  const std::string good = toml("good.toml", absl::StrCat(head, kLinearInteger));
  Write(folder + "/truncated.safetensors", "\x40");
  Write(folder + "/text.so", "not an ELF file");
  Write(folder + "/bad.csv", "a,b,class\n1,2,x\n3,oops,y\n");
  Write(folder + "/pickle.ckpt", absl::string_view("PK\x03\x04 net/data.pkl"));
  const BadInput cases[] = {
      {"no config", {"jsc-tiny", "jsc"}, 2, {"expected configuration via --config"}},
      {"no data set", {toml("m.toml", kLinearInteger), "jsc-tiny"}, 2, {"No model and/or dataset"}},
      {"unknown key",
       {toml("k.toml", "max_epoch = 3\n" + head)},
       2,
       {"k.toml:1:1", "max_epoch", "did you mean 'max_epochs'"}},
      {"wrong type",
       {toml("t.toml", "batch_size = \"many\"\n" + head)},
       2,
       {"t.toml:1:", "batch_size"}},
      {"two wrong keys",
       {toml("two.toml", "max_epoch = 3\nbatch_size = 2.5\n" + head)},
       2,
       {"two.toml:1:1", "two.toml:2:14", "want an integer, got 2.5"}},
      {"far from every model",
       {good, "zzzzzz"},
       2,
       {"'zzzzzz': not found; there are ", "jsc-tiny"}},
      {"far from every pass",
       {toml("far.toml", head + "[passes.zzzzzz]\n")},
       2,
       {"no pass 'zzzzzz'; there are ", "quantize"}},
      {"syntax", {toml("s.toml", "batch_size = = 3\n")}, 2, {"s.toml:1:"}},
      {"unknown flag", {good, "--batch-sise=3"}, 2, {"batch-siz", "did you mean"}},
      {"missing config", {"--config=absent.toml"}, 2, {"absent.toml"}},
      {"unknown model", {good, "jsc-tny"}, 2, {"jsc-tny", "did you mean 'jsc-tiny'"}},
      {"unknown data set", {good, "jsc-tiny", "jcs"}, 2, {"jcs", "did you mean 'jsc'"}},
      {"unknown pass",
       {toml("p.toml", head + "[passes.quantice]\n")},
       2,
       {"p.toml:3:", "quantice", "did you mean 'quantize'"}},
      {"unknown op",
       {rule("o.toml",
             "[passes.quantize.linaer.config]\nname = \"integer\"\n"
             "data_in_width = 8\nweight_width = 8\nbias_width = 8\n")},
       2,
       {"linaer", "did you mean 'linear'"}},
      {"unknown format",
       {rule("f.toml", "[passes.quantize.linear.config]\nname = \"intger\"\n")},
       2,
       {"intger", "did you mean 'integer'"}},
      {"missing width",
       {rule("w.toml",
             "[passes.quantize.linear.config]\nname = \"integer\"\n"
             "data_in_width = 8\ndata_in_frac_width = 4\n")},
       2,
       {"weight_width"}},
      {"option of another type",
       {rule("ty.toml",
             "[passes.quantize.linear.config]\n"
             "name = \"integer\"\ndata_in_width = \"x\"\n")},
       2,
       {"ty.toml:7:", "want an integer"}},
      {"unknown calibration", {good, "--calibrate=mes"}, 2, {"--calibrate", "did you mean 'mse'"}},
      {"missing checkpoint", {good, "--load=absent.safetensors"}, 2, {"absent.safetensors"}},
      {"truncated checkpoint",
       {good, "--load=truncated.safetensors"},
       4,
       {"truncated.safetensors"}},
      {"pickle", {good, "--load=pickle.ckpt"}, 4, {"pickle.ckpt", "damaged zip archive"}},
      {"not a plugin", {good, "--plugins=./text.so"}, 4, {"text.so"}},
      {"missing plugin", {good, "--plugins=./absent.so"}, 2, {"absent.so"}},
      {"bad csv",
       {good, "--set", "dataset.path=bad.csv", "--set", "dataset.name=csv"},
       2,
       {"bad.csv:3"}},
      {"no run directory", {good, "--run_dir="}, 2, {"--run_dir: no value; give some"}},
      {"an empty run directory", {good, "--set=run_dir=''"}, 2, {"run_dir is empty"}},
      {"no size of memory", {good, "--max_memory=lots"}, 2, {"max_memory", "'lots' is no size"}},
      {"a net that memory has no room for",
       {good, "Linear 60000, Linear 60000, Linear 5", "--max_memory=1GB"},
       4,
       {"seq_blocks.1.weight", "float32[60000, 60000] wants 14.4 GB of memory", "limit of 1 GB"}},
      {"a layer without outputs", {good, "Linear 0, Linear 5"}, 2, {"out_features=0"}},
      {"a negative eps", {good, "BN eps=-1, Linear 5"}, 2, {"eps=-1"}},
      {"an eps that is no number", {good, "BN eps=nan, Linear 5"}, 2, {"eps=nan"}},
      {"control characters", {good, "jsc\033[31m-tiny"}, 2, {"jsc\\x1b[31m-tiny"}},
      {"a net as PyTorch prints it, with a mistake",
       {good, "nn.Sequential(nn.Linaer(16, 5))"},
       2,
       {"'Linaer' is not known; did you mean 'Linear'"}},
      {"print_after", {good, "--print_after=quantice"}, 2, {"quantice"}},
  };
  for (const BadInput& c : cases) {
    const CommandResult run = Transform(c.arguments, folder);
    EXPECT_EQ(run.exit_code, c.exit_code) << c.what << ": " << run.err;
    for (const char* message : c.messages) EXPECT_THAT(run.err, HasSubstr(message)) << c.what;
    EXPECT_THAT(run.out + run.err, Not(HasSubstr("\033"))) << c.what;
    EXPECT_FALSE(std::filesystem::exists(folder + "/mase_output")) << c.what;
  }
}

TEST(TransformTest, ADirectoryMayEndInASlash) {
  const std::string folder = NewFolder();
  const CommandResult run = Transform({Config(), "--run_dir=new/"}, folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(std::filesystem::exists(folder + "/new/summary.json"));
}

TEST(TransformTest, AFailedRunSaysSo) {
  const std::string folder = NewFolder();
  // Nothing but batch norm has the name of a rule, and that rule says "leave it alone".
  Write(folder + "/n.toml",
        "model = \"jsc-tiny\"\ndataset = \"jsc\"\n[passes.quantize]\nby = \"type\"\n"
        "[passes.quantize.default.config]\nname = \"NA\"\n");
  const CommandResult run = Transform({"--config=n.toml", "--run_dir=run"}, folder);
  EXPECT_EQ(run.exit_code, 2) << run.err;
  const json summary = json::parse(Contents(folder + "/run/summary.json"));
  EXPECT_EQ(summary["status"], "failed");
  EXPECT_FALSE(std::filesystem::exists(folder + "/run/transformed.safetensors"));
}

TEST(TransformTest, AFullDiskIsAnErrorAndNotAFile) {
  const std::string folder = NewFolder();
  const CommandResult run = Transform({Config(), "--run_dir=/dev/full/run"}, folder);
  EXPECT_NE(run.exit_code, 0);
  EXPECT_THAT(run.err, HasSubstr("/dev/full"));
}

TEST(TransformTest, HelpAndListings) {
  const std::string folder = NewFolder();
  const CommandResult help = Transform({"--help"}, folder);
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out,
              AllOf(HasSubstr("Examples:"), HasSubstr("--batch"), HasSubstr("--plugins")));
  const CommandResult passes = Transform({"--list_passes"}, folder);
  EXPECT_EQ(passes.exit_code, 0);
  EXPECT_THAT(passes.out, AllOf(HasSubstr("quantize"), HasSubstr("Also known as")));
  EXPECT_THAT(Transform({"--version"}, folder).out, HasSubstr("mase "));
}

}  // namespace
}  // namespace mase
