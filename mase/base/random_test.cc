// Every expected number here was computed with PyTorch 2.15 (CPU) or NumPy 2.4.
#include "mase/base/random.h"

#include <zlib.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename T>
uint32_t Crc(const std::vector<T>& values) {
  return crc32(0, reinterpret_cast<const Bytef*>(values.data()), values.size() * sizeof(T));
}

template <typename T>
std::vector<T> First(size_t n, const std::vector<T>& values) {
  return {values.begin(), values.begin() + n};
}

std::vector<float> Normals(TorchGenerator& generator, size_t n, double mean, double std) {
  std::vector<float> values(n);
  generator.FillNormal(absl::MakeSpan(values), mean, std);
  return values;
}

TEST(Mt19937Test, DrawsTheReferenceImplementationsNumbers) {
  Mt19937 engine(5489);
  EXPECT_EQ(engine.Next32(), 3499211612u);
  EXPECT_EQ(engine.Next32(), 581869302u);
  EXPECT_EQ(engine.Next32(), 3890346734u);
  for (int i = 4; i < 10000; ++i) engine.Next32();
  EXPECT_EQ(engine.Next32(), 4123659995u);  // The 10,000th, as the C++ standard states it.
}

TEST(Mt19937Test, GoesOnFromAnExportedState) {
  for (int drawn : {0, 1, 623, 624, 625}) {
    Mt19937 engine(3);
    for (int i = 0; i < drawn; ++i) engine.Next32();
    Mt19937 other(4);
    ASSERT_TRUE(other.ImportState(engine.ExportState()).ok());
    for (int i = 0; i < 2000; ++i) ASSERT_EQ(other.Next32(), engine.Next32()) << drawn << " " << i;
  }
}

