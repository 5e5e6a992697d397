#include "mase/data/row_sketch.h"

#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

// `count` ids from a generator; those from `skip` on, so that ranges overlap as wished.
std::vector<int64_t> Ids(int64_t skip, int64_t count) {
  TorchGenerator generator(1);
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < skip + count; ++i) {
    const uint64_t id = generator.Int63() << 1;  // The topmost bit is drawn, too.
    if (i >= skip) ids.push_back(static_cast<int64_t>(id));
  }
  return ids;
}

TEST(RowIdsTest, EqualRowsHaveEqualIdsAndOthersOthers) {
  const Tensor x = Tensor::FromValues<float>({5, 3}, {1, 2, 3,  //
                                                      1, 2, 3,  //
                                                      2, 1, 3,  //
                                                      1, 2, 0,  //
                                                      1, 2, -0.0f});
  const Tensor y = Tensor::FromValues<int64_t>({5}, {0, 0, 0, 0, 0});
  const Tensor ids = RowIds(x, y);
  const auto id = ids.data<int64_t>();
  EXPECT_EQ(id[0], id[1]);
  EXPECT_NE(id[0], id[2]);
  EXPECT_NE(id[0], id[3]);
  EXPECT_EQ(id[3], id[4]);
  EXPECT_NE(id[0], RowIds(x, Tensor::FromValues<int64_t>({5}, {1, 1, 1, 1, 1})).data<int64_t>()[0]);
  EXPECT_NE(id[0], RowIds(x, Tensor(DType::kInt64, {0})).data<int64_t>()[0]);
}

TEST(RowIdsTest, BytesAreTheNumbersThatTheyAre) {
  const Tensor y = Tensor::FromValues<int64_t>({2}, {3, 4});
  EXPECT_TRUE(BitEqual(RowIds(Tensor::FromValues<uint8_t>({2, 3}, {0, 7, 255, 1, 1, 1}), y),
                       RowIds(Tensor::FromValues<float>({2, 3}, {0, 7, 255, 1, 1, 1}), y)));
}

TEST(RowSketchTest, OfFewRowsIsExact) {
  const std::vector<int64_t> train = Ids(0, 400);
  const RowSketch sketch = RowSketch::Of(train);
  const RowSketch::Overlap overlap = sketch.Find(Ids(390, 100));
  EXPECT_TRUE(overlap.exact);
  EXPECT_EQ(overlap.rows, 10);
  EXPECT_THAT(overlap.found, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(sketch.Find(Ids(400, 1000)).rows, 0);
  EXPECT_EQ(sketch.Find(train).rows, 400);
}

TEST(RowSketchTest, RepeatedRowsCountOnceInTheSketchAndEachTimeWhereTheyAreFound) {
  const RowSketch sketch = RowSketch::Of({5, 5, 9, 5});
  EXPECT_EQ(sketch, RowSketch::Of({9, 5}));
  EXPECT_EQ(sketch.Find({5, 1, 5, 9}).rows, 3);
}

TEST(RowSketchTest, OfManyRowsIsAnEstimate) {
  const RowSketch sketch = RowSketch::Of(Ids(0, 100'000));
  for (const int64_t shared : {0, 5'000, 25'000, 50'000}) {
    const RowSketch::Overlap overlap = sketch.Find(Ids(100'000 - shared, 50'000));
    EXPECT_FALSE(overlap.exact);
    EXPECT_NEAR(overlap.rows, shared, 4'000) << shared;
  }
  EXPECT_EQ(sketch.Find(Ids(100'000, 50'000)).rows, 0);
  EXPECT_EQ(sketch.Find(Ids(0, 100'000)).rows, 100'000);
}

TEST(RowSketchTest, MergedIsTheSketchOfBoth) {
  for (const int64_t rows : {100, 1'000}) {
    RowSketch merged = RowSketch::Of(Ids(0, rows));
    merged.Merge(RowSketch::Of(Ids(rows / 2, rows)));
    EXPECT_EQ(merged, RowSketch::Of(Ids(0, rows + rows / 2)));
    merged.Merge(merged);
    EXPECT_EQ(merged, RowSketch::Of(Ids(0, rows + rows / 2)));
  }
}

TEST(RowSketchTest, TextIsSmallAndReadAgain) {
  const RowSketch sketch = RowSketch::Of(Ids(0, 100'000));
  EXPECT_EQ(sketch.Text().size(), 5464u);
  EXPECT_EQ(*RowSketch::Read(sketch.Text()), sketch);
  EXPECT_EQ(*RowSketch::Read(""), RowSketch());
  const RowSketch two = RowSketch::Of({-1, 1});
  EXPECT_EQ(two.Text(), "AQAAAAAAAAD//////////w==");
  for (const char* bad : {"AQAAAA", "?", "//////////8BAAAAAAAAAA==", "AQAAAAAAAAABAAAAAAAAAA=="}) {
    EXPECT_EQ(RowSketch::Read(bad).status().code(), absl::StatusCode::kDataLoss) << bad;
  }
}

}  // namespace
}  // namespace mase
