// Nets and the data that they were trained on, apart: what a user need not repeat in a later run.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/interop/npy.h"
#include "mase/interop/safetensors.h"
#include "mase/model/checkpoint.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Contents(const std::string& path) {
  return ValueOrDie(ReadFile(path, int64_t{1} << 30));
}

void Write(const std::string& path, const std::string& contents) {
  ASSERT_OK(WriteFileAtomically(path, contents));
}

using Rows = std::vector<std::vector<std::string>>;

// A CSV file without quotes, header first.
Rows ReadCsv(const std::string& path) {
  Rows rows;
  for (const auto& line : absl::StrSplit(Contents(path), '\n', absl::SkipEmpty())) {
    rows.push_back(absl::StrSplit(line, ','));
  }
  return rows;
}

std::string Csv(const Rows& rows) {
  std::string text;
  for (const auto& row : rows) absl::StrAppend(&text, absl::StrJoin(row, ","), "\n");
  return text;
}

// The rows with these columns, in this order.
Rows Columns(const Rows& rows, const std::vector<size_t>& columns) {
  Rows chosen;
  for (const auto& row : rows) {
    chosen.emplace_back();
    for (const size_t column : columns) chosen.back().push_back(row[column]);
  }
  return chosen;
}

CommandResult Train(const std::string& folder, std::vector<std::string> arguments) {
  arguments.push_back("--run_dir=run");
  const CommandResult run = RunCommand("mase/train_main", arguments, folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return run;
}

// Tests run/best.safetensors.
CommandResult RunTest(const std::string& folder, std::vector<std::string> arguments) {
  arguments.push_back("--load=run/best.safetensors");
  return RunCommand("mase/test", arguments, folder);
}

std::string Set(const std::string& key, const std::string& value) {
  return absl::StrCat("--set=dataset.", key, "=", value);
}

std::string Points(const std::string& name) { return Runfile("testdata/recipe/" + name); }

DataRecipe RecipeIn(const std::string& path) {
  return ValueOrDie(LoadCheckpoint(path)).recipe.value();
}

// A folder with a net trained on the three clusters of testdata/recipe.
std::string TrainedOnPoints() {
  const std::string folder = NewFolder();
  const CommandResult run =
      Train(folder, {"Linear 16, ReLU, Linear 3", Set("train", Points("train.csv")),
                     Set("test", Points("test_all.csv")), "--max-epochs=30", "--batch-size=8",
                     "--learning-rate=1e-2"});
  EXPECT_THAT(run.out, HasSubstr("30 of 30 correct"));
  EXPECT_THAT(run.out, HasSubstr("\n  bar 30, baz 30, foo 30; largest 0.333\n"));
  return folder;
}

TEST(RecipeTest, ATestFileMayLackClasses) {
  const std::string folder = TrainedOnPoints();
  for (const char* file : {"test_all.csv", "test_two.csv"}) {
    for (const char* key : {"test", "path"}) {
      const CommandResult run = RunTest(folder, {Set(key, Points(file))});
      EXPECT_THAT(run.out, HasSubstr("30 of 30 correct")) << file << key << run.err;
      EXPECT_THAT(run.err, Not(HasSubstr("WARNING")));
    }
  }
  const json summary = json::parse(Contents(folder + "/run/summary.json"));
  EXPECT_EQ(summary["data"]["class_names"], json({"bar", "baz", "foo"}));
  EXPECT_TRUE(summary["data"]["real"].is_null());  // Nobody said.
}

TEST(RecipeTest, TransformReadsByItAndPassesItOn) {
  const std::string folder = TrainedOnPoints();
  Write(folder + "/q.toml",
        "passes.quantize.linear.config = { name = \"integer\", data_in_width = 12, "
        "data_in_frac_width = 6, weight_width = 12, weight_frac_width = 8, bias_width = 12, "
        "bias_frac_width = 8 }\n");
  const CommandResult run = RunCommand("mase/transform",
                                       {"--config=q.toml", "--load=run/best.safetensors",
                                        Set("test", Points("test_two.csv")), "--run_dir=t"},
                                       folder);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("| accuracy | 1.000000 |    1.000000 |"));
  EXPECT_EQ(RecipeText(RecipeIn(folder + "/t/transformed.safetensors")),
            RecipeText(RecipeIn(folder + "/run/best.safetensors")));
  const CommandResult test =
      RunCommand("mase/test",
                 {"--load=t/transformed.safetensors", Set("test", Points("test_two.csv"))}, folder);
  EXPECT_THAT(test.out, HasSubstr("30 of 30 correct")) << test.err;
}