TEST(Mt19937Test, RefusesWhatIsNotAState) {
  Mt19937 engine(3);
  std::vector<uint32_t> state = engine.ExportState();
  state.back() = 625;
  EXPECT_EQ(engine.ImportState(state).code(), absl::StatusCode::kInvalidArgument);
  state.pop_back();
  EXPECT_EQ(engine.ImportState(state).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(engine.Next32(), Mt19937(3).Next32());
}

TEST(TorchGeneratorTest, UniformWeightsAndShufflesEqualPyTorch) {
  TorchGenerator generator(0);
  std::vector<float> weight(80), bias(5);
  generator.FillUniform(absl::MakeSpan(weight), -0.25f, 0.25f);
  generator.FillUniform(absl::MakeSpan(bias), -0.25f, 0.25f);
  EXPECT_THAT(First(4, weight), ElementsAre(-0.0018717050552368164f, 0.13411089777946472f,
                                            -0.20576128363609314f, -0.18398475646972656f));
  EXPECT_THAT(bias, ElementsAre(-0.2329885364f, 0.2221231163f, 0.1900899410f, -0.2493819892f,
                                0.0467930138f));
  // Two passes of DataLoader(shuffle=True): a base seed, then the sampler's seed.
  generator.Int63();
  EXPECT_THAT(TorchGenerator(generator.Int63()).Permutation(10),
              ElementsAre(5, 1, 0, 4, 3, 2, 7, 6, 8, 9));
  generator.Int63();
  EXPECT_THAT(TorchGenerator(generator.Int63()).Permutation(10),
              ElementsAre(2, 8, 6, 3, 4, 7, 1, 0, 5, 9));
}

TEST(TorchGeneratorTest, OnlyTheLowWordOfASeedMatters) {
  TorchGenerator generator((uint64_t{1} << 40) + 7);
  EXPECT_THAT(First(6, generator.Permutation(789444)),
              ElementsAre(122355, 662345, 123317, 295154, 138887, 40994));
  EXPECT_EQ(generator.Int63(), 2558196017695177942);
  EXPECT_EQ(Crc(generator.Permutation(1000)), 477561098u);
  EXPECT_EQ(TorchGenerator(7).Int63(), TorchGenerator((uint64_t{5} << 32) + 7).Int63());
}

TEST(TorchGeneratorTest, PermutationsAreThoseOfOneDrawAndOneSwapAtATime) {
  for (const int64_t n : {2, 3, 17, 255, 256, 257, 258, 1000, 300'007}) {
    Mt19937 draws(n);
    std::vector<int64_t> want(n);
    std::iota(want.begin(), want.end(), 0);
    for (int64_t i = 0; i < n - 1; ++i) std::swap(want[i], want[i + draws.Next32() % (n - i)]);
    TorchGenerator generator(n);
    EXPECT_EQ(generator.Permutation(n), want) << n;
    std::vector<uint32_t> narrow(n);
    TorchGenerator(n).Permute(absl::MakeSpan(narrow));
    EXPECT_EQ(std::vector<int64_t>(narrow.begin(), narrow.end()), want) << n;
    EXPECT_EQ(generator.Int63(), static_cast<int64_t>(draws.Next64() & (~uint64_t{0} >> 1)));
  }
}

TEST(TorchGeneratorTest, EmptyAndSinglePermutationsDrawNothing) {
  TorchGenerator generator(0);
  EXPECT_THAT(generator.Permutation(0), IsEmpty());
  EXPECT_THAT(generator.Permutation(1), ElementsAre(0));
  EXPECT_EQ(generator.Int63(), TorchGenerator(0).Int63());
}

TEST(TorchGeneratorTest, NormalTensorsEqualPyTorchBitForBit) {
  TorchGenerator generator(0);
  EXPECT_EQ(Crc(Normals(generator, 9408, 0.3, 0.0252538)), 0xc9e14d62u);
  EXPECT_EQ(Crc(Normals(generator, 37, 1, 2)), 0xbd6f2c7du);
  // An odd small tensor leaves half a pair for the next one.
  EXPECT_THAT(Normals(generator, 3, 1, 2),
              ElementsAre(5.031452178955078f, -0.35987362265586853f, 1.36143159866333f));
  EXPECT_THAT(Normals(generator, 2, 0, 1), ElementsAre(0.7001437544822693f, 0.005704798735678196f));
  EXPECT_EQ(generator.Uniform(0, 1), 0.7711964845657349f);
  TorchGenerator fresh(0);
  EXPECT_EQ(Crc(Normals(fresh, 1'000'003, 0, 1)), 0x9d121276u);
}

// torch.nn.Linear(8, 8): a bound that is no power of two shows the fused multiply-add.
TEST(TorchGeneratorTest, UniformRoundsOnce) {
  TorchGenerator generator(0);
  const float bound = static_cast<float>(1 / std::sqrt(8.0));
  EXPECT_EQ(generator.Uniform(-bound, bound), -0.00264699059f);
  EXPECT_EQ(generator.Uniform(-bound, bound), 0.189661443f);
}

TEST(TorchGeneratorTest, StateIncludesTheSpareNormal) {
  TorchGenerator generator(0);
  Normals(generator, 3, 0, 1);
  TorchGenerator other(1);
  ASSERT_TRUE(other.ImportState(generator.ExportState()).ok());
  EXPECT_EQ(Normals(other, 3, 0, 1), Normals(generator, 3, 0, 1));
  EXPECT_EQ(other.Int63(), generator.Int63());
  EXPECT_FALSE(other.ImportState({}).ok());
  EXPECT_FALSE(other.ImportState(Mt19937(0).ExportState()).ok());
}

TEST(NumpyGeneratorTest, UniformEqualsNumpy) {
  NumpyGenerator generator(0);  // toy_tiny's first training sample.
  std::vector<float> sample;
  for (int i = 0; i < 4; ++i) sample.push_back((generator.Uniform() - 0.5) * 2);
  EXPECT_THAT(sample, ElementsAre(0.09762701f, 0.43037874f, 0.20552675f, 0.08976637f));
}

TEST(NumpyGeneratorTest, PermutationGivesScikitLearnsSplit) {
  EXPECT_THAT(NumpyGenerator(42).Permutation(10), ElementsAre(8, 1, 5, 0, 7, 2, 9, 4, 3, 6));
  EXPECT_THAT(First(5, NumpyGenerator(42).Permutation(1000)), ElementsAre(521, 737, 740, 660, 411));
  const std::vector<int64_t> order = NumpyGenerator(42).Permutation(986'806);
  EXPECT_THAT(First(6, order), ElementsAre(418822, 237221, 418335, 457483, 968997, 732622));
  EXPECT_THAT(std::vector<int64_t>(order.begin() + 197'362, order.begin() + 197'368),
              ElementsAre(940679, 960940, 934282, 859837, 833890, 335616));
  EXPECT_THAT(NumpyGenerator(42).Permutation(0), IsEmpty());
}

TEST(TorchGeneratorTest, EveryInstructionSetDrawsTheSameBits) {
  const Isa best = CurrentIsa();
  std::vector<uint32_t> sums;
  for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (!SetIsaForTest(isa)) continue;
    TorchGenerator generator(7);
    sums.push_back(Crc(Normals(generator, 10000, 0.5, 2)));
    sums.push_back(Crc(generator.Permutation(1000)));
  }
  SetIsaForTest(best);
  for (size_t i = 2; i < sums.size(); ++i) EXPECT_EQ(sums[i], sums[i % 2]) << i;
}

}  // namespace
}  // namespace mase
