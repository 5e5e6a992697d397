#include "mase/interop/safetensors.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/casts.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/testing/file_limit.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

std::string TempPath(absl::string_view name) {
  return absl::StrCat(::testing::TempDir(), "/", name);
}

std::string Write(absl::string_view name, absl::string_view bytes) {
  const std::string path = TempPath(name);
  EXPECT_OK(WriteFileAtomically(path, bytes));
  return path;
}

// A file as another tool would write it.
std::string Foreign(absl::string_view header, absl::string_view data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return absl::StrCat(bytes, header, data);
}

SafeTensors Sample() {
  SafeTensors contents;
  contents.metadata["mase.model"] = "jsc-tiny";
  contents.tensors.push_back({"b", Tensor::FromValues<float>({2, 2}, {1, -0.0f, 3, 4})});
  contents.tensors.push_back({"a", Tensor::FromValues<int64_t>({}, {7})});
  contents.tensors.push_back({"empty", Tensor(DType::kFloat32, {0, 3})});
  return contents;
}

TEST(SafeTensorsTest, WhatIsWrittenComesBack) {
  const std::string path = TempPath("sample.safetensors");
  ASSERT_OK(WriteSafeTensors(path, Sample()));
  const SafeTensors read = ValueOrDie(ReadSafeTensors(path));
  ASSERT_EQ(read.tensors.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(read.tensors[i].name, Sample().tensors[i].name);
    EXPECT_TRUE(BitEqual(read.tensors[i].value, Sample().tensors[i].value));
  }
  EXPECT_EQ(read.metadata, Sample().metadata);
}

TEST(SafeTensorsTest, AFlippedBitAnywhereIsFound) {
  const std::string path = TempPath("flip.safetensors");
  ASSERT_OK(WriteSafeTensors(path, Sample()));
  const std::string good = ValueOrDie(ReadFile(path, 1 << 20));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 1;
    EXPECT_FALSE(ReadSafeTensors(Write("flipped.safetensors", bad)).ok()) << "byte " << i;
  }
}

TEST(SafeTensorsTest, ATruncatedFileIsRefusedAtEveryLength) {
  const std::string path = TempPath("cut.safetensors");
  ASSERT_OK(WriteSafeTensors(path, Sample()));
  const std::string good = ValueOrDie(ReadFile(path, 1 << 20));
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_THAT(ReadSafeTensors(Write("short.safetensors", good.substr(0, length))),
                StatusIs(absl::StatusCode::kDataLoss))
        << length;
  }
}

TEST(SafeTensorsTest, ReadsWhatOthersWrite) {
  const float values[] = {1.5f, 2.5f};
  const std::string data(reinterpret_cast<const char*>(values), 8);
  const std::string path =
      Write("foreign.safetensors",
            Foreign(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} )", data));
  EXPECT_EQ(ValueOrDie(ReadSafeTensors(path)).Find("w")->data<float>()[1], 2.5f);
}

