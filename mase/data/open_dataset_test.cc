// Expected checksums (zlib's crc32 of the raw bytes) were computed with scikit-learn 1.2
// (train_test_split, StandardScaler) on the same files. Newer ones round mean and deviation to
// float32 before they use them; MASE's does not.
#include "mase/data/open_dataset.h"

#include <zlib.h>

#include <cstdint>
#include <fstream>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

absl::StatusOr<Dataset> Open(const std::string& config) {
  DatasetConfig parsed;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(config, &parsed)) << config;
  return OpenDataset(parsed);
}

SplitData Read(const std::string& config, Split split) {
  const auto dataset = Open(config);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  if (!dataset.ok()) return {};
  const auto data = dataset->Get(split);
  EXPECT_TRUE(data.ok()) << data.status();
  return data.ok() ? *data : SplitData();
}

uint32_t Crc(const Tensor& tensor) {
  return crc32(0, static_cast<const Bytef*>(tensor.raw_data()), tensor.size_bytes());
}

std::string WriteTemp(const std::string& name, const std::string& content) {
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string FirstError(const std::string& config) {
  const auto dataset = Open(config);
  return std::string(dataset.status().message());
}

TEST(OpenDatasetTest, ToyTinyIsExact) {
  const struct {
    Split split;
    float first;
    uint32_t features, labels;
    int64_t ones;
  } kExpected[] = {
      {Split::kTrain, 0.09762701f, 0x849344fd, 0xf7bf4867, 4986},
      {Split::kValidation, -0.16595599f, 0xe189c8a7, 0x04e0e7c0, 5138},
      {Split::kTest, -0.12801020f, 0xe78fc65f, 0x1a40e519, 5149},
      {Split::kPred, 0.10159580f, 0xab968e6a, 0x112c3ba1, 5112},
  };
  for (const auto& want : kExpected) {
    const SplitData data = Read("name: 'toy_tiny'", want.split);
    EXPECT_EQ(data.features.shape(), Shape({10240, 1, 2, 2}));
    EXPECT_FLOAT_EQ(data.features.data<float>()[0], want.first);
    EXPECT_EQ(Crc(data.features), want.features);
    EXPECT_EQ(Crc(data.labels), want.labels);
    const auto labels = data.labels.data<int64_t>();
    EXPECT_EQ(std::accumulate(labels.begin(), labels.end(), int64_t{0}), want.ones);
  }
}

TEST(OpenDatasetTest, BundledJscIsAThousandStandardizedRealTestRows) {
  const auto dataset = Open("name: 'jsc'");
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->info().real, true);
  EXPECT_EQ(dataset->info().sample_shape, Shape({16}));
  EXPECT_THAT(dataset->info().class_names, ElementsAre("g", "q", "w", "z", "t"));
  EXPECT_EQ(*dataset->Caption(Split::kTest), "1,000 real rows, test split");
  const SplitData test = *dataset->Get(Split::kTest);
  EXPECT_EQ(Crc(test.features), 0x6951d32au);
  EXPECT_EQ(Crc(test.labels), 0xb73cf6d3u);
  EXPECT_EQ(Crc(Read("name: 'jsc' standardize: false", Split::kTest).features), 0x391fc4b9u);
}

TEST(OpenDatasetTest, BundledJscHasNoTrainingRowsAndSaysSo) {
  const auto dataset = Open("name: 'jsc'");
  ASSERT_TRUE(dataset.ok());
  EXPECT_EQ(dataset->Get(Split::kTrain).status(),
            absl::NotFoundError("data set jsc has no train split; it has: test, pred"));
  EXPECT_EQ(FirstError("name: 'jsc' validation_split: 0.1"),
            "data set jsc has no train split; it has: test, pred");
}

