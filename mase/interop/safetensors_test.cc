#include "mase/interop/safetensors.h"

#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
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
      {"", absl::StatusCode::kDataLoss, "shorter than 8 bytes"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), absl::StatusCode::kDataLoss,
       "truncated"},
      {Foreign("nonsense", ""), absl::StatusCode::kDataLoss, "header is not JSON"},
      {Foreign("[1]", ""), absl::StatusCode::kDataLoss, "header is not JSON"},
      {Foreign(std::string(100'000, '['), ""), absl::StatusCode::kDataLoss, "not JSON"},
      {Foreign(R"({"w":{},"w":{}})", ""), absl::StatusCode::kDataLoss, "twice"},
      {Foreign(R"({"w":{"dtype":"F32"}})", ""), absl::StatusCode::kDataLoss, "'w': its header"},
      {entry("[3]", "[0,8]"), absl::StatusCode::kDataLoss, "it has 8 bytes, shape [3] of float32"},
      {entry("[2]", "[4,12]"), absl::StatusCode::kDataLoss, "outside the file's 8 bytes"},
      {entry("[2]", "[8,0]"), absl::StatusCode::kDataLoss, "outside"},
      {entry("[-2]", "[0,8]"), absl::StatusCode::kInvalidArgument, "negative extent"},
      {entry("[4611686018427387904,4]", "[0,8]"), absl::StatusCode::kResourceExhausted, "limit"},
      {entry("[1,1,1,1,1,1,1,1,1,2]", "[0,8]"), absl::StatusCode::kResourceExhausted, "rank"},
      {entry("[2.5]", "[0,8]"), absl::StatusCode::kDataLoss, "no integer"},
      {Foreign(R"({"w":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}})", "12345678"),
       absl::StatusCode::kInvalidArgument, "'F16' is not supported"},
      {std::string("PK\x03\x04 and so on"), absl::StatusCode::kInvalidArgument, "import torch"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(ReadSafeTensors(Write("hostile.safetensors", c.bytes)),
                StatusIs(c.code, HasSubstr(c.message)));
  }
}

// A file with holes, so that its size costs nothing.
std::string Sparse(absl::string_view name, int64_t bytes, uint64_t header_bytes) {
  std::string head(8, '\0');
  std::memcpy(head.data(), &header_bytes, 8);
  const std::string path = Write(name, head);
  EXPECT_EQ(truncate(path.c_str(), bytes), 0);
  return path;
}

TEST(SafeTensorsTest, SizesBeyondTheLimitsAreRefused) {
  EXPECT_THAT(ReadSafeTensors(Sparse("big", limits::kMaxCheckpointBytes + 1, 2)),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("larger than the limit")));
  const int64_t header = limits::kMaxCheckpointHeaderBytes;
  EXPECT_THAT(ReadSafeTensors(Sparse("header", 8 + header + 1, header + 1)),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("header of")));
  // At the limit the size is no reason to refuse; a header of zeros is.
  EXPECT_THAT(ReadSafeTensors(Sparse("header", 8 + header, header)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not JSON")));
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
