// Whole settings: levels, formats, MASE's own file, what is printed and written.
#include "mase/config/config.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/config/testing_config.h"
#include "mase/config/text_proto.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using google::protobuf::util::MessageDifferencer;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Writes files into a folder of the test's own, which is the user's working
// directory as far as the code can see.
class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) / test->name();
    fs::create_directories(folder_ / "configs");
    setenv("BUILD_WORKING_DIRECTORY", folder_.c_str(), 1);
  }
  void TearDown() override { unsetenv("BUILD_WORKING_DIRECTORY"); }

  void Write(const std::string& name, absl::string_view text) {
    ASSERT_TRUE(WriteFileAtomically((folder_ / name).string(), text).ok());
  }

  absl::StatusOr<LoadedConfig> Load(const std::vector<std::string>& args) {
    absl::StatusOr<Arguments> arguments = ParseArguments(args, {});
    if (!arguments.ok()) return arguments.status();
    return LoadConfig(*arguments, TestRequest());
  }

  std::string Error(const std::vector<std::string>& args) {
    const absl::Status status = Load(args).status();
    return status.ok() ? "OK" : std::string(status.message());
  }

  fs::path folder_;
};

TEST_F(ConfigTest, LaterLevelsWinWhereverTheyStand) {
  Write("c.toml", "batch_size = 512\nseed = 42\nmax_epochs = 5\nlearning_rate = 1e-2\n");
  const std::vector<std::vector<std::string>> orders = {
      {"--config", "c.toml", "--set", "seed=7", "--set=max_epochs=8", "--max-epochs", "9"},
      {"--max-epochs", "9", "--set=max_epochs=8", "--set", "seed=7", "--config", "c.toml"}};
  for (const auto& args : orders) {
    const RunConfig config = Load(args)->config;
    EXPECT_EQ(config.batch_size(), 512);  // File over default.
    EXPECT_EQ(config.seed(), 7u);         // --set over file.
    EXPECT_EQ(config.max_epochs(), 9);    // Flag over --set.
    EXPECT_EQ(config.learning_rate(), 1e-2);
    EXPECT_EQ(config.log_every_n_steps(), 50);  // Default.
  }
}

TEST_F(ConfigTest, AFlagCountsBecauseItWasGivenEvenIfItEqualsTheDefault) {
  Write("c.toml", "batch_size = 512\nshuffle = false\n");
  const RunConfig config = Load({"--config=c.toml", "--batch-size", "128", "--shuffle"})->config;
  EXPECT_EQ(config.batch_size(), 128);
  EXPECT_TRUE(config.shuffle());
}

TEST_F(ConfigTest, ASeedInTheFileSeeds) {
  Write("c.toml", "seed = 42\n");
  EXPECT_EQ(Load({"--config=c.toml"})->config.seed(), 42u);
}

TEST_F(ConfigTest, TheLastOfOneLevelWins) {
  EXPECT_EQ(Load({"--seed=1", "--seed=2"})->config.seed(), 2u);
  EXPECT_EQ(Load({"--set=seed=1", "--set=seed=2"})->config.seed(), 2u);
}

TEST_F(ConfigTest, PositionalsAreModelAndDataset) {
  const RunConfig config = Load({"BN, ReLU, Linear 32", "--seed=1", "jsc"})->config;
  EXPECT_EQ(config.model().name(), "BN, ReLU, Linear 32");
  EXPECT_EQ(config.dataset().name(), "jsc");
  EXPECT_EQ(Error({"a", "b", "c"}), "'c': want no more than MODEL and DATASET");
}

TEST_F(ConfigTest, TextOfTheCommandLineIsReadByItsTarget) {
  const RunConfig config =
      Load({"--project", "12", "--trainer-precision", "32", "--learning-rate", "1e-3", "--load",
            "true", "--set", "dataset.label=\"quoted\"", "--set", "cf_args.a.b=[1, 'x']",
            "--set=cf_args.a.c=bare word", "--dataset", "7", "--set", "dataset={rows = 5}"})
          ->config;
  EXPECT_EQ(config.project(), "12");
  EXPECT_EQ(config.trainer_precision(), "32");
  EXPECT_EQ(config.learning_rate(), 1e-3);
  EXPECT_EQ(config.model().load_name(), (folder_ / "true").string());
  EXPECT_EQ(config.dataset().label(), "quoted");
  EXPECT_EQ(config.dataset().name(), "7");
  EXPECT_EQ(config.dataset().rows(), 5);
  const auto& a = config.cf_args().fields().at("a").struct_value().fields();
  EXPECT_EQ(a.at("b").list_value().values(1).string_value(), "x");
  EXPECT_EQ(a.at("c").string_value(), "bare word");
}

