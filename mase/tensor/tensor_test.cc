#include "mase/tensor/tensor.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ShapeTest, ScalarHasOneElementAndAnEmptyExtentHasNone) {
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ(Shape({3, 0, 7}).elements(), 0);
  EXPECT_EQ(Shape({3, 5}).ToString(), "[3, 5]");
}

TEST(ShapeTest, ValidateRefusesWhatCannotBeAllocated) {
  EXPECT_TRUE(Shape({limits::kMaxTensorElements}).Validate().ok());
  EXPECT_EQ(Shape({limits::kMaxTensorElements + 1}).Validate().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Shape({int64_t{1} << 32, int64_t{1} << 32}).Validate().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Shape({2, -1}).Validate().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Shape(std::vector<int64_t>(limits::kMaxTensorRank, 1)).Validate().ok());
  EXPECT_EQ(Shape(std::vector<int64_t>(limits::kMaxTensorRank + 1, 1)).Validate().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ShapeTest, BroadcastFollowsNumPy) {
  EXPECT_EQ(*BroadcastShapes({4, 1, 3}, {2, 1}), Shape({4, 2, 3}));
  EXPECT_THAT(std::string(BroadcastShapes({2, 3}, {4}).status().message()),
              HasSubstr("[2, 3] and [4]"));
}

TEST(TensorTest, ACopyKeepsItsValuesWhenTheOriginalIsWritten) {
  Tensor original = Tensor::FromValues<float>({3}, {1, 2, 3});
  Tensor copy = original;
  EXPECT_EQ(copy.raw_data(), original.raw_data());
  original.mutable_data<float>()[0] = 9;
  EXPECT_THAT(copy.data<float>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(original.data<float>(), ElementsAre(9, 2, 3));
}

TEST(TensorTest, RowsShareUntilWritten) {
  Tensor whole = Tensor::FromValues<int32_t>({3, 2}, {1, 2, 3, 4, 5, 6});
  Tensor middle = whole.Rows(1, 2);
  EXPECT_THAT(middle.data<int32_t>(), ElementsAre(3, 4));
  middle.mutable_data<int32_t>()[0] = 9;
  EXPECT_THAT(whole.data<int32_t>(), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(TensorTest, EveryElementTypeCanBeReadAndWritten) {
  Tensor mask = Tensor::Zeros(DType::kBool, {3});
  mask.mutable_data<bool>()[1] = true;
  EXPECT_THAT(mask.data<bool>(), testing::ElementsAre(false, true, false));
}

TEST(TensorTest, BuffersAreAlignedForVectorCode) {
  EXPECT_EQ(reinterpret_cast<uintptr_t>(Tensor(DType::kFloat32, {7}).raw_data()) % 64, 0u);
  for (const int64_t size : {0, 7, 5000, 10000000}) {
    const Tensor zeros = Tensor::Zeros(DType::kFloat32, {size});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(zeros.raw_data()) % 64, 0u) << size;
  }
}

int64_t ResidentBytes() {
  int64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// A damaged checkpoint's graph may speak of 2^32 numbers that the file has not.
TEST(TensorTest, ZerosThatNobodyWritesToTakeNoMemory) {
  const int64_t before = ResidentBytes();
  const Tensor zeros = ValueOrDie(Tensor::CreateZeros(DType::kFloat32, {1 << 26}));
  [[maybe_unused]] const int64_t taken = ResidentBytes() - before;
#ifndef MASE_THREAD_SANITIZER   // Which has books of its own for each byte.
  EXPECT_LT(taken, 100 << 20);  // Of 256 MiB; some are a sanitizer's books.
#endif
  EXPECT_EQ(zeros.data<float>()[12345], 0.0f);
}

TEST(TensorTest, BitEqualTellsSignedZerosApart) {
  EXPECT_FALSE(
      BitEqual(Tensor::FromValues<float>({1}, {0.0f}), Tensor::FromValues<float>({1}, {-0.0f})));
}

TEST(TensorTest, CreateRefusesAbsurdSizes) {
  EXPECT_EQ(Tensor::Create(DType::kFloat32, {int64_t{1} << 40}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace mase
