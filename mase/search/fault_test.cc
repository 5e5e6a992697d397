// A search on disks that fail (mase/testing/fail_each_call.h). The study's own file is SQLite's,
// whose calls are not ours; study_soak_test kills those who write it.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "mase/config/config.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/run/run.h"
#include "mase/search/search_run.h"
#include "mase/testing/command.h"
#include "mase/testing/fail_each_call.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

constexpr char kNet[] = R"(
model = 'jsc-tiny'
dataset = 'jsc-sim'
batch_size = 100
)";

constexpr char kFormats[] = R"(
[search.search_space]
name = 'graph/quantize/mixed_precision_ptq'
[search.search_space.setup]
by = 'type'
[search.search_space.seed.default.config]
name = ['NA']
[search.search_space.seed.linear.config]
name = ['integer']
data_in_width = [4, 8]
data_in_frac_width = [2]
weight_width = [4, 8]
weight_frac_width = [2]
bias_width = [8]
bias_frac_width = [4]
[search.strategy]
name = 'grid'
[search.strategy.setup]
n_jobs = 1
[search.strategy.metrics]
accuracy.scale = 1.0
average_bitwidth.scale = 0.2
)";

constexpr char kTrainedNets[] = R"(
[search.search_space.settings]
batch_size = [50, 100]
[search.strategy]
sw_runner.basic_train = {max_epochs = 1}
[search.strategy.setup]
sampler = 'grid'
n_jobs = 1
[search.strategy.metrics]
accuracy.scale = 1.0
)";

// Every how many calls one fails: those of a training are many and alike.
void ExpectThatASearchGoesOn(const std::string& tables, int step) {
  const std::string folder = fs::path(NewFolder()).lexically_normal().string();
  const std::unique_ptr<PluginLoader> loader = ValueOrDie(PluginLoader::Create());
  const ConfigRequest passes = {
      [&](absl::string_view pass) -> absl::StatusOr<const google::protobuf::Descriptor*> {
        const auto info = loader->LookUp(pass);
        if (!info.ok()) return info.status();
        return (*info)->options->GetDescriptor();
      },
      /*read_passes=*/true, /*read_search=*/true};
  Reporter silent;
  DatasetCache data;
  const RunEnvironment environment = {.reporter = silent, .passes = loader.get(), .data = &data};
  const auto search = [&](const std::string& directory) {
    const auto settings = [&](const std::vector<Assignment>& point) -> absl::StatusOr<RunConfig> {
      ConfigBuilder builder(passes);
      EXPECT_OK(builder.AddText(kNet + tables, "test.toml", folder));
      EXPECT_OK(builder.AddSet("dataset.rows=300"));
      EXPECT_OK(builder.AddSet(absl::StrCat("run_dir=", directory)));
      for (const Assignment& each : point) {
        EXPECT_OK(builder.AddFlag("search", each.setting, each.text));
      }
      return builder.Build().config;
    };
    if (!fs::exists(directory + "/settings.textproto")) fs::remove_all(directory);
    const SearchRequest request = {.settings = ValueOrDie(settings({})),
                                   .settings_of = settings,
                                   .deterministic = true,
                                   .batch = 2,
                                   .apply_best = true};
    return SearchRun(request, BeginReport("search"), environment).status;
  };
  FailEachCall({.run = search, .folder = folder, .file = "log.json", .step = step});
}

TEST(FaultTest, ASearchGoesOn) { ExpectThatASearchGoesOn(kFormats, 1); }
TEST(FaultTest, ASearchThatTrainsGoesOn) { ExpectThatASearchGoesOn(kTrainedNets, 11); }

}  // namespace
}  // namespace mase