TEST_F(ConfigTest, ASetTakesInlineTablesAtEveryDepth) {
  for (const std::string text :
       {"passes.shape_up.r.config={name='a', weight_width=8.0}",
        "passes.shape_up.r={config={name='a', weight_width=8}}",
        "passes.shape_up={r={config={name='a', weight={width=8}}}}",
        "passes={shape_up={r={config={name='a', weight={width=8}}}}}",
        "passes.shape_up.options={r={config={name='a', weight={width=8}}}}"}) {
    const auto loaded = Load({"--set", text});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const auto options = OptionsOf(loaded->config, 0);
    ASSERT_EQ(options.rules_size(), 1) << text;
    EXPECT_EQ(options.rules(0).key(), "r") << text;
    EXPECT_EQ(options.rules(0).config().weight().width(), 8) << text;
  }
  EXPECT_THAT(Error({"--set", "passes.shape_up={r=}"}), HasSubstr("--set passes.shape_up={r=}: "));
}

TEST_F(ConfigTest, ErrorsOfTheCommandLineNameTheFlag) {
  EXPECT_EQ(Error({"--batch-size", "many"}),
            "--batch-size: batch_size: want an integer, got \"many\"");
  EXPECT_EQ(Error({"--set", "batch_siz=3"}),
            "--set batch_siz=3: unknown key 'batch_siz'; did you mean 'batch_size'?");
  EXPECT_EQ(Error({"--set", "seed"}), "--set seed: want KEY=VALUE");
  EXPECT_THAT(Error({"--set", "passes.frist.by=name"}),
              HasSubstr("unknown pass 'frist'; did you mean 'first'?"));
  EXPECT_EQ(Error({"--debug=maybe"}), "--debug: to_debug: want true or false, got \"maybe\"");
}

TEST_F(ConfigTest, ProgramsGiveSettingsAsJsonOverTheFileAndBelowSets) {
  Write("c.toml", "batch_size = 1\nseed = 1\nmax_epochs = 1\n");
  Arguments arguments;
  arguments.config = "c.toml";
  arguments.texts = {{"config", R"({"batch_size": 2, "seed": 2, "load_name": "a.safetensors"})"},
                     {"arguments", R"({"batch_size": 3, "passes": {"first": {"by": "name"}}})"}};
  arguments.sets = {"max_epochs=4"};
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(arguments, TestRequest());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.batch_size(), 3);
  EXPECT_EQ(loaded->config.seed(), 2);
  EXPECT_EQ(loaded->config.max_epochs(), 4);
  EXPECT_EQ(loaded->config.model().load_name(), (folder_ / "a.safetensors").string());
  EXPECT_EQ(loaded->config.passes(0).name(), "first");

  arguments.texts = {{"arguments", R"({"passes": {"first": {"bye": "name"}}})"}};
  EXPECT_THAT(std::string(LoadConfig(arguments, TestRequest()).status().message()),
              ::testing::StartsWith("arguments: unknown key 'bye' in [passes.first]"));
}

TEST_F(ConfigTest, SetReachesIntoThePassesOfTheFile) {
  Write("c.toml",
        "[passes.first]\n[passes.shape_up.linear.config]\nname = 'integer'\nweight_width = 8\n");
  const RunConfig config =
      Load({"--config=c.toml", "--set", "passes.shape_up.linear.config.weight_width=4", "--set",
            "passes.second.by=name"})
          ->config;
  ASSERT_EQ(config.passes_size(), 3);
  const auto options = OptionsOf(config, 1);
  EXPECT_EQ(options.rules(0).config().weight().width(), 4);
  EXPECT_EQ(options.rules(0).config().name(), "integer");
  EXPECT_EQ(config.passes(2).name(), "second");
}

