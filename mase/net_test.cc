// What a net is and costs, as users ask for it: passes from a config, `ch diff`, `ch info`.
#include <filesystem>
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
using ::testing::HasSubstr;
using ::testing::Not;

CommandResult Ch(const std::vector<std::string>& words, const std::string& folder = NewFolder()) {
  return RunCommand("mase/ch", words, folder);
}

std::string Checkpoint(absl::string_view net) {
  return absl::StrCat(Runfile("testdata/checkpoints"), "/", net, ".safetensors");
}

std::string Contents(const std::string& path) {
  return ValueOrDie(ReadFile(path, int64_t{1} << 30));
}

// The result of a pass in a run's summary.
json ResultOf(const std::string& run, const std::string& pass) {
  const json summary = json::parse(Contents(run + "/summary.json"));
  for (const json& report : summary["passes"]) {
    if (report["name"] == pass) return report["result"];
  }
  return json();
}

// As the course's reports write it, with every pass of this room.
constexpr char kEverything[] = R"(
model = "jsc-custom"
dataset = "jsc"
task = "cls"
batch_size = 8
load_type = "pl"

[passes.save_graph]
[passes.fold_batch_norm]
[passes.quantize]
by = "type"
report = true
[passes.quantize.default.config]
name = "NA"
[passes.quantize.linear.config]
name = "integer"
"data_in_width" = 8
"data_in_frac_width" = 4
"weight_width" = 8
"weight_frac_width" = 4
"bias_width" = 8
"bias_frac_width" = 4
[passes.calculate_flops]
[passes.calculate_bitops]
[passes.calculate_avg_bits]
[passes.memory]
[passes.summary]
[passes.natural_sparsity]
[passes.report_trainable_parameters]
[passes.diff_graphs]
[passes.plot_graph]
[passes.save_node_meta_param]
)";

TEST(NetTest, EveryPassRunsFromAConfig) {
  const std::string folder = NewFolder();
  ASSERT_OK(WriteFileAtomically(folder + "/all.toml", kEverything));
  const CommandResult run =
      Ch({"transform", "--config=all.toml", "--load=" + Checkpoint("jsc-custom"), "--run_dir=run"},
         folder);
  ASSERT_EQ(run.exit_code, 0) << run.err << run.out;
  const std::string dir = folder + "/run";
  EXPECT_EQ(ResultOf(dir, "calculate_flops")["rows"], 8);
  // Three of four batch norms went into linear layers: 4 n of 32, 16 and 5 channels are gone.
  EXPECT_EQ(ResultOf(dir, "calculate_flops")["total"]["forward"], 11592 - 4 * 8 * (32 + 16 + 5));
  EXPECT_EQ(ResultOf(dir, "calculate_avg_bits")["w_avg_bit"], 8);
  EXPECT_EQ(ResultOf(dir, "summary")["total"]["macs"], 8832);
  EXPECT_LT(ResultOf(dir, "fold_batch_norm")["largest_change"], 1e-4);
  EXPECT_GT(ResultOf(dir, "natural_sparsity")["avg_activation"], 0.1);  // Behind ReLUs.
  EXPECT_EQ(ResultOf(dir, "diff_graphs")["nodes_changed"], 3 + 3 + 3);
  for (const char* file :
       {"calculate_flops/costs.csv", "calculate_bitops/costs.csv", "calculate_avg_bits/bits.csv",
        "memory/tensors.csv", "summary/layers.csv", "natural_sparsity/sparsity.csv",
        "diff_graphs/nodes.csv", "diff_graphs/tensors.csv", "plot_graph/graph.svg",
        "saved_graph/graph.safetensors", "saved_graph/node_meta_param.toml",
        "save_node_meta_param/node_meta_param.toml", "fold_batch_norm/batch_norms.csv"}) {
    EXPECT_TRUE(std::filesystem::exists(absl::StrCat(dir, "/", file))) << file;
  }

  // The net that was kept before all passes is taken up again.
  ASSERT_OK(WriteFileAtomically(folder + "/again.toml",
                                "model = 'jsc-custom'\ndataset = 'jsc'\n"
                                "[passes.load_graph]\nload_dir = 'run/saved_graph'\n"
                                "[passes.load_node_meta_param]\n"
                                "load_path = 'run/saved_graph/node_meta_param.toml'\n"));
  const CommandResult again = Ch({"transform", "--config=again.toml", "--run_dir=again"}, folder);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const CommandResult same = Ch({"diff", Checkpoint("jsc-custom"), "again", "--exit_code"}, folder);
  EXPECT_EQ(same.exit_code, 0) << same.out << same.err;
  EXPECT_THAT(same.out, HasSubstr("The nets are the same."));
}

