#include "mase/interop/tensor_file.h"

#include <fstream>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Path(const std::string& name) { return ::testing::TempDir() + "/" + name; }

std::string Index(const std::string& text) {
  std::ofstream(Path("model.safetensors.index.json"), std::ios::binary) << text;
  return Path("model.safetensors.index.json");
}

void WritePart(const std::string& name, const std::string& tensor, float number) {
  SafeTensors part;
  part.tensors.push_back({tensor, Tensor::FromValues<float>({1}, {number})});
  part.tensors.push_back({"other", Tensor::FromValues<float>({1}, {9})});
  EXPECT_OK(WriteSafeTensors(Path(name), part));
}

TEST(TensorFileTest, PartsAreReadByTheirIndex) {
  WritePart("model-1.safetensors", "a", 1);
  WritePart("model-2.safetensors", "b", 2);
  const SafeTensors all = ValueOrDie(ReadTensorFile(Index(
      R"({"metadata": {"total_size": 8},
          "weight_map": {"b": "model-2.safetensors", "a": "model-1.safetensors"}})")));
  ASSERT_EQ(all.tensors.size(), 2u);
  EXPECT_EQ(all.Find("a")->data<float>()[0], 1);
  EXPECT_EQ(all.Find("b")->data<float>()[0], 2);
}

TEST(TensorFileTest, AnIndexThatLeadsElsewhereIsRefused) {
  WritePart("model-1.safetensors", "a", 1);
  const std::pair<const char*, const char*> indexes[] = {
      {R"({"weight_map": {"a": "../model-1.safetensors"}})", "no name of a file beside it"},
      {R"({"weight_map": {"a": "/etc/passwd"}})", "no name of a file beside it"},
      {R"({"weight_map": {"a": ".hidden"}})", "no name of a file beside it"},
      {R"({"weight_map": {"a": 3}})", "no name of a file beside it"},
      {R"({"weight_map": {"c": "model-1.safetensors"}})",
       "tensor 'c' is not in 'model-1.safetensors'"},
      {R"({"weight_map": [[[[[[[[[[[[]]]]]]]]]]]]})", "without \"weight_map\""},
      {R"({"weights": {}})", "without \"weight_map\""},
      {"{", "without \"weight_map\""},
  };
  for (const auto& [text, why] : indexes) {
    EXPECT_THAT(ReadTensorFile(Index(text)), StatusIs(absl::StatusCode::kInvalidArgument,
                                                      AllOf(HasSubstr("index"), HasSubstr(why))));
  }
}

TEST(TensorFileTest, AHeaderLengthThatBeginsWithABraceIsNoIndex) {
  std::string header = R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})";
  header.resize('{', ' ');  // 123 bytes, which the file's first byte says.
  std::ofstream(Path("brace.safetensors"), std::ios::binary)
      << '{' << std::string(7, '\0') << header << std::string(4, '\0');
  const SafeTensors contents = ValueOrDie(ReadTensorFile(Path("brace.safetensors")));
  ASSERT_EQ(contents.tensors.size(), 1u);
  EXPECT_EQ(contents.tensors[0].name, "a");
}

}  // namespace
}  // namespace mase