TEST(OpenDatasetTest, AFileOfJetsGetsMasesSplitWhateverItsFormat) {
  const std::string csv = Runfile("testdata/jsc/jsc_openml_test1000.csv.gz");
  std::string arff = "% jets\n@RELATION jets\n";
  {
    // The same rows as ARFF, with the header that OpenML writes.
    const std::string plain = absl::StrCat(testing::TempDir(), "/plain.csv");
    ASSERT_EQ(system(absl::StrCat("gzip -dc ", csv, " > ", plain).c_str()), 0);
    std::ifstream in(plain);
    std::string header, line;
    std::getline(in, header);
    for (size_t at = 0; at < header.size();) {
      const size_t comma = std::min(header.find(',', at), header.size());
      const std::string name = header.substr(at, comma - at);
      absl::StrAppend(&arff, "@ATTRIBUTE ", name,
                      name == "class" ? " {g, q, t, w, z}\n" : " REAL\n");
      at = comma + 1;
    }
    absl::StrAppend(&arff, "\n@DATA\n");
    while (std::getline(in, line)) absl::StrAppend(&arff, line, "\r\n");
  }
  for (const std::string& path :
       {csv, Runfile("testdata/jsc/jsc_openml_test1000.h5"), WriteTemp("jets.arff", arff)}) {
    const std::string config = absl::StrCat("name: 'jsc' path: '", path, "'");
    const SplitData train = Read(config, Split::kTrain);
    const SplitData test = Read(config, Split::kTest);
    EXPECT_EQ(train.features.shape(), Shape({800, 16})) << path;
    EXPECT_EQ(test.features.shape(), Shape({200, 16})) << path;
    EXPECT_EQ(Crc(train.features), 0xbe57b076u) << path;
    EXPECT_EQ(Crc(test.features), 0xfc64f7a8u) << path;
    EXPECT_EQ(Crc(train.labels), 0xb7ef1003u) << path;
    EXPECT_EQ(Crc(test.labels), 0xc99ebcceu) << path;
    EXPECT_TRUE(BitEqual(Read(config, Split::kValidation).features, train.features));
    EXPECT_EQ(train.origin, absl::StrCat("80 % of 1,000 distinct rows of ",
                                         path.substr(path.rfind('/') + 1), ", seed 42"));
  }
}

TEST(OpenDatasetTest, PublicTablesEqualScikitLearnsSplitAndScaling) {
  const struct {
    const char* name;
    Shape train, test;
    uint32_t train_features, test_features, train_labels, test_labels;
    int64_t classes;
  } kSets[] = {
      {"iris", {120, 4}, {30, 4}, 0x61c2a2b1, 0x1b9487e7, 0x3d5ab745, 0x6cc19753, 3},
      {"wine", {142, 13}, {36, 13}, 0xb9f59895, 0x62949896, 0xcf9236e9, 0x2b3232f9, 3},
      {"breast_cancer", {455, 30}, {114, 30}, 0xa65a6339, 0x95d31267, 0x9bcd786c, 0xadf52ca1, 2},
      {"digits8x8", {1437, 64}, {360, 64}, 0x19488167, 0x51a57e23, 0xe9947fdb, 0x73a2a1c4, 10},
      {"dry_bean", {10888, 16}, {2723, 16}, 0xbec770bb, 0xdf3b079b, 0x60cc71e8, 0x9b9ec77f, 7},
      {"htru2_pulsar", {14318, 8}, {3580, 8}, 0xddbb6594, 0x3d06e78a, 0x92d185ca, 0xaa5ecdeb, 2},
      {"letter_recognition",
       {16000, 16},
       {4000, 16},
       0x22ed67e8,
       0xb37a25b8,
       0xe02b54e3,
       0xeac2e2d5,
       26},
  };
  for (const auto& want : kSets) {
    const std::string config = absl::StrCat("name: '", want.name, "'");
    const SplitData train = Read(config, Split::kTrain);
    const SplitData test = Read(config, Split::kTest);
    EXPECT_EQ(train.features.shape(), want.train) << want.name;
    EXPECT_EQ(test.features.shape(), want.test) << want.name;
    EXPECT_EQ(Crc(train.features), want.train_features) << want.name;
    EXPECT_EQ(Crc(test.features), want.test_features) << want.name;
    EXPECT_EQ(Crc(train.labels), want.train_labels) << want.name;
    EXPECT_EQ(Crc(test.labels), want.test_labels) << want.name;
    EXPECT_EQ(Open(config)->num_classes(), want.classes) << want.name;
  }
}