TEST(NetTest, ANetIsTakenUpFromACheckpointOrARunToo) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Ch({"transform", "--config=" + Runfile("testdata/configs/jsc_tiny_integer.toml"),
                "--run_dir=run"},
               folder)
                .exit_code,
            0);
  const auto load = [&](const std::string& from, const std::string& run) {
    EXPECT_OK(WriteFileAtomically(folder + "/load.toml",
                                  "model = 'jsc-tiny'\ndataset = 'jsc'\n"
                                  "[passes.load_graph]\nload_dir = '" +
                                      from + "'\n"));
    return Ch({"transform", "--config=load.toml", "--run_dir=" + run}, folder);
  };
  EXPECT_EQ(load("run", "one").exit_code, 0);
  EXPECT_EQ(load(Checkpoint("jsc-tiny"), "two").exit_code, 0);
  EXPECT_EQ(Ch({"diff", "one", "run", "--exit_code"}, folder).exit_code, 0);
  EXPECT_EQ(Ch({"diff", "two", Checkpoint("jsc-tiny"), "--exit_code"}, folder).exit_code, 0);
  const CommandResult other = load(Checkpoint("jsc-toy"), "three");
  EXPECT_EQ(other.exit_code, 0) << other.err;  // Another net of the same inputs and outputs.
  EXPECT_THAT(load("nowhere", "four").err, HasSubstr("nowhere"));
  // Two passes that keep nets keep them in two places.
  ASSERT_OK(WriteFileAtomically(folder + "/save.textproto",
                                "model { name: 'jsc-tiny' } dataset { name: 'jsc' }\n"
                                "passes { name: 'save_graph' } passes { name: 'save_graph' }\n"));
  const CommandResult both = Ch({"transform", "--config=save.textproto", "--run_dir=five"}, folder);
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("another pass of the run keeps a net as saved_graph/"));
}

TEST(NetTest, DiffComparesCheckpointsRunsAndConfigs) {
  const std::string folder = NewFolder();
  const std::string config = Runfile("testdata/configs/jsc_tiny_integer.toml");
  ASSERT_EQ(Ch({"transform", "--config=" + config, "--run_dir=run"}, folder).exit_code, 0);
  const CommandResult diff = Ch({"diff", Checkpoint("jsc-tiny"), "run"}, folder);
  EXPECT_EQ(diff.exit_code, 0) << diff.err;
  EXPECT_THAT(diff.out,
              AllOf(HasSubstr("LinearInteger"), HasSubstr("BatchNorm1d"), HasSubstr("8/4"),
                    HasSubstr("1 of 6 nodes changed, 0 tensors differ.")));
  for (const absl::string_view line : absl::StrSplit(diff.out, '\n')) {
    EXPECT_LE(line.size(), 80) << line;
  }
  EXPECT_EQ(Ch({"diff", Checkpoint("jsc-tiny"), "run", "--exit_code"}, folder).exit_code, 1);
  // The config makes what its run made.
  const CommandResult same = Ch({"diff", config, "run", "--exit_code"}, folder);
  EXPECT_EQ(same.exit_code, 0) << same.out << same.err;
  // A width is a change, and settings on the command line are those of the config.
  const CommandResult six = Ch({"diff", config, "run", "--exit_code", "--set",
                                "passes.quantize.linear.config.weight_width=6"},
                               folder);
  EXPECT_EQ(six.exit_code, 1) << six.err;
  const json tables =
      json::parse(Ch({"diff", Checkpoint("jsc-tiny"), "run", "--json"}, folder).out);
  EXPECT_EQ(tables["equal"], false);
  EXPECT_EQ(tables["nodes"]["rows"].size(), 6u);
}

TEST(NetTest, DiffSaysWhatItCannotCompare) {
  EXPECT_THAT(Ch({"diff", "one"}).err, HasSubstr("diff compares two nets, not 1"));
  EXPECT_EQ(Ch({"diff", "one"}).exit_code, 2);
  const CommandResult missing = Ch({"diff", "nowhere.safetensors", Checkpoint("jsc-tiny")});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("nowhere.safetensors"));
  EXPECT_THAT(Ch({"diff", "--exit-kode", "a", "b"}).err, HasSubstr("did you mean '--exit-code'?"));
  EXPECT_EQ(Ch({"help", "diff"}).exit_code, 0);
  EXPECT_THAT(Ch({"help"}).out, AllOf(HasSubstr("\n  diff "), HasSubstr("\n  info ")));
}

TEST(NetTest, InfoNeedsNoData) {
  const CommandResult info = Ch({"info", "jsc-tiny", "--batch_size=8"});
  EXPECT_EQ(info.exit_code, 0) << info.err;
  EXPECT_THAT(info.out, AllOf(HasSubstr("BatchNorm1d"), HasSubstr("[8, 16]"),
                              HasSubstr("Trained parameters 117"), HasSubstr(": 640")));
  EXPECT_THAT(
      Ch({"info", "resnet18", "--input_shape=3,224,224", "--classes=1000", "--batch_size=1"}).out,
      HasSubstr("Trained parameters 11689512"));
  EXPECT_THAT(Ch({"info", "--load=" + Checkpoint("jsc-toy"), "--batch_size=2"}).out,
              HasSubstr("Trained parameters 327"));
  EXPECT_THAT(
      Ch({"info", "BN, ReLU, Linear 7", "--input_shape=3", "--classes=7", "--batch_size=1"}).out,
      HasSubstr("[1, 7]"));
  EXPECT_EQ(Ch({"info", "jsc-tny"}).exit_code, 2);
  EXPECT_EQ(Ch({"info"}).exit_code, 2);
}

}  // namespace
}  // namespace mase
