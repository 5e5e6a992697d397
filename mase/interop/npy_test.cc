#include "mase/interop/npy.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"

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
  const auto array = ParseNpy(bytes, "x.npy");
  return array.ok() ? "" : array.status().ToString();
}

Tensor Numbers(const std::string& bytes) {
  auto array = ParseNpy(bytes, "x.npy");
  EXPECT_TRUE(array.ok()) << array.status();
  return array.ok() ? std::get<Tensor>(*array) : Tensor();
}

NpyTexts Texts(const std::string& bytes) {
  auto array = ParseNpy(bytes, "x.npy");
  EXPECT_TRUE(array.ok()) << array.status();
  return array.ok() ? std::get<NpyTexts>(*array) : NpyTexts();
}

std::string Header(absl::string_view descr, absl::string_view order, absl::string_view shape) {
  return absl::StrCat("{'descr': '", descr, "', 'fortran_order': ", order, ", 'shape': ", shape,
                      ", }");
}

// An array of one axis, its elements given as their bytes.
std::string Array(absl::string_view descr, int64_t size, const std::string& data) {
  return Npy(Header(descr, "False", absl::StrCat("(", size, ",)")), data);
}

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
std::string SwappedBytes(const std::vector<T>& values) {
  std::string bytes = Bytes(values);
  for (size_t i = 0; i < bytes.size(); i += sizeof(T)) {
    std::reverse(bytes.begin() + i, bytes.begin() + i + sizeof(T));
  }
  return bytes;
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
    EXPECT_THAT(Numbers(Npy(header, "\x05\x06", version)).data<int8_t>(), ElementsAre(5, 6));
  }
}

TEST(NpyTest, ABoolIsZeroOrOne) {
  const Tensor tensor = Numbers(Array("|b1", 2, "\x02\x01"));
  const auto* bytes = static_cast<const char*>(tensor.raw_data());
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[1], 1);
}

TEST(NpyTest, OtherTypesBecomeTheNextWider) {
  EXPECT_THAT(Numbers(Array("<i2", 2, Bytes<int16_t>({1, -2}))).data<int32_t>(),
              ElementsAre(1, -2));
  EXPECT_THAT(Numbers(Array("<u2", 1, Bytes<uint16_t>({65535}))).data<int32_t>(),
              ElementsAre(65535));
  EXPECT_THAT(Numbers(Array("<u4", 1, Bytes<uint32_t>({~0u}))).data<int64_t>(),
              ElementsAre(int64_t{0xFFFFFFFF}));
  EXPECT_THAT(Numbers(Array("<u8", 1, Bytes<uint64_t>({7}))).data<int64_t>(), ElementsAre(7));
  EXPECT_THAT(Error(Array("<u8", 1, Bytes<uint64_t>({~uint64_t{0}}))),
              HasSubstr("UNIMPLEMENTED: x.npy: a uint64 above 2^63-1"));
  // 1, -2, the smallest number, infinity.
  EXPECT_THAT(Numbers(Array("<f2", 4, Bytes<uint16_t>({0x3c00, 0xc000, 1, 0x7c00}))).data<float>(),
              ElementsAre(1, -2, 0x1p-24f, INFINITY));
}

TEST(NpyTest, BigEndianIsTheSame) {
  EXPECT_THAT(Numbers(Array(">f4", 2, SwappedBytes<float>({1.5, -2}))).data<float>(),
              ElementsAre(1.5, -2));
  EXPECT_THAT(Numbers(Array(">f8", 2, SwappedBytes<double>({0.1, -2}))).data<double>(),
              ElementsAre(0.1, -2));
  EXPECT_THAT(Numbers(Array(">i2", 2, SwappedBytes<int16_t>({300, -2}))).data<int32_t>(),
              ElementsAre(300, -2));
  EXPECT_THAT(Numbers(Array(">i8", 1, SwappedBytes<int64_t>({-3}))).data<int64_t>(),
              ElementsAre(-3));
  EXPECT_THAT(Numbers(Array(">f2", 1, SwappedBytes<uint16_t>({0x3c00}))).data<float>(),
              ElementsAre(1));
  EXPECT_THAT(Texts(Array(">U2", 1, SwappedBytes<uint32_t>({'a', 0xe4}))).values,
              ElementsAre("a\xc3\xa4"));
}