TEST(RecipeTest, RowsWithoutClassesArePredicted) {
  const std::string folder = TrainedOnPoints();
  Write(folder + "/new.csv", Csv(Columns(ReadCsv(Points("test_two.csv")), {1, 0})));
  const CommandResult refused = RunTest(folder, {Set("test", "new.csv")});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("new.csv has no column 'class'"),
                                 HasSubstr("--predictions=FILE writes what the net says of them")));
  const CommandResult run = RunTest(folder, {Set("test", "new.csv"), "--predictions=new.npy"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  ASSERT_EQ(
      RunTest(folder, {Set("test", Points("test_two.csv")), "--predictions=old.npy"}).exit_code, 0);
  const Tensor predicted = ValueOrDie(ReadNpy(folder + "/new.npy"));
  EXPECT_EQ(predicted.shape(), Shape({30, 3}));
  EXPECT_TRUE(BitEqual(predicted, ValueOrDie(ReadNpy(folder + "/old.npy"))));
}

TEST(RecipeTest, MeasuringOnTrainingRowsIsWarnedOf) {
  const std::string folder = TrainedOnPoints();
  const Rows train = ReadCsv(Points("train.csv"));
  Rows mixed = ReadCsv(Points("test_all.csv"));
  mixed.insert(mixed.end(), train.begin() + 1, train.begin() + 13);
  Write(folder + "/mixed.csv", Csv(mixed));
  const CommandResult run = RunTest(folder, {Set("test", "mixed.csv")});
  EXPECT_THAT(run.err,
              HasSubstr("WARNING  the net was trained on 12 of the 42 rows measured (test split: "
                        "all rows of mixed.csv), for example row 30 of them, counted from 0"));
  EXPECT_THAT(RunTest(folder, {Set("path", Points("train.csv"))}).err,
              HasSubstr("trained on 90 of the 90 rows measured"));
}

TEST(RecipeTest, DisagreementIsSaidExactlyAndCanBeOverridden) {
  const std::string folder = TrainedOnPoints();
  const Rows rows = ReadCsv(Points("test_two.csv"));
  Write(folder + "/missing.csv", Csv(Columns(rows, {0, 2})));
  EXPECT_THAT(RunTest(folder, {Set("test", "missing.csv")}).err,
              AllOf(HasSubstr("missing.csv: no column 'x2'"),
                    HasSubstr("The net reads 2 features: x1, x2")));
  Rows unknown = rows;
  unknown[7][2] = "fob";
  Write(folder + "/unknown.csv", Csv(unknown));
  EXPECT_THAT(RunTest(folder, {Set("test", "unknown.csv")}).err,
              HasSubstr("unknown.csv:8: class 'fob' is not one of the 3 known: bar, baz, foo; did "
                        "you mean 'foo'?"));
  const CommandResult other =
      RunTest(folder, {Set("test", Points("test_two.csv")), Set("recipe", "false")});
  EXPECT_THAT(other.out, HasSubstr("15 of 30 correct"));
  EXPECT_THAT(other.err, HasSubstr("WARNING  dataset.recipe=false"));
  const CommandResult none = RunTest(folder, {});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("no data: the net was trained on files (train.csv); name one"));
}

