// The rules by which a key finds its field, and a value its type.
#include "mase/config/merge.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/config/testing_config.h"
#include "mase/config/text_proto.h"

namespace mase {
namespace {

using plugins::shape_up::ShapeUpOptions;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RunConfig Load(absl::string_view text) {
  absl::StatusOr<LoadedConfig> loaded = LoadText(text);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->config : RunConfig();
}

ShapeUpOptions LoadOptions(absl::string_view text) {
  const RunConfig config = Load(absl::StrCat("[passes.shape_up]\n", text));
  return config.passes_size() == 1 ? OptionsOf(config, 0) : ShapeUpOptions();
}

std::string OptionsError(absl::string_view text) {
  return ErrorOf(absl::StrCat("[passes.shape_up]\n", text));
}

TEST(DefaultsTest, AreMasesOwn) {
  const RunConfig config = Load("");
  EXPECT_EQ(config.task(), "classification");
  EXPECT_EQ(config.batch_size(), 128);
  EXPECT_EQ(config.seed(), 0u);
  EXPECT_TRUE(config.has_seed());
  EXPECT_EQ(config.max_epochs(), 20);
  EXPECT_EQ(config.max_steps(), -1);
  EXPECT_EQ(config.learning_rate(), 1e-5);
  EXPECT_EQ(config.weight_decay(), 0);
  EXPECT_EQ(config.training_optimizer(), "adam");
  EXPECT_EQ(config.trainer_precision(), "32");
  EXPECT_EQ(config.accumulate_grad_batches(), 1);
  EXPECT_EQ(config.log_every_n_steps(), 50);
  EXPECT_EQ(config.accelerator(), "auto");
  EXPECT_EQ(config.log_level(), "info");
  EXPECT_FALSE(config.to_debug());
  EXPECT_TRUE(config.shuffle());
  EXPECT_TRUE(config.evaluation().enabled());
  EXPECT_EQ(config.evaluation().split(), "test");
  EXPECT_EQ(config.transform().style(), "graph");
  EXPECT_FALSE(config.has_project_dir());
  EXPECT_FALSE(config.has_t_max());
}

TEST(KeysTest, AnUnknownKeyIsNamedWithPlaceTableAndNearestKey) {
  EXPECT_EQ(ErrorOf("seed = 1\nmax_epoch = 3\n"),
            "f.toml:2:1: unknown key 'max_epoch'; did you mean 'max_epochs'?");
  EXPECT_EQ(ErrorOf("[dataset]\nname = 'jsc'\n  pth = 'x'\n"),
            "f.toml:3:3: unknown key 'pth' in [dataset]; did you mean 'path'?");
  EXPECT_EQ(OptionsError("[passes.shape_up.linear.config]\ndata_in_widht = 8\n"),
            "f.toml:3:1: unknown key 'data_in_widht' in [passes.shape_up.linear.config]; "
            "did you mean 'data_in_width'?");
  EXPECT_EQ(ErrorOf("\"a\\nb\" = 1\n"), "f.toml:1:1: unknown key 'a\\nb'");
  EXPECT_EQ(ErrorOf("zzzzzz = 1\n"), "f.toml:1:1: unknown key 'zzzzzz'");
}

TEST(KeysTest, AllWrongKeysOfAFileAreReportedTogether) {
  EXPECT_EQ(
      ErrorOf("batch_siz = 3\nlr = 1\nseed = 'x'\n[passes.shape_up]\nby = 'typ'\n"
              "sizes = [1, 'a', 'b']\n[passes.shape_up.r.config.weight]\nwidth = 0\n"),
      "f.toml:1:1: unknown key 'batch_siz'; did you mean 'batch_size'?\n"
      "f.toml:2:1: unknown key 'lr'; did you mean 'learning_rate'?\n"
      "f.toml:3:8: seed: want an integer, got \"x\"\n"
      "f.toml:5:6: passes.shape_up.by: 'typ' is none of type, name, regex_name; did you mean "
      "'type'?\n"
      "f.toml:6:13: passes.shape_up.sizes: want an integer, got \"a\"\n"
      "f.toml:6:18: passes.shape_up.sizes: want an integer, got \"b\"\n"
      "f.toml:8:9: passes.shape_up.r.config.weight.width: 0 is out of range, want at least 1");
  std::string many;
  for (int i = 0; i < 12; ++i) many += "zzz" + std::to_string(i) + " = 1\n";
  EXPECT_THAT(ErrorOf(many), testing::EndsWith("unknown key 'zzz9'\nand 2 more"));
}

TEST(KeysTest, AScalarInPlaceOfAMessageSetsItsScalarKey) {
  EXPECT_EQ(Load("dataset = 'jsc'").dataset().name(), "jsc");
  EXPECT_EQ(Load("model = 'BN, ReLU, Linear 32'").model().name(), "BN, ReLU, Linear 32");
  EXPECT_EQ(ErrorOf("dataset = 7"), "f.toml:1:11: dataset.name: want a string, got 7");
  EXPECT_EQ(ErrorOf("evaluation = 'test'"), "f.toml:1:14: evaluation: want a table, got \"test\"");
}

TEST(KeysTest, AliasesWorkAtTheTopLevelOnly) {
  const RunConfig config =
      Load("load_name = 'best.ckpt'\nload_type = 'pl'\ncpu = 0\ndebug = true\n");
  EXPECT_EQ(config.model().load_name(), "/configs/best.ckpt");
  EXPECT_EQ(config.model().load_type(), "pl");
  EXPECT_EQ(config.num_workers(), 0);
  EXPECT_TRUE(config.to_debug());
  EXPECT_THAT(ErrorOf("[evaluation]\nevaluate = true"), HasSubstr("unknown key 'evaluate'"));
}

TEST(KeysTest, AFlatKeyDescendsIntoTheMessageThatItStartsWith) {
  EXPECT_EQ(Load("dataset_path = '/x'").dataset().path(), "/x");
  const ShapeUpOptions options = LoadOptions(
      "[passes.shape_up.linear.config]\n"
      "name = 'integer'\ndata_in_width = 8\ndata_in_frac_width = 4\nweight_block_size = [1, 16]\n");
  EXPECT_EQ(options.rules(0).config().data_in().width(), 8);
  EXPECT_EQ(options.rules(0).config().data_in().frac_width(), 4);
  EXPECT_THAT(options.rules(0).config().weight().block_size(), ElementsAre(1, 16));
}

TEST(KeysTest, TheCatchAllTakesTablesInTheOrderOfTheText) {
  const ShapeUpOptions options = LoadOptions(
      "by = 'regex_name'\n"
      "[passes.shape_up.\"seq_.*\".config]\nname = 'NA'\n"
      "[passes.shape_up.default.config]\nname = 'NA'\n"
      "[passes.shape_up.conv1d.config]\nname = 'integer'\n"
      "[passes.shape_up.rules.also.config]\nname = 'log'\n");
  EXPECT_EQ(options.by(), "regex_name");
  ASSERT_EQ(options.rules_size(), 4);
  EXPECT_EQ(options.rules(0).key(), "seq_.*");
  EXPECT_TRUE(options.rules(0).has_config());
  EXPECT_FALSE(options.rules(0).config().has_name());
  EXPECT_EQ(options.rules(1).key(), "default");
  EXPECT_EQ(options.rules(2).config().name(), "integer");
  EXPECT_EQ(options.rules(3).key(), "also");
  EXPECT_THAT(OptionsError("linaer = 3"), HasSubstr("unknown key 'linaer' in [passes.shape_up]"));
}

TEST(KeysTest, OfAChoiceOneFieldCanBeGiven) {
  constexpr char kRule[] = "[passes.shape_up.r.config]\n";
  EXPECT_EQ(OptionsError(absl::StrCat(kRule, "left = { width = 1 }\n")), "OK");
  EXPECT_THAT(OptionsError(absl::StrCat(kRule, "left = { width = 1 }\nright = { width = 2 }\n")),
              HasSubstr("f.toml:4:1: passes.shape_up.r.config: give left or right, not both"));
  EXPECT_THAT(OptionsError(absl::StrCat(kRule, "left_width = 1\nright_width = 2\n")),
              HasSubstr("give left or right, not both"));
}

TEST(KeysTest, MapsOfScalarsAndMessagesAreTables) {
  const ShapeUpOptions options = LoadOptions(
      "weights = {accuracy = 1, 'avg bits' = 0.5}\n[passes.shape_up.extra.x.config]\nname = 'y'\n");
  EXPECT_EQ(options.weights().at("accuracy"), 1);
  EXPECT_EQ(options.weights().at("avg bits"), 0.5);
  EXPECT_EQ(options.extra().at("x").config().name(), "y");
  EXPECT_THAT(OptionsError("weights = 3"), HasSubstr("passes.shape_up.weights: want a table"));
  EXPECT_THAT(OptionsError("weights = {a = 'x'}"),
              HasSubstr("passes.shape_up.weights.a: want a number, got \"x\""));
}

TEST(KeysTest, KeysWithoutMeaningHereAreNoted) {
  const LoadedConfig loaded =
      LoadText("target = 'xcu250'\n[passes.shape_up]\nreport = true\n").value();
  EXPECT_THAT(loaded.notes, ElementsAre(HasSubstr("f.toml:1:1: 'target' has no effect: "),
                                        HasSubstr("f.toml:3:1: 'report' has no effect: ")));
}

TEST(PassesTest, RunInTheOrderOfTheFileWithTheirOptionsPacked) {
  const RunConfig config = Load("[passes.third]\n[passes.first]\nby = 'name'\n[passes.second]\n");
  ASSERT_EQ(config.passes_size(), 3);
  EXPECT_EQ(config.passes(0).name(), "third");
  EXPECT_EQ(config.passes(1).name(), "first");
  EXPECT_EQ(config.passes(2).name(), "second");
  EXPECT_EQ(OptionsOf(config, 0).by(), "type");
  EXPECT_EQ(OptionsOf(config, 1).by(), "name");
}

TEST(PassesTest, AListRunsAPassMoreThanOnce) {
  const RunConfig config = Load(
      "[[passes]]\nname = 'first'\nlabel = 'before'\n"
      "[[passes]]\nby = 'name'\nname = 'second'\nallow_unchanged = true\n"
      "[[passes]]\nname = 'first'\n");
  ASSERT_EQ(config.passes_size(), 3);
  EXPECT_EQ(config.passes(0).label(), "before");
  EXPECT_TRUE(config.passes(1).allow_unchanged());
  EXPECT_EQ(OptionsOf(config, 1).by(), "name");
  EXPECT_EQ(config.passes(2).name(), "first");
  EXPECT_EQ(Load("passes = ['second', 'first']").passes(0).name(), "second");
}

TEST(PassesTest, AnUnknownPassIsNamedWithPlaceAndNearestPass) {
  EXPECT_EQ(ErrorOf("seed = 1\n[passes.frist]\n"),
            "f.toml:2:1: unknown pass 'frist'; did you mean 'first'?");
  EXPECT_EQ(LoadText("[passes.frist]\n").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorOf("[passes.empty]\nalow_unchanged = true\n"),
            "f.toml:2:1: unknown key 'alow_unchanged' in [passes.empty]; "
            "did you mean 'allow_unchanged'?");
  EXPECT_EQ(ErrorOf("[[passes]]\nby = 'x'\n"), "f.toml:1:1: passes: each entry needs a name");
  EXPECT_EQ(ErrorOf("[[passes]]\nname = ''\n"), "f.toml:1:1: passes: each entry needs a name");
  EXPECT_EQ(ErrorOf("[passes.'']\n"), "f.toml:1:1: passes.\"\": a name must not be empty");
  EXPECT_EQ(ErrorOf("passes = 3"), "f.toml:1:10: passes: want a list of tables, got 3");
  EXPECT_EQ(ErrorOf("passes = [3]"), "f.toml:1:11: passes: want a table, got 3");
}

TEST(PassesTest, AnEntryOfSeveralWithOneNameCannotBeAddressed) {
  ConfigBuilder builder(TestRequest());
  ASSERT_TRUE(builder.AddText("passes = ['first', 'first', 'second']", "f.toml", "/").ok());
  EXPECT_TRUE(builder.AddSet("passes.second.by=name").ok());
  EXPECT_THAT(std::string(builder.AddSet("passes.first.by=name").message()),
              HasSubstr("several entries have this name"));
}

TEST(PassesTest, AreLeftUnreadWhereTheActionRunsNone) {
  ConfigBuilder builder({ResolveTestPass, false});
  ASSERT_TRUE(builder.AddText("seed = 3\n[passes.unknown]\n x = 1\n", "f.toml", "/").ok());
  const RunConfig config = builder.Build().config;
  EXPECT_EQ(config.seed(), 3u);
  EXPECT_EQ(config.passes_size(), 0);
}

TEST(ValuesTest, AWrongTypeIsNamedWithKeyTypeAndValue) {
  EXPECT_EQ(ErrorOf("batch_size = 'many'"),
            "f.toml:1:14: batch_size: want an integer, got \"many\"");
  EXPECT_EQ(ErrorOf("batch_size = 8.5"), "f.toml:1:14: batch_size: want an integer, got 8.5");
  EXPECT_EQ(ErrorOf("learning_rate = true"), "f.toml:1:17: learning_rate: want a number, got true");
  EXPECT_EQ(ErrorOf("to_debug = 1"), "f.toml:1:12: to_debug: want true or false, got 1");
  EXPECT_EQ(ErrorOf("project = ['a']"), "f.toml:1:11: project: want a string, got [\"a\"]");
  EXPECT_EQ(ErrorOf("project = {a = 1}"), "f.toml:1:11: project: want a string, got {a = 1}");
  EXPECT_THAT(OptionsError("mode = 1"), HasSubstr("passes.shape_up.mode: want a name, got 1"));
  EXPECT_THAT(OptionsError("anything = 1"), HasSubstr("passes.shape_up.anything: want a table"));
}

TEST(ValuesTest, AWholeNumberIsAnIntegerHoweverItIsWritten) {
  EXPECT_EQ(Load("batch_size = 256.0").batch_size(), 256);
  EXPECT_EQ(Load("batch_size = 1e3").batch_size(), 1000);
  EXPECT_EQ(LoadText(R"({"batch_size": 256.0})", "f.json")->config.batch_size(), 256);
  EXPECT_EQ(Load("trainer_precision = 32.0").trainer_precision(), "32");
  EXPECT_THAT(LoadOptions("sizes = [3.0, -4.0]").sizes(), ElementsAre(3, -4));
  EXPECT_THAT(ErrorOf("batch_size = 0.0"), HasSubstr("0 is out of range, want at least 1"));
  EXPECT_THAT(ErrorOf("num_devices = 1e12"), HasSubstr("want an integer from"));
  EXPECT_THAT(ErrorOf("batch_size = inf"), HasSubstr("want an integer, got inf"));
  EXPECT_THAT(ErrorOf("max_steps = 1e300"), HasSubstr("want an integer, got 1e+300"));
}

TEST(ValuesTest, NumbersMustFitTheirField) {
  EXPECT_EQ(ErrorOf("seed = 4294967295"), "OK");
  EXPECT_EQ(ErrorOf("seed = 4294967296"),
            "f.toml:1:8: seed: want an integer from 0 to 4294967295, got 4294967296");
  EXPECT_THAT(ErrorOf("seed = -1"), HasSubstr("want an integer from 0 to"));
  EXPECT_THAT(ErrorOf("num_devices = 2147483648"), HasSubstr("want an integer from -2147483648"));
  EXPECT_EQ(ErrorOf("batch_size = 1"), "OK");
  EXPECT_THAT(ErrorOf("batch_size = 100000000"), HasSubstr("at most 16777216"));
  EXPECT_THAT(ErrorOf("max_epochs = 2000000000"), HasSubstr("want at least 0 and at most 1e+06"));
  EXPECT_EQ(ErrorOf("batch_size = 0"),
            "f.toml:1:14: batch_size: 0 is out of range, want at least 1 and at most 16777216");
  EXPECT_EQ(ErrorOf("learning_rate = nan"),
            "f.toml:1:17: learning_rate: want a finite number, got nan");
  EXPECT_THAT(ErrorOf("learning_rate = inf"), HasSubstr("want a finite number"));
  EXPECT_THAT(ErrorOf("learning_rate = -1e-3"),
              HasSubstr("-0.001 is out of range, want at least 0"));
  EXPECT_THAT(OptionsError("ratio = 1e39"), HasSubstr("want a finite number"));
  EXPECT_THAT(OptionsError("big = -1"), HasSubstr("want an integer from 0 to"));
  EXPECT_EQ(LoadOptions("big = 9223372036854775807").big(), 9223372036854775807u);
  EXPECT_EQ(Load("learning_rate = 1").learning_rate(), 1.0);
}

TEST(ValuesTest, RangesMayBeOpen) {
  EXPECT_EQ(LoadOptions("share = 1").share(), 1);
  EXPECT_EQ(LoadOptions("share = 1e-300").share(), 1e-300);
  EXPECT_THAT(OptionsError("share = 0"),
              HasSubstr("share: 0 is out of range, want above 0 and at most 1"));
  EXPECT_THAT(OptionsError("share = 1.5"), HasSubstr("1.5 is out of range"));
  EXPECT_THAT(OptionsError("turns = 8"),
              HasSubstr("8 is out of range, want at least 0 and below 8"));
}

TEST(ValuesTest, AStringMustBeAmongTheAllowedOnes) {
  EXPECT_EQ(ErrorOf("training_optimizer = 'adan'"),
            "f.toml:1:22: training_optimizer: 'adan' is none of adam, adamw, sgd; "
            "did you mean 'adam'?");
  EXPECT_EQ(Load("task = 'cls'").task(), "cls");
  EXPECT_EQ(Load("trainer_precision = 64").trainer_precision(), "64");
  EXPECT_THAT(ErrorOf("trainer_precision = 63"), HasSubstr("'63' is none of 16-mixed, 32, 64"));
}

// A setting that is a switch with one word more, as --require_int8 and --require_int8=all.
TEST(ValuesTest, ATruthIsTheWordOfAChoiceThatHasIt) {
  EXPECT_EQ(Load("require_int8 = true").evaluation().require_int8(), "true");
  EXPECT_EQ(Load("[evaluation]\nrequire_int8 = false").evaluation().require_int8(), "false");
  EXPECT_EQ(Load("require_int8 = 'all'").evaluation().require_int8(), "all");
  EXPECT_EQ(LoadText(R"({"require_int8": true})", "f.json")->config.evaluation().require_int8(),
            "true");
  EXPECT_THAT(ErrorOf("require_int8 = 1"),
              HasSubstr("require_int8: '1' is none of false, true, all"));
  EXPECT_THAT(ErrorOf("training_optimizer = true"),
              HasSubstr("'true' is none of adam, adamw, sgd"));
  EXPECT_EQ(ErrorOf("project = true"), "f.toml:1:11: project: want a string, got true");
}

TEST(ValuesTest, EnumsGoByNameInAnyCase) {
  EXPECT_EQ(LoadOptions("mode = 'hard'").mode(), ShapeUpOptions::HARD);
  EXPECT_THAT(LoadOptions("modes = ['HARD', 'gentle']").modes(),
              ElementsAre(ShapeUpOptions::HARD, ShapeUpOptions::GENTLE));
  EXPECT_THAT(OptionsError("mode = 'HARP'"),
              HasSubstr("'HARP' is none of MODE_UNSET, GENTLE, HARD; did you mean 'HARD'?"));
  EXPECT_THAT(OptionsError("mode = 'harp'"), HasSubstr("hard; did you mean 'hard'?"));
}

TEST(ValuesTest, AListOfScalarsMayBeGivenAsOne) {
  EXPECT_THAT(LoadOptions("sizes = [3, 4]").sizes(), ElementsAre(3, 4));
  EXPECT_THAT(LoadOptions("sizes = 5").sizes(), ElementsAre(5));
  EXPECT_THAT(LoadOptions("sizes = []").sizes(), IsEmpty());
  EXPECT_THAT(OptionsError("sizes = [3, 'x']"),
              HasSubstr("f.toml:2:13: passes.shape_up.sizes: want an integer, got \"x\""));
  EXPECT_THAT(OptionsError("names = ['a', 'NA']"), HasSubstr("want a string, got None"));
  EXPECT_THAT(OptionsError("sizes = {a = 1}"), HasSubstr("want an integer, got {a = 1}"));
}

TEST(ValuesTest, NaUnsetsAndGivesDefaultsBack) {
  const RunConfig config = Load("project = 'NA'\nmax_steps = 'NA'\nevaluation = 'NA'\n");
  EXPECT_FALSE(config.has_project());
  EXPECT_EQ(config.max_steps(), -1);
  EXPECT_TRUE(config.evaluation().enabled());

  ConfigBuilder builder(TestRequest());
  ASSERT_TRUE(
      builder
          .AddText("seed = 3\n[dataset]\nvalidation_split = 0.5\n[passes.first]\n", "f.toml", "/")
          .ok());
  for (const char* set : {"seed=NA", "dataset=NA", "passes.first.options=NA"}) {
    EXPECT_TRUE(builder.AddSet(set).ok()) << set;
  }
  const RunConfig unset = builder.Build().config;
  EXPECT_EQ(unset.seed(), 0u);
  EXPECT_EQ(unset.dataset().validation_split(), 0.5);  // "dataset" means its name here.
  EXPECT_EQ(OptionsOf(unset, 0).by(), "type");
}

// To leave something out is another choice than to say nothing of it.
TEST(ValuesTest, NaIsAWordWhereNoneIsAChoice) {
  EXPECT_FALSE(LoadOptions("turns = 1").has_partner());
  EXPECT_EQ(LoadOptions("partner = 'NA'").partner(), "NA");
  EXPECT_THAT(LoadOptions("axes = 'NA'").axes(), ElementsAre("NA"));
  EXPECT_THAT(LoadOptions("axes = ['all', 'NA']").axes(), ElementsAre("all", "NA"));

  ConfigBuilder builder(TestRequest());
  ASSERT_TRUE(builder.AddText("[passes.shape_up]\n", "f.toml", "/").ok());
  EXPECT_TRUE(builder.AddSet("passes.shape_up.partner=NA").ok());
  EXPECT_EQ(OptionsOf(builder.Build().config, 0).partner(), "NA");
}

TEST(ValuesTest, FreeFormTablesAreKeptAsTheyAre) {
  const RunConfig config =
      Load("[cf_args.seed]\ndefault.name = ['integer', 'NA']\nwidths = [2, 4.5]\n");
  const auto& seed = config.cf_args().fields().at("seed").struct_value().fields();
  EXPECT_EQ(seed.at("widths").list_value().values(1).number_value(), 4.5);
  const auto& names = seed.at("default").struct_value().fields().at("name").list_value();
  EXPECT_TRUE(names.values(1).has_null_value());
}

TEST(ValuesTest, ListsOfValuesOfAnyTypeKeepTheirOrderAndThatOfTheirKeys) {
  const RunConfig config = Load(
      "[search.search_space.seed.linear.config]\nweight_width = [8, 2.5, 'x', 'NA', true]\n"
      "data_in_width = 4\n[search.search_space.settings]\nlearning_rate = {low = 1, high = 2}\n");
  const auto& choices = config.search().search_space().seed(0).config();
  ASSERT_EQ(choices.size(), 2);
  EXPECT_EQ(choices[0].name(), "weight_width");
  ASSERT_EQ(choices[0].values_size(), 5);
  EXPECT_EQ(choices[0].values(1).number_value(), 2.5);
  EXPECT_EQ(choices[0].values(2).string_value(), "x");
  EXPECT_TRUE(choices[0].values(3).has_null_value());
  EXPECT_TRUE(choices[0].values(4).bool_value());
  EXPECT_EQ(choices[1].values(0).number_value(), 4);
  EXPECT_EQ(config.search().search_space().settings(0).high(), 2);
}

TEST(ValuesTest, ASectionOnDemandHasItsDefaultsOnceItIsGiven) {
  EXPECT_FALSE(Load("seed = 1").has_search());
  const RunConfig config = Load("[search.strategy.hw_runner.average_bitwidth]");
  EXPECT_EQ(config.search().strategy().setup().sampler().name(), "tpe");
  EXPECT_EQ(config.search().strategy().hw_runner().average_bitwidth().compare_to(), 32);
  EXPECT_FALSE(config.search().strategy().hw_runner().has_latency());
}

TEST(ValuesTest, RelativePathsInAFileAreTheFiles) {
  const RunConfig config = Load("[dataset]\npath = '../data/x.h5'\ntrain = '/abs/t.csv'\n");
  EXPECT_EQ(config.dataset().path(), "/data/x.h5");
  EXPECT_EQ(config.dataset().train(), "/abs/t.csv");
  EXPECT_EQ(LoadOptions("table = 't.csv'").table(), "/configs/t.csv");
}

TEST(ValuesTest, TheLaterOfAOneofWins) {
  ConfigBuilder builder(TestRequest());
  ASSERT_TRUE(builder.AddText("[passes.first.a.config]\nleft_width = 3\n", "f.toml", "/").ok());
  ASSERT_TRUE(builder.AddSet("passes.first.a.config.right.width=4").ok());
  const ShapeUpOptions options = OptionsOf(builder.Build().config, 0);
  EXPECT_FALSE(options.rules(0).config().has_left());
  EXPECT_EQ(options.rules(0).config().right().width(), 4);
}

}  // namespace
}  // namespace mase