TEST(SafeTensorsTest, HostileHeadersAreNamed) {
  struct Case {
    std::string bytes;
    absl::StatusCode code;
    const char* message;
  };
  const auto entry = [](absl::string_view shape, absl::string_view offsets) {
    return Foreign(absl::StrCat(R"({"w":{"dtype":"F32","shape":)", shape, R"(,"data_offsets":)",
                                offsets, "}}"),
                   "12345678");
  };
  const Case cases[] = {
      {"", absl::StatusCode::kDataLoss, "is empty"},
      {"1234567", absl::StatusCode::kDataLoss, "shorter than 8 bytes"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), absl::StatusCode::kDataLoss,
       "truncated"},
      {Foreign("nonsense", ""), absl::StatusCode::kDataLoss, "does not begin with '{'"},
      {Foreign(R"([{"w":1}])", ""), absl::StatusCode::kDataLoss, "does not begin with '{'"},
      {Foreign(R"( {})", ""), absl::StatusCode::kDataLoss, "does not begin with '{'"},
      {Foreign("\xef\xbb\xbf{}", ""), absl::StatusCode::kDataLoss, "does not begin with '{'"},
      {Foreign("{nonsense}", ""), absl::StatusCode::kDataLoss, "header is not JSON"},
      {Foreign("{} {}", ""), absl::StatusCode::kDataLoss, "header is not JSON"},
      {Foreign("{\"\xff\":{}}", ""), absl::StatusCode::kDataLoss, "header is not JSON"},
      {Foreign("{\"w\":" + std::string(100'000, '['), ""), absl::StatusCode::kDataLoss, "not JSON"},
      {Foreign(R"({"w":{},"w":{}})", ""), absl::StatusCode::kDataLoss, "has 'w' twice"},
      {Foreign(R"({"w":{"dtype":"F32","dtype":"I32","shape":[0],"data_offsets":[0,0]}})", ""),
       absl::StatusCode::kDataLoss, "has 'dtype' twice"},
      {Foreign(R"({"__metadata__":{"a":"1","a":"2"}})", ""), absl::StatusCode::kDataLoss,
       "has 'a' twice"},
      {Foreign(R"({"__metadata__":{"a":1}})", ""), absl::StatusCode::kDataLoss, "'a' is no text"},
      {Foreign(R"({"__metadata__":[]})", ""), absl::StatusCode::kDataLoss, "no JSON object"},
      {Foreign(R"({"w":{"dtype":"F32"}})", ""), absl::StatusCode::kDataLoss, "'w': its header"},
      {entry("[3]", "[0,8]"), absl::StatusCode::kDataLoss,
       "its data [0, 8) has 8 bytes, shape [3] of F32 wants 12"},
      {entry("[2]", "[4,12]"), absl::StatusCode::kDataLoss, "outside the file's 8 bytes"},
      {entry("[2]", "[8,0]"), absl::StatusCode::kDataLoss, "outside"},
      {entry("[-2]", "[0,8]"), absl::StatusCode::kInvalidArgument, "negative extent"},
      {entry("[4611686018427387904,4]", "[0,8]"), absl::StatusCode::kResourceExhausted, "limit"},
      {entry("[1,1,1,1,1,1,1,1,1,2]", "[0,8]"), absl::StatusCode::kResourceExhausted, "rank"},
      {entry("[2.5]", "[0,8]"), absl::StatusCode::kDataLoss, "no integer"},
      {Foreign(R"({"w":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", "1"),
       absl::StatusCode::kDataLoss, "wants 1 and a part of one"},
      {std::string("PK\x03\x04 and so on"), absl::StatusCode::kInvalidArgument, "zip archive"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(ReadSafeTensors(Write("hostile.safetensors", c.bytes)),
                StatusIs(c.code, HasSubstr(c.message)));
  }
}

// The header of tensors "a", "b", ... of two F32 numbers each, at these offsets.
std::string HeaderOf(const std::vector<std::pair<int, int>>& offsets) {
  std::string header = "{";
  for (size_t i = 0; i < offsets.size(); ++i) {
    absl::StrAppend(&header, i == 0 ? "" : ",", "\"", std::string(1, static_cast<char>('a' + i)),
                    R"(":{"dtype":"F32","shape":[2],"data_offsets":[)", offsets[i].first, ",",
                    offsets[i].second, "]}");
  }
  return header + "}";
}

TEST(SafeTensorsTest, EveryByteOfTheDataBelongsToOneTensor) {
  struct Case {
    std::vector<std::pair<int, int>> offsets;
    int bytes;
    const char* message;  // "" where the file is right.
  };
  const Case cases[] = {
      {{{0, 8}, {8, 16}}, 16, ""},
      {{{8, 16}, {0, 8}}, 16, ""},
      {{}, 0, ""},
      {{{0, 8}, {0, 8}}, 8, "tensors 'a' [0, 8) and 'b' [0, 8) overlap"},
      {{{4, 12}, {0, 8}}, 12, "tensors 'b' [0, 8) and 'a' [4, 12) overlap"},
      {{{8, 16}}, 16, "bytes [0, 8) of its data, before tensor 'a' [8, 16), belong to no tensor"},
      {{{0, 8}, {12, 20}}, 20, "bytes [8, 12) of its data, before tensor 'b' [12, 20)"},
      {{{0, 8}}, 72, "bytes [8, 72) of its data, after the last tensor 'a' [0, 8), belong to no"},
      {{}, 3, "bytes [0, 3) of its data belong to no tensor"},
  };
  for (const Case& c : cases) {
    const auto read = ReadSafeTensors(
        Write("covered.safetensors", Foreign(HeaderOf(c.offsets), std::string(c.bytes, '\0'))));
    if (*c.message == '\0') {
      ASSERT_OK(read);
      EXPECT_EQ(read->tensors.size(), c.offsets.size());
    } else {
      EXPECT_THAT(read, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(c.message)));
    }
  }
}

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// A file with the one tensor "w", which begins at an odd address.
SafeTensors ReadOne(absl::string_view type, size_t elements, const std::string& data) {
  const std::string header =
      absl::StrCat(R"({"pad":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":")", type,
                   R"(","shape":[)", elements, R"(],"data_offsets":[1,)", 1 + data.size(), "]}}");
  return ValueOrDie(ReadSafeTensors(Write("one.safetensors", Foreign(header, "x" + data))));
}

TEST(SafeTensorsTest, TypesThatNoTensorHasAreWidened) {
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x3555, 0x7bff, 0x0001, 0x03ff,
                                        0x0400, 0x8000, 0x7c00, 0xfc00, 0x7e00};
  SafeTensors read = ReadOne("F16", halves.size(), BytesOf(halves));
  EXPECT_EQ(read.widened.at("w"), "F16");
  const float inf = std::numeric_limits<float>::infinity();
  const float wanted[] = {1,          -2,       0x1.554p-2f, 65504, 0x1p-24f,
                          0x3ffp-24f, 0x1p-14f, -0.0f,       inf,   -inf};
  const Tensor* tensor = read.Find("w");
  for (size_t i = 0; i < std::size(wanted); ++i) {
    EXPECT_EQ(absl::bit_cast<uint32_t>(tensor->data<float>()[i]),
              absl::bit_cast<uint32_t>(wanted[i]))
        << i;
  }
  EXPECT_TRUE(std::isnan(tensor->data<float>()[10]));

  read = ReadOne("I16", 2, BytesOf<int16_t>({-32768, 32767}));
  EXPECT_TRUE(BitEqual(*read.Find("w"), Tensor::FromValues<int32_t>({2}, {-32768, 32767})));
  read = ReadOne("U16", 2, BytesOf<uint16_t>({0, 65535}));
  EXPECT_TRUE(BitEqual(*read.Find("w"), Tensor::FromValues<int32_t>({2}, {0, 65535})));
  read = ReadOne("U32", 2, BytesOf<uint32_t>({0, 4294967295u}));
  EXPECT_TRUE(BitEqual(*read.Find("w"), Tensor::FromValues<int64_t>({2}, {0, 4294967295})));
}

TEST(SafeTensorsTest, TypesThatAreNotReadAreListed) {
  for (const auto& [type, bytes] : std::vector<std::pair<const char*, int>>{{"U64", 32},
                                                                            {"C64", 32},
                                                                            {"F8_E4M3", 4},
                                                                            {"F8_E5M2", 4},
                                                                            {"F6_E2M3", 3},
                                                                            {"F4", 2},
                                                                            {"NEWER", 5}}) {
    const SafeTensors read = ReadOne(type, 4, std::string(bytes, '\1'));
    EXPECT_EQ(read.Find("w"), nullptr);
    ASSERT_EQ(read.unread.size(), 1u);
    EXPECT_EQ(read.unread[0].name, "w");
    EXPECT_EQ(read.unread[0].type, type);
    EXPECT_EQ(read.unread[0].shape, Shape({4}));
  }
}

// A file with holes, so that its size costs nothing.
std::string Sparse(absl::string_view name, int64_t bytes, uint64_t header_bytes) {
  std::string head(8, '\0');
  std::memcpy(head.data(), &header_bytes, 8);
  const std::string path = Write(name, head + "{");
  EXPECT_EQ(truncate(path.c_str(), bytes), 0);
  return path;
}

TEST(SafeTensorsTest, SizesBeyondTheLimitsAreRefused) {
  ExpectFileLimit(TempPath("big"), limits::kMaxCheckpointBytes,
                  [](const std::string& path) { return ReadSafeTensors(path).status(); });
  const int64_t header = limits::kMaxCheckpointHeaderBytes;
  EXPECT_THAT(ReadSafeTensors(Sparse("header", 8 + header + 1, header + 1)),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("header of")));
  // At the limit the size is no reason to refuse; a header of zeros is.
  EXPECT_THAT(ReadSafeTensors(Sparse("header", 8 + header, header)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not JSON")));
}

TEST(SafeTensorsTest, OnlyRegularFilesAreOpened) {
  const std::string pipe = TempPath("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(ReadSafeTensors(pipe),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("pipe: is a pipe")));
  EXPECT_THAT(ReadSafeTensors("/dev/zero"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a device")));
  EXPECT_THAT(ReadSafeTensors(::testing::TempDir()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a directory")));
}

TEST(SafeTensorsTest, MissingFilesAndRepeatedNames) {
  EXPECT_THAT(ReadSafeTensors(TempPath("absent")), StatusIs(absl::StatusCode::kNotFound));
  SafeTensors twice = Sample();
  twice.tensors.push_back(twice.tensors[0]);
  EXPECT_THAT(WriteSafeTensors(TempPath("twice"), twice),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("two tensors")));
}

}  // namespace
}  // namespace mase