// Every fourth wine is a test.
TEST(RecipeTest, WinesAreStandardizedWhetherOneThinksOfItOrNot) {
  const std::string folder = NewFolder();
  const Rows wine = ReadCsv(Runfile("testdata/tabular/wine.csv"));
  Rows train = {wine[0]}, test = {wine[0]};
  for (size_t i = 1; i < wine.size(); ++i) (i % 4 == 2 ? test : train).push_back(wine[i]);
  Write(folder + "/train.csv", Csv(train));
  Write(folder + "/test.csv", Csv(test));
  Train(folder, {"Linear 16, ReLU, Linear 3", Set("train", "train.csv"), Set("standardize", "true"),
                 "--max-epochs=30", "--batch-size=8", "--learning-rate=1e-2"});
  const CommandResult alone = RunTest(folder, {Set("test", "test.csv")});
  EXPECT_THAT(alone.out, HasSubstr("45 of 45 correct")) << alone.err;
  EXPECT_THAT(alone.err, Not(HasSubstr("WARNING")));

  // pandas wrote its index, and columns from the last to the first.
  std::vector<size_t> order = {13};
  for (size_t column = 13; column-- > 0;) order.push_back(column);
  Rows indexed = Columns(test, order);
  for (size_t i = 0; i < indexed.size(); ++i) {
    indexed[i].insert(indexed[i].begin(), i == 0 ? "" : absl::StrCat(i));
  }
  Write(folder + "/indexed.csv", Csv(indexed));
  EXPECT_THAT(RunTest(folder, {Set("path", "indexed.csv")}).out, HasSubstr("45 of 45 correct"));

  const CommandResult plain =
      RunTest(folder, {Set("test", "test.csv"), Set("standardize", "false")});
  EXPECT_THAT(plain.out, Not(HasSubstr("45 of 45 correct")));
  EXPECT_THAT(plain.err, HasSubstr("WARNING  dataset.standardize=false holds, but the net was "
                                   "trained on features that were standardized"));
}

TEST(RecipeTest, ANetKnowsTheRestOfTheFileThatItWasTrainedOn) {
  const std::string folder = NewFolder();
  const std::string iris = Runfile("testdata/tabular/iris.csv");
  const CommandResult trained = Train(folder, {"Linear 16, ReLU, Linear 3", Set("path", iris),
                                               "--max-epochs=3", "--learning-rate=1e-2"});
  const CommandResult run = RunTest(folder, {Set("path", iris)});
  EXPECT_THAT(run.out, HasSubstr("30 rows of the given files, test split"));
  EXPECT_EQ(TestFigures(run.out), TestFigures(trained.out));
}

TEST(RecipeTest, NumbersAreClassesByValue) {
  const std::string folder = NewFolder();
  Train(folder,
        {"Linear 12", Set("train", Runfile("testdata/readers/int_labels.csv")), "--max-epochs=1"});
  const CommandResult same =
      RunTest(folder, {Set("test", Runfile("testdata/readers/int_labels.csv"))});
  const CommandResult floats =
      RunTest(folder, {Set("test", Runfile("testdata/readers/float_labels.csv"))});
  EXPECT_EQ(TestFigures(floats.out), TestFigures(same.out));
  EXPECT_EQ(TestFigures(same.out).size(), 2u) << same.err;
}

TEST(RecipeTest, WithoutARecipeTheFilesAtHandCountAndAWarningSaysSo) {
  for (const char* file : {"int_labels.csv", "float_labels.csv"}) {
    const CommandResult run =
        RunCommand("mase/test",
                   {"Linear 12", "--load", Points("answers_class_number.safetensors"),
                    Set("test", Runfile(absl::StrCat("testdata/readers/", file)))},
                   NewFolder());
    EXPECT_THAT(run.out, HasSubstr("24 of 24 correct")) << file;
    EXPECT_THAT(run.err, HasSubstr("answers_class_number.safetensors carries no data recipe"));
  }
}

TEST(RecipeTest, ADamagedRecipeIsRefused) {
  const std::string folder = TrainedOnPoints();
  const std::string path = folder + "/run/best.safetensors";
  SafeTensors file = ValueOrDie(ReadSafeTensors(path));
  file.metadata[kRecipeFact] += "feature: \"x1\"\n";
  ASSERT_OK(WriteSafeTensors(path, file));
  const CommandResult run = RunTest(folder, {Set("test", Points("test_two.csv"))});
  EXPECT_EQ(run.exit_code, 4);
  EXPECT_THAT(run.err, HasSubstr("the data recipe: two features named 'x1'"));
}