TEST_F(ConfigTest, PathsAreTheFilesInAFileAndTheCallersOnTheCommandLine) {
  Write("configs/c.toml", "load_name = 'w.ckpt'\n[dataset]\ntrain = '../t.csv'\n");
  const RunConfig config =
      Load({"--config", "configs/c.toml", "--set", "dataset.test=e.csv", "--run_dir=out"})->config;
  EXPECT_EQ(config.model().load_name(), (folder_ / "configs/w.ckpt").string());
  EXPECT_EQ(config.dataset().train(), (folder_ / "t.csv").string());
  EXPECT_EQ(config.dataset().test(), (folder_ / "e.csv").string());
  EXPECT_EQ(config.run_dir(), (folder_ / "out").string());
}

TEST_F(ConfigTest, FilesThatCannotBeReadAreErrors) {
  EXPECT_THAT(Error({"--config=none.toml"}), HasSubstr("none.toml: cannot open: No such file"));
  EXPECT_EQ(Load({"--config=none.toml"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Error({"--config=configs"}), HasSubstr("configs: is a directory"));
  Write("c.yaml", "seed: 1");
  EXPECT_EQ(Error({"--config=c.yaml"}),
            "c.yaml: a settings file must end in .toml, .json or .textproto");
  Write("big.toml", std::string(limits::kMaxConfigFileBytes, '\n'));
  EXPECT_EQ(Error({"--config=big.toml"}), "OK");
  Write("big.toml", std::string(limits::kMaxConfigFileBytes + 1, '\n'));
  EXPECT_EQ(Load({"--config=big.toml"}).status().code(), absl::StatusCode::kResourceExhausted);
}

// A file as MASE's users have them: training keys, passes and search in one.
constexpr char kMaseToml[] = R"toml(
model = "jsc-tiny"            # flat keys, all optional
dataset = "jsc"
task = "cls"
max_epochs = 5
batch_size = 512
learning_rate = 1e-2
accelerator = "gpu"
project = "jsc-tiny"
seed = 42
log_every_n_steps = 5
load_name = "path/best.ckpt"
load_type = "pl"

[cf_args]

[passes.shape_up]
by = "type"
report = true
[passes.shape_up.default.config]
name = "NA"
[passes.shape_up.linear.config]
name = "integer"
"data_in_width" = 8
data_in_frac_width = "NA"
weight_width = 8
weight_block_size = [1, 16]

[transform]
style = "graph"

[search.search_space]
name = "graph/quantize/mixed_precision_ptq"
[search.strategy]
name = "optuna"
[search.strategy.setup]
n_trials = 20
)toml";

constexpr char kSameJson[] = R"json({
  "model": "jsc-tiny", "dataset": {"name": "jsc"}, "task": "cls", "max_epochs": 5,
  "batch_size": 512, "learning_rate": 0.01, "accelerator": "gpu", "project": "jsc-tiny",
  "seed": 42, "log_every_n_steps": 5, "load_name": "path/best.ckpt", "load_type": "pl",
  "cf_args": {},
  "passes": [{"name": "shape_up", "options": {
    "@type": "type.googleapis.com/mase.plugins.shape_up.ShapeUpOptions",
    "by": "type",
    "rules": [
      {"key": "default", "config": {"name": null}},
      {"key": "linear", "config": {"name": "integer", "data_in": {"width": 8},
                                   "weight": {"width": 8, "block_size": [1, 16]}}}]}}],
  "transform": {"style": "graph"},
  "search": {"search_space": {"name": "graph/quantize/mixed_precision_ptq"},
             "strategy": {"name": "optuna", "setup": {"n_trials": 20}}}
})json";

constexpr char kSameTextProto[] = R"pb(
  model { name: "jsc-tiny" load_name: "path/best.ckpt" load_type: "pl" }
  dataset { name: "jsc" }
  task: "cls"
  max_epochs: 5
  batch_size: 512
  learning_rate: 0.01
  accelerator: "gpu"
  project: "jsc-tiny"
  seed: 42
  log_every_n_steps: 5
  cf_args {}
  passes {
    name: "shape_up"
    options {
      [type.googleapis.com/mase.plugins.shape_up.ShapeUpOptions] {
        by: "type"
        rules {
          key: "default"
          config {}
        }
        rules {
          key: "linear"
          config {
            name: "integer"
            data_in { width: 8 }
            weight {
              width: 8
              block_size: [ 1, 16 ]
            }
          }
        }
      }
    }
  }
  transform { style: "graph" }
  search {
    search_space { name: "graph/quantize/mixed_precision_ptq" }
    strategy {
      name: "optuna"
      setup { n_trials: 20 }
    }
  }
)pb";

