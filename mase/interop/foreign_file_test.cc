#include "mase/interop/foreign_file.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A zip archive's first local header, with a member of this name.
std::string Zip(const std::string& member) {
  std::string head("PK\x03\x04\x14\0\0\0\0\0", 10);
  head.resize(26, '\0');
  head += static_cast<char>(member.size());
  head.resize(30, '\0');
  return head + member + "contents";
}

TEST(ForeignFileTest, AFileOfAnotherKindIsCalledByItsName) {
  struct Case {
    std::string bytes;
    const char* name;
    const char* advice;
  };
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  const Case cases[] = {
      {Zip("model.weights.h5"), "is a Keras archive", "ends in .keras"},
      {Zip("notes.txt"), "is a zip archive", "unpack"},
      {"\x80\x02}q.", "is a Python pickle", "torch.save(model.state_dict()"},
      {"\x80\x05\x95", "is a Python pickle", "can run code"},
      {"\x89HDF\r\n\x1a\n rest", "is an HDF5 file", "model.save(\"NET.h5\")"},
      {"\x93NUMPY rest", "is a NumPy array", "safetensors.numpy"},
      {"GGUF rest", "is a GGUF file", "safetensors"},
      {std::string("\x1c\0\0\0TFL3", 8), "is a TensorFlow Lite model", "safetensors"},
      {"\x08\x07\x12\x07pytorch", "is an ONNX model", "name ends in .onnx"},
      {std::string("\xfd\x37zXZ\0rest", 10), "is compressed by xz", "unpack"},
      {"\x1f\x8b rest", "is compressed by gzip", "unpack"},
      {tar, "is a tar archive", "unpack"},
      {"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer", "git lfs pull"},
      {"<!DOCTYPE html><title>404", "is a web page", "download"},
      {"model = 'jsc-tiny'\n", "is text", ""},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(DescribeForeignFile(c.bytes), AllOf(StartsWith(c.name), HasSubstr(c.advice)));
  }
  EXPECT_EQ(DescribeForeignFile(std::string("\x01\0\x02 who knows", 12)), "");
}

}  // namespace
}  // namespace mase