TEST(NpyTest, FortranOrderIsTransposed) {
  const Tensor matrix =
      Numbers(Npy(Header("<i4", "True", "(2, 3)"), Bytes<int32_t>({0, 3, 1, 4, 2, 5})));
  EXPECT_EQ(matrix.shape(), Shape({2, 3}));
  EXPECT_THAT(matrix.data<int32_t>(), ElementsAre(0, 1, 2, 3, 4, 5));
  std::vector<int32_t> values;  // [i, j, k] holds 100 i + 10 j + k.
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 3; ++j) {
      for (int i = 0; i < 2; ++i) values.push_back(100 * i + 10 * j + k);
    }
  }
  const Tensor cube = Numbers(Npy(Header("<i4", "True", "(2, 3, 4)"), Bytes(values)));
  for (int i = 0, at = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int k = 0; k < 4; ++k) EXPECT_EQ(cube.data<int32_t>()[at++], 100 * i + 10 * j + k);
    }
  }
  EXPECT_THAT(Texts(Npy(Header("|S1", "True", "(2, 2)"), "acbd")).values,
              ElementsAre("a", "b", "c", "d"));
}

TEST(NpyTest, ReadsWhatNumPyWritesByDefault) {
  for (const char* name : {"float64.npy", "fortran.npy"}) {
    EXPECT_EQ(ReadNpy(Runfile(absl::StrCat("testdata/readers/", name)))->shape(), Shape({6, 8}))
        << name;
  }
}

TEST(NpyTest, TextsLoseTheirPadding) {
  EXPECT_THAT(Texts(Array("|S3", 3, std::string("abcd\0\0\0\0\0", 9))).values,
              ElementsAre("abc", "d", ""));
  EXPECT_THAT(Texts(Array("<U2", 2, Bytes<uint32_t>({'x', 0, 0x20ac, 0x1f600}))).values,
              ElementsAre("x", "\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_THAT(Error(Array("<U1", 1, Bytes<uint32_t>({0x110000}))), HasSubstr("DATA_LOSS"));
  EXPECT_THAT(Error(Array("<U1", 1, Bytes<uint32_t>({0xd800}))), HasSubstr("DATA_LOSS"));
  EXPECT_THAT(Error(Array("|S0", 1, "")), HasSubstr("element type '|S0' is not read"));
  EXPECT_EQ(Texts(Array("|S1024", 1, std::string(1024, 'x'))).values[0].size(), 1024);
  EXPECT_THAT(Error(Array("|S1025", 1, std::string(1025, 'x'))), HasSubstr("RESOURCE_EXHAUSTED"));
}

TEST(NpyTest, NamesTheFileAndWhatIsWrong) {
  EXPECT_THAT(Error("PK"), HasSubstr("DATA_LOSS: x.npy: not an .npy file"));
  EXPECT_THAT(Error("\x93NUMPY"), HasSubstr("truncated"));
  EXPECT_THAT(Error(Npy(Header("<f4", "False", "(2,)"), "", 9)), HasSubstr("version 9.0"));
  std::string minor = Npy(Header("<f4", "False", "(2,)"), "");
  minor[7] = 9;
  EXPECT_THAT(Error(minor), HasSubstr("version 1.9, known are 1.0, 2.0 and 3.0"));
  EXPECT_THAT(Error(Npy(Header("<f4", "False", "(2,)"), "1234567")),
              HasSubstr("7 bytes of data, but shape [2] of <f4 needs 8"));
  EXPECT_THAT(Error(Npy(Header("<f4", "False", "(2,)"), "123456789")), HasSubstr("9 bytes"));
  EXPECT_THAT(Error(Npy(Header("<c8", "False", "(1,)"), "12345678")),
              HasSubstr("UNIMPLEMENTED: x.npy: element type '<c8' is not read; read are f4, f8"));
  EXPECT_THAT(Error(Npy(Header("|O", "False", "(1,)"), "")), HasSubstr("'|O' is not read"));
  EXPECT_THAT(
      Error(Npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234")),
      HasSubstr("a structured array is not read"));
  EXPECT_THAT(Error(Npy(Header("<f4", "False", "(-2,)"), "")), HasSubstr("shape is no tuple"));
  EXPECT_THAT(Error(Npy(Header("<f4", "False", "(99999999999,)"), "")),
              HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(Error(Npy(Header("<f4", "False", "(1,1,1,1,1,1,1,1,1,1,1)"), "")),
              HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(Error(Npy(Header("<f4", "False", "(99999999999999999999,)"), "")),
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