TEST(RecipeTest, RowNumbersOfPandasAreNoFeature) {
  const std::string folder = NewFolder();
  const CommandResult run =
      Train(folder, {"Linear 8, ReLU, Linear 2",
                     Set("path", Runfile("testdata/readers/pandas_index_sorted.csv")),
                     "--max-epochs=20", "--learning-rate=1e-2"});
  EXPECT_THAT(run.err, HasSubstr("no feature: column 1, which has no name"));
  EXPECT_THAT(run.out, Not(HasSubstr("80 of 80 correct")));
  EXPECT_THAT(RecipeIn(folder + "/run/best.safetensors").feature(), ElementsAre("a"));
}

// The rows of a simulated set depend on its own seed, and are apart for any number of rows.
TEST(RecipeTest, TestRowsOfJscSimAreNeverTrainingRows) {
  const std::string folder = NewFolder();
  Train(folder, {"jsc-tiny", "jsc-sim", Set("rows", "300000"), "--max-epochs=1", "--seed=1",
                 "--batch-size=4096"});
  const CommandResult run = RunTest(folder, {"jsc-tiny", "jsc-sim", Set("rows", "200000")});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("40,000 simulated rows, test split"));
  EXPECT_THAT(run.err, Not(HasSubstr("trained on")));
  // Where nothing is said, it is as in training.
  const CommandResult same = RunTest(folder, {});
  EXPECT_THAT(same.out, HasSubstr("60,000 simulated rows, test split"));
  EXPECT_THAT(same.err, HasSubstr("Data as in training: name: \"jsc-sim\" rows: 300000"));
  EXPECT_THAT(RunCommand("mase/train_main", {"--load=run/best.safetensors"}, folder).err,
              HasSubstr("no data; the net was trained on data set 'jsc-sim': --dataset=jsc-sim"));
  const CommandResult trained_on = RunTest(folder, {"--set=evaluation.split=validation"});
  EXPECT_THAT(trained_on.err, HasSubstr("trained on about 240,000 of the 240,000 rows measured"));

  const std::string other = NewFolder();
  Train(other, {"jsc-tiny", "jsc-sim", Set("rows", "300000"), "--max-epochs=1", "--seed=2",
                "--batch-size=4096"});
  EXPECT_EQ(RecipeText(RecipeIn(other + "/run/best.safetensors")),
            RecipeText(RecipeIn(folder + "/run/best.safetensors")));
}

TEST(RecipeTest, UntrainedWeightsAreCalledSo) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml",
        "passes.quantize.linear.config = { name = \"integer\", "
        "data_in_width = 8, data_in_frac_width = 4, weight_width = 8, "
        "weight_frac_width = 4, bias_width = 8, bias_frac_width = 4 }\n");
  const CommandResult run =
      RunCommand("mase/transform", {"jsc-tiny", "jsc", "--config=q.toml", "--run_dir=t"}, folder);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("1,000 real rows, test split; weights untrained"));
  EXPECT_THAT(run.err, HasSubstr("WARNING  the weights are untrained"));
  EXPECT_EQ(json::parse(Contents(folder + "/t/summary.json"))["model"]["untrained"], true);
  // Nor does passing them on train them.
  const CommandResult test = RunCommand("mase/test", {"--load=t/transformed.safetensors"}, folder);
  EXPECT_THAT(test.err, HasSubstr("WARNING  the weights are untrained"));
  // Training does.
  Train(folder, {"--load=t/transformed.safetensors", "--dataset=jsc-sim", Set("rows", "2000"),
                 "--max-epochs=1"});
  const CommandResult trained = RunTest(folder, {"--dataset=jsc"});
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, Not(HasSubstr("WARNING")));
}

}  // namespace
}  // namespace mase
