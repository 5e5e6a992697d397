#include "mase/run/predictions.h"

#include <cmath>

#include "mase/base/files.h"
#include "mase/interop/npy.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<int64_t> kLabels = {1, 0, -1};

Predictions Three() {
  return {.outputs = 2,
          .scores = {0.1f, 2, -1, -INFINITY, NAN, 1e-30f},
          .labels = kLabels,
          .class_names = {"a, b", "say \"c\""}};
}

TEST(PredictionsTest, CsvHasClassesByNumberAndNameAndAllScores) {
  const std::string path = ::testing::TempDir() + "/x.csv";
  ASSERT_OK(WritePredictions(path, Three()));
  EXPECT_EQ(ValueOrDie(ReadFile(path, 1 << 20)),
            "row,predicted,predicted_name,true,true_name,\"score_a, b\",\"score_say \"\"c\"\"\"\n"
            "0,1,\"say \"\"c\"\"\",1,\"say \"\"c\"\"\",0.1,2\n"
            "1,0,\"a, b\",0,\"a, b\",-1,-inf\n"
            "2,,,,,nan,1e-30\n");
}

TEST(PredictionsTest, CsvListsTheBestOutputsWhereAsked) {
  const std::string path = ::testing::TempDir() + "/x.csv";
  Predictions predictions = Three();
  predictions.scores = {0, 0, -1, -INFINITY, NAN, 1};
  predictions.class_names = {"a", "b"};
  predictions.top_k = 5;
  ASSERT_OK(WritePredictions(path, predictions));
  EXPECT_EQ(ValueOrDie(ReadFile(path, 1 << 20)),
            "row,predicted,predicted_name,true,true_name,top1_name,top1_share,top2_name,top2_share,"
            "score_a,score_b\n"
            "0,0,a,1,b,a,0.5,b,0.5,0,0\n"
            "1,0,a,0,a,a,1,b,0,-1,-inf\n"
            "2,,,,,,,,,nan,1\n");
}

TEST(PredictionsTest, NpyHasTheScoresAlone) {
  const std::string path = ::testing::TempDir() + "/x.npy";
  ASSERT_OK(WritePredictions(path, Three()));
  const Tensor scores = ValueOrDie(ReadNpy(path));
  EXPECT_EQ(scores.shape(), Shape({3, 2}));
  EXPECT_EQ(scores.data<float>()[1], 2);
}

TEST(PredictionsTest, AnotherEndingIsRefusedWithThoseThatThereAre) {
  for (const char* path : {"x.parquet", "x", "x.CSV", "csv"}) {
    EXPECT_THAT(CheckPredictionsPath(path),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(path), HasSubstr(".csv"), HasSubstr(".npy"))));
  }
}

}  // namespace
}  // namespace mase