TEST_F(ConfigTest, MasesExampleFileLoads) {
  const absl::StatusOr<LoadedConfig> loaded = LoadText(kMaseToml);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.model().name(), "jsc-tiny");
  EXPECT_EQ(loaded->config.model().load_name(), "/configs/path/best.ckpt");
  EXPECT_EQ(loaded->config.seed(), 42u);
  EXPECT_THAT(loaded->notes, ElementsAre(HasSubstr("'report' has no effect")));
}

TEST_F(ConfigTest, TheThreeFormatsSayTheSame) {
  const RunConfig toml = LoadText(kMaseToml).value().config;
  EXPECT_EQ(ErrorOf(kSameJson, "f.json"), "OK");
  const RunConfig json = LoadText(kSameJson, "f.json").value().config;
  EXPECT_TRUE(MessageDifferencer::Equals(toml, json)) << ConfigText(json);
  EXPECT_EQ(ErrorOf(kSameTextProto, "f.textproto"), "OK");
  const RunConfig proto = LoadText(kSameTextProto, "f.textproto").value().config;
  EXPECT_TRUE(MessageDifferencer::Equals(toml, proto)) << ConfigText(proto);
}

TEST_F(ConfigTest, WrittenSettingsLoadAsTheSameRun) {
  RunConfig config = LoadText(kMaseToml).value().config;
  config.set_run_dir("/out/run");
  const std::string text = ConfigText(config);
  EXPECT_EQ(text, ConfigText(config));
  EXPECT_THAT(text, AllOf(HasSubstr("seed: 42"), HasSubstr("max_steps: -1"),
                          HasSubstr("ShapeUpOptions"), Not(HasSubstr("run_dir:"))));
  const absl::StatusOr<LoadedConfig> again = LoadText(text, "config.textproto");
  ASSERT_TRUE(again.ok()) << again.status();
  config.clear_run_dir();
  EXPECT_TRUE(MessageDifferencer::Equals(again->config, config)) << ConfigText(again->config);
}

TEST_F(ConfigTest, FlagsOfOneListAddUpAndReplaceThoseOfTheFile) {
  Write("c.toml", "[goals]\nrequire = ['loss <= 1']\n");
  const LoadedConfig file = *Load({"--config", "c.toml"});
  EXPECT_THAT(file.config.goals().require(), ElementsAre("loss <= 1"));
  const LoadedConfig both =
      *Load({"--config", "c.toml", "--goal", "accuracy >= 0.7", "--goal=bytes <= 2000"});
  EXPECT_THAT(both.config.goals().require(), ElementsAre("accuracy >= 0.7", "bytes <= 2000"));
  EXPECT_THAT(OriginsTable(both.record).Csv(),
              HasSubstr("\"[\"\"accuracy >= 0.7\"\", \"\"bytes <= 2000\"\"]\",--goal\n"));
}

TEST_F(ConfigTest, WhereOneRunWritesIsNoSettingOfTheNext) {
  const RunConfig config = Load({"--goal=loss <= 1", "--junit=goals.xml"})->config;
  EXPECT_EQ(config.goals().junit(), (folder_ / "goals.xml").string());
  EXPECT_THAT(ConfigText(config), AllOf(HasSubstr("loss <= 1"), Not(HasSubstr("goals.xml"))));
}

TEST_F(ConfigTest, AnActionWithoutPassesReadsTheRestAndSaysSo) {
  const auto read = [](const std::string& text, const char* name) -> absl::StatusOr<LoadedConfig> {
    ConfigBuilder builder(ConfigRequest{nullptr, /*read_passes=*/false});
    const absl::Status status = builder.AddText(text, name, "");
    if (!status.ok()) return status;
    return builder.Build();
  };
  const std::string toml = "seed = 42\n[passes.x]\nc = 1\n";
  const std::string unknown =
      "seed: 42 passes { name: 'x' options { [type.googleapis.com/a.x.B] { c { d: 1 } } } }\n";
  for (const auto& [text, name] : {std::pair(toml, "f.toml"), std::pair(unknown, "f.textproto")}) {
    const absl::StatusOr<LoadedConfig> loaded = read(text, name);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->config.seed(), 42u);
    EXPECT_EQ(loaded->config.passes_size(), 0);
    EXPECT_THAT(loaded->notes, ElementsAre(HasSubstr("this action runs no passes")));
  }
  EXPECT_THAT(read(unknown + "sed: 3\n", "f.textproto").status().message(),
              AllOf(HasSubstr("f.textproto:2:4: unknown key 'sed'"), HasSubstr("'seed'")));
}

