#include "mase/data/recipe.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/text_format.h"
#include "mase/data/open_dataset.h"
#include "mase/data/row_sketch.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

DatasetConfig Config(const std::string& text) {
  DatasetConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

std::string WriteTemp(const std::string& name, const std::string& content) {
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

// What a training on `text`, a CSV file, leaves in its checkpoint.
DataRecipe Trained(const std::string& text, const std::string& more = "") {
  const DatasetConfig config =
      Config(absl::StrCat("train: '", WriteTemp("train.csv", text), "' ", more));
  const Dataset dataset = ValueOrDie(OpenDataset(config));
  DataRecipe recipe = ValueOrDie(DescribeData(dataset, config, {Split::kTrain}));
  const SplitData train = ValueOrDie(dataset.Get(Split::kTrain));
  recipe.set_trained_on(RowSketch::Of(train.row_ids.data<int64_t>()).Text());
  return recipe;
}

absl::StatusOr<Dataset> OpenTest(const DataRecipe& recipe, const std::string& text,
                                 const std::string& more = "") {
  return OpenDataset(Config(absl::StrCat("test: '", WriteTemp("test.csv", text), "' ", more)),
                     {.recipe = &recipe, .for_test = true});
}

constexpr char kThree[] = "a,b,class\n1,10,pear\n3,20,fig\n5,60,apple\n";

TEST(RecipeTest, SaysHowTheDataWereRead) {
  const DataRecipe recipe = Trained(kThree, "standardize: true");
  EXPECT_EQ(recipe.dataset().name(), "csv");
  EXPECT_EQ(recipe.dataset().train(), "train.csv");  // Without the folder.
  EXPECT_THAT(recipe.feature(), ElementsAre("a", "b"));
  EXPECT_THAT(recipe.sample_shape(), ElementsAre(2));
  EXPECT_THAT(recipe.class_name(), ElementsAre("apple", "fig", "pear"));
  EXPECT_EQ(recipe.label(), "class");
  EXPECT_THAT(recipe.scaler().mean(), ElementsAre(3, 30));
  EXPECT_EQ(recipe.split(0).name(), "train");
  EXPECT_EQ(recipe.split(0).rows(), 3);
  EXPECT_EQ(recipe.split(0).rule(), "all rows of train.csv");
}

TEST(RecipeTest, TextIsReadBackToTheBit) {
  const DataRecipe recipe = Trained(kThree, "standardize: true");
  const DataRecipe read = ValueOrDie(ReadRecipe(RecipeText(recipe)));
  EXPECT_EQ(read.SerializeAsString(), recipe.SerializeAsString());
}

TEST(RecipeTest, DamagedTextIsRefused) {
  const std::string text = RecipeText(Trained(kThree, "standardize: true"));
  const std::pair<const char*, const char*> damages[] = {
      {"feature: \"a\"", "feature: \"b\""},
      {"mean: 3\n", ""},
      {"mean: 3\n", "mean: nan\n"},
      {"class_name: \"fig\"", "class_name: \"pear\""},
      {"sample_shape: 2", "sample_shape: -2"},
      {"scale: ", "scale: -"},
      {"trained_on: \"", "trained_on: \"AAAA"},
      {"label", "labell"},
      {"sample_shape: 2", "sample_shape: 3"},
  };
  for (const auto& [from, to] : damages) {
    const std::string damaged = absl::StrReplaceAll(text, {{from, to}});
    ASSERT_NE(damaged, text) << from;
    const absl::Status status = ReadRecipe(damaged).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << from;
    EXPECT_THAT(std::string(status.message()), HasSubstr("the data recipe: ")) << from;
  }
}

TEST(RecipeTest, ClassesHaveTheNumbersOfTheTraining) {
  const DataRecipe recipe = Trained(kThree);
  const Dataset test = ValueOrDie(OpenTest(recipe, "a,b,class\n5,6,pear\n3,4,fig\n"));
  EXPECT_THAT(ValueOrDie(test.Get(Split::kTest)).labels.data<int64_t>(), ElementsAre(2, 1));
  EXPECT_THAT(test.info().class_names, ElementsAre("apple", "fig", "pear"));
  EXPECT_THAT(std::string(OpenTest(recipe, "a,b,class\n5,6,plum\n").status().message()),
              HasSubstr("test.csv:2: class 'plum' is not one of the 3 known: apple, fig, pear"));
}

TEST(RecipeTest, FeaturesAreMatchedByName) {
  const DataRecipe recipe = Trained(kThree);
  const Dataset test = ValueOrDie(OpenTest(recipe, ",b,id,class,a\n0,2,77,fig,1\n"));
  EXPECT_THAT(ValueOrDie(test.Get(Split::kTest)).features.data<float>(), ElementsAre(1, 2));
  EXPECT_THAT(test.notes().Take(),
              Contains(Field(&Notes::Note::text,
                             "test.csv: not read, because the net knows nothing of it: id")));
  EXPECT_THAT(std::string(OpenTest(recipe, "a,c,class\n1,2,fig\n").status().message()),
              AllOf(HasSubstr("test.csv"), HasSubstr("no column 'b'")));
}

TEST(RecipeTest, FeaturesAreScaledAsTheTrainingsWere) {
  const DataRecipe recipe = Trained("a,class\n1,x\n3,y\n", "standardize: true");
  const std::string text = "a,class\n5,x\n";
  const Dataset test = ValueOrDie(OpenTest(recipe, text));
  EXPECT_THAT(ValueOrDie(test.Get(Split::kTest)).features.data<float>(), ElementsAre(3));
  EXPECT_THAT(test.notes().Take(), IsEmpty());
  const Dataset plain = ValueOrDie(OpenTest(recipe, text, "standardize: false"));
  EXPECT_THAT(ValueOrDie(plain.Get(Split::kTest)).features.data<float>(), ElementsAre(5));
  EXPECT_THAT(plain.notes().Take(),
              ElementsAre(AllOf(
                  Field(&Notes::Note::warning, true),
                  Field(&Notes::Note::text, HasSubstr("the net was trained on features that were "
                                                      "standardized")))));
}

TEST(RecipeTest, RowsWithoutClassesAreThereToPredict) {
  const DataRecipe recipe = Trained(kThree);
  const Dataset test = ValueOrDie(OpenTest(recipe, "b,a\n2,1\n4,3\n"));
  EXPECT_THAT(test.splits(), ElementsAre(Split::kPred));
  const SplitData rows = ValueOrDie(test.Get(Split::kPred));
  EXPECT_THAT(rows.features.data<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(rows.labels.elements(), 0);
  EXPECT_THAT(test.notes().Take(),
              ElementsAre(Field(&Notes::Note::text, HasSubstr("has no column 'class'"))));
}

// A file of 20 rows; as `path` it is divided, and the net trained on 16 of them.
std::string Twenty(int from = 0) {
  std::string text = "a,class\n";
  for (int i = from; i < from + 20; ++i) absl::StrAppend(&text, i, ",", i % 2, "\n");
  return text;
}

TEST(RecipeTest, TestingOnAFileMeansAllOfItUnlessTheNetKnowsAPart) {
  const std::string path = WriteTemp("all.csv", Twenty());
  const DatasetConfig config = Config(absl::StrCat("path: '", path, "'"));
  const Dataset trained = ValueOrDie(OpenDataset(config));
  DataRecipe recipe = ValueOrDie(DescribeData(trained, config, {}));
  const SplitData train = ValueOrDie(trained.Get(Split::kTrain));
  EXPECT_EQ(train.rows(), 16);
  recipe.set_trained_on(RowSketch::Of(train.row_ids.data<int64_t>()).Text());

  const auto rows = [&](const DatasetConfig& data, const DataRecipe* under) {
    const Dataset test = ValueOrDie(OpenDataset(data, {.recipe = under, .for_test = true}));
    return ValueOrDie(test.Get(Split::kTest)).rows();
  };
  EXPECT_EQ(rows(config, &recipe), 4);
  EXPECT_EQ(rows(config, nullptr), 20);
  const std::string other = WriteTemp("other.csv", Twenty(20));
  EXPECT_EQ(rows(Config(absl::StrCat("path: '", other, "'")), &recipe), 20);
}

TEST(RecipeTest, SetsOfTheirOwnRefuseAScalerOfOtherFeatures) {
  DataRecipe recipe = ValueOrDie(
      ReadRecipe("sample_shape: 2 scaler { mean: 0 mean: 0 scale: 1 scale: 1 } class_name: 'g' "
                 "class_name: 'q' class_name: 'w' class_name: 'z' class_name: 't'"));
  EXPECT_THAT(OpenDataset(Config("name: 'jsc-sim'"), {.recipe = &recipe}).status().message(),
              HasSubstr("samples of shape [16], the net's recipe scales 2 features"));
}

TEST(RecipeTest, SetsOfTheirOwnMustHaveTheNetsClasses) {
  const DataRecipe recipe = Trained(kThree);
  EXPECT_THAT(OpenDataset(Config("name: 'jsc-sim'"), {.recipe = &recipe}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("data set jsc-sim has 5 classes, the net was trained on 3; "
                                 "dataset.recipe=false reads the data without the net's recipe")));
  const DatasetConfig jets = Config("name: 'jsc-sim' rows: 20");
  const DataRecipe of_jets = ValueOrDie(DescribeData(ValueOrDie(OpenDataset(jets)), jets, {}));
  EXPECT_OK(OpenDataset(Config("name: 'jsc'"), {.recipe = &of_jets}).status());
  EXPECT_OK(OpenDataset(jets, {.recipe = &of_jets}).status());
}

}  // namespace
}  // namespace mase
