#include "mase/interop/npy.h"

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string TestPath(absl::string_view name) {
  return absl::StrCat(std::getenv("TEST_TMPDIR"), "/", name);
}

std::string Npy(const std::string& header, const std::string& data, char version = 1) {
  std::string bytes = absl::StrCat("\x93NUMPY", std::string(1, version), std::string(1, '\0'));
  bytes.push_back(static_cast<char>(header.size() & 255));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  if (version > 1) bytes.append(2, '\0');
  return absl::StrCat(bytes, header, data);
}

std::string Error(const std::string& bytes) {
  const auto tensor = ParseNpy(bytes, "x.npy");
  return tensor.ok() ? "" : tensor.status().ToString();
}

TEST(NpyTest, EveryTypeAndRankSurvivesARoundTrip) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt8, DType::kUInt8, DType::kInt32,
                      DType::kInt64, DType::kBool}) {
    for (const Shape& shape : {Shape(), Shape({3}), Shape({2, 0}), Shape({2, 3, 1, 2})}) {
      Tensor tensor = Tensor::Zeros(dtype, shape);
      if (tensor.elements() > 0) *static_cast<char*>(tensor.mutable_raw_data()) = 1;
      const std::string path = TestPath("round_trip.npy");
      ASSERT_TRUE(WriteNpy(path, tensor).ok());
      auto read = ReadNpy(path);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_TRUE(BitEqual(*read, tensor)) << DTypeName(dtype) << shape.ToString();
    }
  }
}

TEST(NpyTest, WritesWhatNumPyWrites) {
  const std::string path = TestPath("layout.npy");
  ASSERT_TRUE(WriteNpy(path, Tensor::FromValues<float>({2}, {1, 2})).ok());
  const std::string bytes = *ReadFile(path, 1 << 20);
  EXPECT_EQ(bytes.size(), 128 + 8);
  EXPECT_THAT(bytes, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"));
  EXPECT_EQ(bytes[127], '\n');
}

TEST(NpyTest, ReadsAllVersionsAndEitherQuote) {
  const std::string header = "{\"shape\": (2,), 'fortran_order': True, 'descr': '<i1'}";
  for (char version : {1, 2, 3}) {
    auto tensor = ParseNpy(Npy(header, "\x05\x06", version), "x");
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_THAT(tensor->data<int8_t>(), ElementsAre(5, 6));
  }
}

TEST(NpyTest, ABoolIsZeroOrOne) {
  auto tensor =
      ParseNpy(Npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\x02\x01"), "x");
  const auto* bytes = static_cast<const char*>(tensor->raw_data());
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[1], 1);
}

TEST(NpyTest, NamesTheFileAndWhatIsWrong) {
  const auto header = [](absl::string_view descr, absl::string_view order,
                         absl::string_view shape) {
    return absl::StrCat("{'descr': '", descr, "', 'fortran_order': ", order, ", 'shape': ", shape,
                        ", }");
  };
  EXPECT_THAT(Error("PK"), HasSubstr("DATA_LOSS: x.npy: not an .npy file"));
  EXPECT_THAT(Error("\x93NUMPY"), HasSubstr("truncated"));
  EXPECT_THAT(Error(Npy(header("<f4", "False", "(2,)"), "", 9)), HasSubstr("version 9"));
  EXPECT_THAT(Error(Npy(header("<f4", "False", "(2,)"), "1234567")),
              HasSubstr("7 bytes of data, but shape [2] of <f4 needs 8"));
  EXPECT_THAT(Error(Npy(header("<f4", "False", "(2,)"), "123456789")), HasSubstr("9 bytes"));
  EXPECT_THAT(Error(Npy(header(">f4", "False", "(2,)"), "")),
              HasSubstr("INVALID_ARGUMENT: x.npy: element type '>f4' is not served; served: <f4"));
  EXPECT_THAT(Error(Npy(header("<f4", "True", "(2, 2)"), "")), HasSubstr("Fortran order"));
  EXPECT_THAT(Error(Npy(header("<f4", "False", "(-2,)"), "")), HasSubstr("shape is no tuple"));
  EXPECT_THAT(Error(Npy(header("<f4", "False", "(99999999999,)"), "")),
              HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(Error(Npy(header("<f4", "False", "(1,1,1,1,1,1,1,1,1,1,1)"), "")),
              HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(Error(Npy(header("<f4", "False", "(99999999999999999999,)"), "")),
              HasSubstr("shape is no tuple"));
  EXPECT_THAT(Error(Npy("{'descr': '<f4'}", "")), HasSubstr("a key is missing"));
  EXPECT_THAT(Error(Npy("{'descr': '<f4', 'x': 1}", "")), HasSubstr("unknown key 'x'"));
  EXPECT_THAT(Error(Npy("{'descr", "")), HasSubstr("a string is missing"));
  EXPECT_THAT(Error(Npy("", "")), HasSubstr("no '{'"));
  const std::string huge("\x93NUMPY\x02\x00\xff\xff\xff\x7f", 12);
  EXPECT_THAT(Error(huge), HasSubstr("header of 2147483647 bytes, limit"));
}

TEST(NpyTest, EveryPrefixOfAFileIsRefused) {
  const std::string whole =
      Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "abcd");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(Error(whole.substr(0, size)), "") << size;
  }
}

}  // namespace
}  // namespace mase