// Runs of spaces as one.
std::string Squeezed(std::string text) {
  text.erase(
      std::unique(text.begin(), text.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
      text.end());
  return text;
}

TEST_F(ConfigTest, TheSettingsTableShowsEveryLevelAndWhatHolds) {
  Write("c.toml", "batch_size = 512\nseed = 42\nload_type = 'pl'\nmax_steps = 'NA'\n");
  const LoadedConfig loaded =
      Load({"jsc-tiny", "--config=c.toml", "--seed=7", "--set=max_epochs=3"}).value();
  const std::string table = SettingsTable(loaded.record, ShownSettings::kAll).Boxed();
  for (const char* row :
       {"| Name | Default | Config. File | Manual Override | Effective |\n",
        "| model | None | | jsc-tiny | jsc-tiny |\n", "| load_type | None | pl | | pl |\n",
        "| batch_size | 128 | 512 | | 512 |\n", "| seed | 0 | 42 | 7 | 7 |\n",
        "| max_epochs | 20 | | 3 | 3 |\n", "| max_steps | -1 | None | | -1 |\n",
        "| project | None | | | None |\n", "| learning_rate | 1e-05 | | | 1e-05 |\n"}) {
    EXPECT_THAT(Squeezed(table), HasSubstr(row));
  }
  EXPECT_THAT(table, Not(HasSubstr("\033")));
}

TEST_F(ConfigTest, WithoutAFileTheTableHasNoColumnForIt) {
  const LoadedConfig loaded = Load({"--seed=7"}).value();
  EXPECT_THAT(SettingsTable(loaded.record, ShownSettings::kAll).Text(),
              Not(HasSubstr("Config. File")));
}

TEST_F(ConfigTest, OnATerminalValuesThatLostAreGrey) {
  Write("c.toml", "seed = 42\nbatch_size = 64\n");
  const LoadedConfig loaded = Load({"--config=c.toml", "--seed=7"}).value();
  const std::string table = SettingsTable(loaded.record, ShownSettings::kAll).Text({.color = true});
  for (const char* lost : {"42", "128"}) {
    const size_t at = table.find(absl::StrCat(" ", lost, " "));
    ASSERT_NE(at, std::string::npos);
    EXPECT_NE(table.rfind("\033[38;5;8m", at), std::string::npos) << lost;
    EXPECT_LT(at - table.rfind("\033[38;5;8m", at), 40u) << lost;
  }
}

TEST_F(ConfigTest, TheOriginOfEverySettingIsKept) {
  Write("c.toml", "seed = 42\n[passes.first.linear.config]\nweight_width = 8\n");
  const LoadedConfig loaded =
      Load({"--config=c.toml", "--batch-size", "8", "--set=dataset.label=y"}).value();
  const std::string origins = OriginsTable(loaded.record).Plain();
  const auto row = [&](absl::string_view name) {
    const size_t begin = origins.find(absl::StrCat("\n", name, " ")) + 1;
    std::vector<std::string> words;
    for (absl::string_view word :
         absl::StrSplit(absl::string_view(origins).substr(begin, origins.find('\n', begin) - begin),
                        ' ', absl::SkipEmpty())) {
      words.emplace_back(word);
    }
    return words;
  };
  EXPECT_THAT(row("seed"), ElementsAre("seed", "42", "c.toml:1:8"));
  EXPECT_THAT(row("batch_size"), ElementsAre("batch_size", "8", "--batch-size"));
  EXPECT_THAT(row("dataset.label"), ElementsAre("dataset.label", "y", "--set", "dataset.label=y"));
  EXPECT_THAT(row("max_epochs"), ElementsAre("max_epochs", "20", "default"));
  EXPECT_THAT(row("passes.first.linear.config.weight.width"),
              ElementsAre("passes.first.linear.config.weight.width", "8", "c.toml:3:16"));
}

// As before plugins could bring samplers, when they were an enum.
TEST(ConfigTextTest, SamplersOfOlderFilesAreRead) {
  const auto loaded = LoadText(
      "search {\n  strategy {\n    setup {\n      sampler {\n        name: NSGAII\n"
      "        n_startup_trials: 10\n      }\n    }\n  }\n}\n",
      "settings.textproto");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.search().strategy().setup().sampler().name(), "nsgaii");
}

}  // namespace
}  // namespace mase