TEST(OpenDatasetTest, AFilePerSplitIsTakenAsItIs) {
  const std::string train = WriteTemp("train.csv", "a,class,b\n1,pear,2\n3,apple,4\n5,fig,6\n");
  const std::string test = WriteTemp("test.csv", "a,class,b\n7,apple,-8e-1\n");
  const auto dataset = Open(absl::StrCat("train: '", train, "' test: '", test, "'"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->info().real, std::nullopt);  // Nobody said.
  EXPECT_THAT(dataset->info().class_names, ElementsAre("apple", "fig", "pear"));
  EXPECT_THAT(dataset->splits(),
              ElementsAre(Split::kTrain, Split::kValidation, Split::kTest, Split::kPred));
  EXPECT_EQ(dataset->Get(Split::kValidation)->origin,
            "the training rows again (no dataset.validation or validation_split)");
  EXPECT_THAT(dataset->Get(Split::kTrain)->features.data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(dataset->Get(Split::kTrain)->labels.data<int64_t>(), ElementsAre(2, 0, 1));
  EXPECT_THAT(dataset->Get(Split::kTest)->features.data<float>(), ElementsAre(7, -0.8f));
  EXPECT_EQ(*dataset->Caption(Split::kTest), "1 rows of the given files, test split");
}

TEST(OpenDatasetTest, StandardizingFilesUsesTheTrainingFilesStatistics) {
  const std::string train = WriteTemp("train.csv", "a,b,y\n1,5,0\n3,5,1\n");
  const std::string test = WriteTemp("test.csv", "a,b,y\n4,6,1\n");
  const auto dataset =
      Open(absl::StrCat("train: '", train, "' test: '", test, "' label: 'y' standardize: true"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->Get(Split::kTrain)->features.data<float>(), ElementsAre(-1, 0, 1, 0));
  EXPECT_THAT(dataset->Get(Split::kTest)->features.data<float>(), ElementsAre(2, 1));
  EXPECT_THAT(FirstError(absl::StrCat("test: '", test, "' standardize: true")),
              HasSubstr("needs a training file"));
}

TEST(OpenDatasetTest, FilesOfOneSetAreReadAsTheTrainingFileIs) {
  const std::string train = WriteTemp("train.csv", "a,b,class\n1,2,x\n1,2,y\n");
  const std::string order = WriteTemp("order.csv", "class,c,b,a\ny,0,2,1\n");
  const std::string width = WriteTemp("width.csv", "a,class\n1,x\n");
  const std::string other = WriteTemp("other.csv", "a,b,class\n1,2,x\n1,2,yy\n");
  const auto open = [&](const std::string& test) {
    return Open(absl::StrCat("train: '", train, "' test: '", test, "'"));
  };
  const auto dataset = open(order);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->Get(Split::kTest)->features.data<float>(), ElementsAre(1, 2));
  EXPECT_THAT(dataset->Get(Split::kTest)->labels.data<int64_t>(), ElementsAre(1));
  EXPECT_THAT(dataset->notes().Take(),
              ElementsAre(Field(&Notes::Note::text,
                                "order.csv: not read, because the net knows nothing of it: c")));
  EXPECT_THAT(std::string(open(width).status().message()),
              AllOf(HasSubstr(width), HasSubstr("no column 'b'")));
  EXPECT_EQ(
      std::string(open(other).status().message()),
      absl::StrCat(other, ":3: class 'yy' is not one of the 2 known: x, y", "; did you mean 'y'?"));
}

TEST(OpenDatasetTest, NumpyFilesKeepTheShapeOfTheirSamples) {
  const std::string images = Runfile("testdata/npy/stored.npz");
  const auto dataset = Open(absl::StrCat("train: '", images, "' test: '", images, "'"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->info().sample_shape, Shape({2, 2}));
  EXPECT_THAT(dataset->Get(Split::kTest)->labels.data<int64_t>(), ElementsAre(2, 0, 1));
  EXPECT_THAT(FirstError(absl::StrCat("train: '", images, "' standardize: true")),
              HasSubstr("samples of shape [2, 2], want [features]"));
  const std::string flat = Runfile("testdata/npy/table.npy");
  EXPECT_EQ(FirstError(absl::StrCat("train: '", images, "' test: '", flat, "'")),
            absl::StrCat(flat, ": samples of shape [3], want [2, 2]"));
  EXPECT_THAT(FirstError(absl::StrCat("name: 'jsc' path: '", images, "'")),
              HasSubstr("a NumPy file has no column names"));
}

TEST(OpenDatasetTest, AnyHdf5TableIsReadByItsColumns) {
  const std::string path = Runfile("testdata/jsc/jsc_openml_test1000.h5");
  const auto dataset = Open(absl::StrCat("path: '", path, "' label: 'j_g,j_q,j_w,j_z,j_t' ",
                                         "features: 'j_zlogz' features: 'j_mass_mmdt'"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->info().class_names, ElementsAre("j_g", "j_q", "j_t", "j_w", "j_z"));
  EXPECT_EQ(dataset->Get(Split::kTrain)->features.shape(), Shape({800, 2}));
}

TEST(OpenDatasetTest, ValidationSplitHoldsRowsOut) {
  std::string text = "x,class\n";
  for (int i = 0; i < 10; ++i) absl::StrAppend(&text, i, ",", i, "\n");
  const std::string path = WriteTemp("ten.csv", text);
  const std::string config = absl::StrCat("train: '", path, "' validation_split: 0.2 seed: 42");
  const auto dataset = Open(config);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->Get(Split::kValidation)->labels.data<int64_t>(), ElementsAre(8, 1));
  EXPECT_THAT(dataset->Get(Split::kTrain)->labels.data<int64_t>(),
              ElementsAre(5, 0, 7, 2, 9, 4, 3, 6));
  EXPECT_THAT(dataset->Get(Split::kValidation)->origin,
              HasSubstr("held-out 0.2 of the training rows, seed 42"));
  for (const char* bad : {"0", "1", "-0.5", "nan"}) {
    EXPECT_THAT(FirstError(absl::StrCat("train: '", path, "' validation_split: ", bad)),
                HasSubstr("want above 0 and below 1"));
  }
  EXPECT_THAT(
      FirstError(absl::StrCat("train: '", path, "' validation_split: 0.2 seed: 5000000000")),
      HasSubstr("at most 4294967295"));
  EXPECT_THAT(Open(absl::StrCat("train: '", path, "' validation_split: 0.95"))
                  ->Get(Split::kTrain)
                  .status()
                  .message(),
              HasSubstr("the split is empty"));
}

TEST(OpenDatasetTest, AFileThatIsOnlyTestedHasNoRowsToHoldOut) {
  DatasetConfig config;
  config.set_path(WriteTemp("tested.csv", "a,class\n1,x\n2,y\n3,x\n"));
  config.set_validation_split(0.5);
  const auto dataset = OpenDataset(config, {.for_test = true});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->Get(Split::kTest)->rows(), 3);
}

TEST(OpenDatasetTest, NamesIgnoreCaseAndDashes) {
  EXPECT_TRUE(Open("name: 'toy-tiny'").ok());
  EXPECT_TRUE(Open("name: 'JSC'").ok());
}

TEST(OpenDatasetTest, UnknownNamesOfferTheNearest) {
  EXPECT_EQ(Open("name: 'jcs'").status(),
            absl::NotFoundError("unknown data set 'jcs'; did you mean 'jsc'?"));
  EXPECT_THAT(FirstError("name: 'imagenet'"),
              HasSubstr("unknown data set 'imagenet'; known: toy_tiny, jsc, jsc-sim, "));
}

TEST(OpenDatasetTest, AFileInPlaceOfANameIsTold) {
  const std::string path = Runfile("testdata/tabular/wine.csv");
  EXPECT_EQ(Open(absl::StrCat("name: '", path, "'")).status(),
            absl::InvalidArgumentError(absl::StrCat(
                "unknown data set '", path, "'; of a file say: --set dataset.path=", path)));
}

TEST(OpenDatasetTest, SettingsWithoutEffectAreRefused) {
  EXPECT_EQ(Open("name: 'toy_tiny' path: 'x.csv'").status(),
            absl::InvalidArgumentError(
                "data set toy_tiny has no use for 'path'; it takes: validation_split"));
  EXPECT_THAT(FirstError("name: 'jsc' path: 'a' train: 'b'"), HasSubstr("exclude each other"));
  EXPECT_THAT(FirstError("name: 'csv'"), HasSubstr("no file given"));
}

TEST(OpenDatasetTest, MissingFilesAreNotFound) {
  const absl::Status status = Open("name: 'jsc' path: '/nowhere/jets.h5'").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/jets.h5"));
}

TEST(OpenDatasetTest, EveryKnownDatasetHasADescription) {
  for (const KnownDataset& known : KnownDatasets()) EXPECT_FALSE(known.description.empty());
}

}  // namespace
}  // namespace mase
