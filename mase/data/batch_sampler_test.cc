#include "mase/data/batch_sampler.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

std::vector<std::vector<int64_t>> AllBatches(BatchSampler& sampler) {
  std::vector<std::vector<int64_t>> all;
  for (int64_t i = 0; i < sampler.batches(); ++i) {
    const absl::Span<const int64_t> batch = sampler.Batch(i);
    all.emplace_back(batch.begin(), batch.end());
  }
  return all;
}

// torch.manual_seed(0); torch.nn.Linear(16, 5); then two epochs over 10 rows, batch size 4, a
// loader with shuffle=True and one without in each; then one more draw.
TEST(BatchSamplerTest, VisitsRowsAsPyTorchsLoadersDo) {
  TorchGenerator generator(0);
  for (int i = 0; i < 85; ++i) generator.Uniform(0, 1);
  BatchSampler train(10, 4, /*shuffle=*/true);
  BatchSampler validation(10, 4, /*shuffle=*/false);
  train.StartPass(generator);
  EXPECT_THAT(AllBatches(train),
              ElementsAre(ElementsAre(5, 1, 0, 4), ElementsAre(3, 2, 7, 6), ElementsAre(8, 9)));
  validation.StartPass(generator);
  EXPECT_THAT(AllBatches(validation),
              ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(4, 5, 6, 7), ElementsAre(8, 9)));
  train.StartPass(generator);
  EXPECT_THAT(AllBatches(train),
              ElementsAre(ElementsAre(4, 5, 1, 9), ElementsAre(2, 3, 8, 0), ElementsAre(7, 6)));
  validation.StartPass(generator);
  EXPECT_EQ(generator.Int63(), 1989124713550194229);
}

TEST(BatchSamplerTest, APassResumesFromItsSeed) {
  TorchGenerator generator(3);
  BatchSampler sampler(1000, 64, /*shuffle=*/true);
  sampler.StartPass(generator);
  sampler.StartPass(generator);
  BatchSampler resumed(1000, 64, /*shuffle=*/true);
  resumed.ResumePass(sampler.pass_seed());
  EXPECT_EQ(AllBatches(resumed), AllBatches(sampler));
  EXPECT_EQ(resumed.pass_seed(), sampler.pass_seed());
}

TEST(BatchSamplerTest, CountsBatchesWithTheShortOne) {
  EXPECT_EQ(BatchSampler(789'444, 256, true).batches(), 3084);
  EXPECT_EQ(BatchSampler(256, 256, true).batches(), 1);
  EXPECT_EQ(BatchSampler(257, 256, true).Batch(1).size(), 1u);
  EXPECT_EQ(BatchSampler(3, 256, false).Batch(0).size(), 3u);
}

}  // namespace
}  // namespace mase
