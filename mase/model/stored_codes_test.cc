#include "mase/model/stored_codes.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"
#include "mase/format/format.h"
#include "mase/model/checkpoint.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// A layer whose weight has the format; its bias stays float.
Graph Net(const std::string& format, int64_t inputs = 16, int64_t outputs = 8) {
  Graph graph = ParseGraph(
      absl::StrCat("x = placeholder() : f32[2, ", inputs, "]\nfc = linear(x, in_features=", inputs,
                   ", out_features=", outputs, ")\n  quantized anything\n  weight = ", format,
                   "\noutput = output(fc)\n"));
  TorchGenerator random(5);
  std::vector<float> weight(inputs * outputs), bias(outputs, 0.3f);
  for (float& x : weight) x = static_cast<float>(random.Uniform(-2, 2));
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({outputs, inputs}, weight), false);
  graph.SetTensor("fc.bias", Tensor::FromValues<float>({outputs}, bias), false);
  return graph;
}

SafeTensors FileOf(const Graph& graph) {
  SafeTensors file;
  file.tensors = ValueOrDie(EncodeTensors(graph)).tensors;
  return file;
}

std::vector<std::string> Names(const SafeTensors& file) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : file.tensors) names.push_back(tensor.name);
  return names;
}

Tensor* Find(SafeTensors& file, absl::string_view name) {
  for (NamedTensor& tensor : file.tensors) {
    if (tensor.name == name) return &tensor.value;
  }
  return nullptr;
}

TEST(StoredCodesTest, WhatIsReadIsWhatTheNetComputesWith) {
  const char* const formats[] = {
      "integer { width: 8 frac_width: 4 }",
      "integer { width: 3 frac_width: 1 }",
      "integer { width: 2 } semantics: REFERENCE",
      "affine { width: 4 scale: 0.3 zero_point: 2 }",
      "log { width: 5 }",
      "minifloat_ieee { width: 6 exponent_width: 3 }",
      "minifloat_denorm { width: 8 exponent_width: 4 }",
      "minifloat { exponent_width: 4 frac_width: 3 }",
      "block_fp { width: 4 block_size: 8 }",
      "block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: 4 }",
      "block_log { width: 5 exponent_bias_width: 8 block_size: 4 }",
      "mxint { block_size: 8 element_bits: 4 }",
      "mxfp { block_size: 8 element_exp_bits: 2 element_frac_bits: 1 }",
      "mx { element_format: 'fp4_e2m1' block_size: 8 }",
      "mxint_hardware { width: 6 parallelism: 4 }",
      "ternary { }",
      "binary { bipolar: true }",
      "binary_residual { levels: 2 }",
      "lsq { level: 16 sym: true scale: 0.2 }",
      "logicnets { width: 4 frac_width: 2 }",
  };
  for (const char* format : formats) {
    SCOPED_TRACE(format);
    const Graph graph = Net(format);
    const std::string path = absl::StrCat(testing::TempDir(), "/codes.safetensors");
    const StoredTensors stored = ValueOrDie(EncodeTensors(graph));
    EXPECT_THAT(stored.left, ElementsAre());
    EXPECT_EQ(stored.coded, 1);
    EXPECT_EQ(stored.values, 128);
    ASSERT_OK(SaveCheckpoint(path, graph, {}, stored));
    const Checkpoint read = ValueOrDie(LoadCheckpoint(path));
    const auto rounding =
        ValueOrDie(Format::Create(graph.FindNode("fc")->quantization()->operand(0).format()));
    const Tensor wanted = ValueOrDie(rounding->Quantize(graph.FindTensor("fc.weight")->value));
    const Tensor& got = read.graph->FindTensor("fc.weight")->value;
    ASSERT_EQ(got.shape(), wanted.shape());
    for (int i = 0; i < 128; ++i) {
      EXPECT_EQ(got.data<float>()[i], wanted.data<float>()[i]) << i;
    }
    EXPECT_TRUE(
        BitEqual(read.graph->FindTensor("fc.bias")->value, graph.FindTensor("fc.bias")->value));
  }
}

TEST(StoredCodesTest, BytesGoByTheBits) {
  for (const int width : {8, 4, 2, 1}) {
    const Graph graph = Net(absl::StrCat("integer { width: ", width, " }"), 64, 32);
    EXPECT_EQ(ValueOrDie(EncodeTensors(graph)).bytes, 64 * 32 * width / 8);
  }
  // An exponent for each of 4 x 8 blocks.
  EXPECT_EQ(ValueOrDie(EncodeTensors(Net("block_fp { width: 4 block_size: 4 }"))).bytes, 64 + 32);
}

TEST(StoredCodesTest, OtherToolsSeeBytes) {
  Graph graph = Net("integer { width: 4 frac_width: 1 }", 2, 2);
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({2, 2}, {0.5, -0.5, 3, -9}), false);
  SafeTensors file = FileOf(graph);
  EXPECT_THAT(Names(file), ElementsAre("fc.weight.codes", "fc.bias"));
  // 1, -1 as 15; 6, -8 as 8: the first in the lower half of a byte.
  EXPECT_THAT(Find(file, "fc.weight.codes")->data<uint8_t>(), ElementsAre(0xF1, 0x86));
}

TEST(StoredCodesTest, WhatHasNoSuchCodesStaysFloat) {
  const auto left = [](const std::string& format) {
    const StoredTensors stored = ValueOrDie(EncodeTensors(Net(format)));
    EXPECT_EQ(stored.coded, 0) << format;
    return stored.left;
  };
  EXPECT_THAT(left("block_fp { block_size: 8 } semantics: REFERENCE"),
              ElementsAre(Pair("fc.weight", "the format has no codes")));
  EXPECT_THAT(left("integer { width: 4 } rounding: STOCHASTIC"),
              ElementsAre(Pair("fc.weight", "it is rounded at random, anew each time")));
  EXPECT_THAT(left("binary { }"),
              ElementsAre(Pair("fc.weight", "the format rounds what it rounded to other values")));
  Graph nan = Net("integer { width: 4 }");
  nan.MutableTensor("fc.weight")->mutable_data<float>()[3] = NAN;
  EXPECT_THAT(ValueOrDie(EncodeTensors(nan)).left,
              ElementsAre(Pair("fc.weight", HasSubstr("element 3, nan"))));
}

// Nodes a and b, and c without a record, that share the weight of a.
Graph Sharing(const std::string& format_a, const std::string& format_b, bool with_c) {
  return ParseGraph(absl::StrCat(R"(
x = placeholder() : f32[2, 4]
a = linear(x, in_features=4, out_features=4)
  quantized integer
  weight = )",
                                 format_a, R"(
b = linear(a, in_features=4, out_features=4, weight=%a.weight, bias=%b.bias)
  quantized integer
  weight = )",
                                 format_b, "\n",
                                 with_c ? "c = linear(b, in_features=4, out_features=4, "
                                          "weight=%a.weight, bias=%c.bias)\noutput = output(c)\n"
                                        : "output = output(b)\n"));
}

TEST(StoredCodesTest, ATensorThatAllItsNodesRoundAlikeIsCodes) {
  const char* kFormat = "integer { width: 4 frac_width: 1 }";
  Graph graph = Sharing(kFormat, kFormat, false);
  const std::vector<float> weight = {0.3f, -0.5f, 3, -9, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  graph.SetTensor("a.weight", Tensor::FromValues<float>({4, 4}, weight), false);
  const StoredTensors stored = ValueOrDie(EncodeTensors(graph));
  EXPECT_THAT(stored.left, ElementsAre());
  SafeTensors file;
  file.tensors = stored.tensors;
  EXPECT_THAT(Names(file), ElementsAre("a.weight.codes", "a.bias", "b.bias"));
  ASSERT_OK(DecodeTensors(graph, file));
  EXPECT_THAT(Find(file, "a.weight")->data<float>().first(4), ElementsAre(0.5f, -0.5f, 3, -4));
}

TEST(StoredCodesTest, ATensorThatItsNodesDoNotRoundAlikeStaysFloatAndNamesThem) {
  const char *kFour = "integer { width: 4 }", *kEight = "integer { width: 8 }";
  const auto left = [](const Graph& graph) { return ValueOrDie(EncodeTensors(graph)).left; };
  EXPECT_THAT(
      left(Sharing(kFour, kEight, false)),
      ElementsAre(Pair("a.weight",
                       "several nodes share it, and not all round it alike: a (linear) by integer "
                       "4, b (linear) by integer 8")));
  EXPECT_THAT(
      left(Sharing(kFour, kFour, true)),
      ElementsAre(Pair("a.weight",
                       HasSubstr("a (linear) by integer 4, c (linear) not at all and 1 more"))));
  // Codes in a file of such a net are nobody's.
  SafeTensors file = FileOf(Sharing(kFour, kFour, false));
  EXPECT_THAT(
      DecodeTensors(Sharing(kFour, kEight, false), file),
      StatusIs(absl::StatusCode::kDataLoss,
               HasSubstr("tensor 'a.weight' has codes, and no format that all its nodes give it")));
}

// Codes that nobody wrote; `spoil` changes a good file.
absl::Status Decoded(const std::string& format, void (*spoil)(SafeTensors& file)) {
  const Graph graph = Net(format, 3, 3);
  SafeTensors file = FileOf(graph);
  spoil(file);
  return DecodeTensors(graph, file);
}

TEST(StoredCodesTest, RefusesCodesThatNobodyWrote) {
  const struct {
    const char* format;
    void (*spoil)(SafeTensors& file);
    const char* message;
  } kRows[] = {
      {"integer { width: 4 }",
       [](SafeTensors& f) { f.tensors[0].value = Tensor::Zeros(DType::kUInt8, {4}); },
       "fc: codes of tensor 'fc.weight' are uint8[4], want uint8[5] for 9 codes of 4 bits"},
      {"integer { width: 4 }",
       [](SafeTensors& f) { f.tensors[0].value = Tensor::Zeros(DType::kUInt8, {6}); },
       "are uint8[6], want uint8[5]"},
      {"integer { width: 4 }",
       [](SafeTensors& f) { f.tensors[0].value = Tensor::Zeros(DType::kInt8, {5}); },
       "are int8[5], want uint8[5]"},
      {"integer { width: 4 }",
       [](SafeTensors& f) { f.tensors[0].value.mutable_data<uint8_t>()[4] |= 0x10; },
       "have 4 unused bits at the end that are not 0"},
      {"ternary { }", [](SafeTensors& f) { f.tensors[0].value.mutable_data<uint8_t>()[0] = 0xFE; },
       "have 2 as that of element 0, no code of ternary"},
      {"lsq { level: 5 sym: true scale: 1 }",
       [](SafeTensors& f) { f.tensors[0].value.mutable_data<uint8_t>()[0] = 0x04; },
       "have 4 as that of element 0, no code of lsq"},
      {"minifloat { exponent_width: 4 frac_width: 3 is_finite: false }",
       [](SafeTensors& f) { f.tensors[0].value.mutable_data<uint8_t>()[1] = 0x7D; },
       "have 125 as that of element 1, no code of minifloat"},
      {"block_fp { width: 4 block_size: 3 }",
       [](SafeTensors& f) { f.tensors.erase(f.tensors.begin() + 1); },
       "lack those of their 3 blocks"},
      {"block_fp { width: 4 block_size: 3 }",
       [](SafeTensors& f) { f.tensors[1].value = Tensor::Zeros(DType::kUInt8, {4}); },
       "have blocks uint8[4], want uint8[3]"},
      {"block_fp { width: 4 block_size: 3 }",
       [](SafeTensors& f) { f.tensors.erase(f.tensors.begin()); },
       "tensor 'fc.weight' has codes of blocks, and none of elements"},
      {"integer { width: 4 }",
       [](SafeTensors& f) {
         f.tensors.push_back({"fc.weight.blocks", Tensor::Zeros(DType::kUInt8, {1})});
       },
       "have blocks uint8[1], want none"},
      {"integer { width: 4 }",
       [](SafeTensors& f) {
         f.tensors.push_back({"fc.weight", Tensor::Zeros(DType::kFloat32, {3, 3})});
       },
       "fc: codes of tensor 'fc.weight' stand beside the tensor itself"},
      {"integer { width: 4 }", [](SafeTensors& f) { f.tensors[1].name = "fc.bias.codes"; },
       "tensor 'fc.bias' has codes, and no format that all its nodes give it"},
  };
  for (const auto& row : kRows) {
    EXPECT_THAT(Decoded(row.format, row.spoil),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(row.message)));
  }
}

TEST(StoredCodesTest, DamageInAFileIsNamedWithTheFile) {
  const Graph graph = Net("ternary { }", 3, 3);
  StoredTensors stored = ValueOrDie(EncodeTensors(graph));
  stored.tensors[0].value.mutable_data<uint8_t>()[0] = 0xFF;
  stored.tensors[0].value.mutable_data<uint8_t>()[2] = 0x80;
  const std::string path = absl::StrCat(testing::TempDir(), "/bad.safetensors");
  ASSERT_OK(SaveCheckpoint(path, graph, {}, stored));
  EXPECT_THAT(LoadCheckpoint(path).status(),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("bad.safetensors: fc: codes of tensor 'fc.weight' have ")));
}

TEST(StoredCodesTest, TensorsOfSuchNamesThatAreTheNetsOwnStay) {
  Graph graph("odd");
  graph.SetTensor("w", Tensor::Zeros(DType::kFloat32, {2}), false);
  graph.SetTensor("w.codes", Tensor::Zeros(DType::kFloat32, {2}), false);
  SafeTensors file;
  for (const GraphTensor& tensor : graph.tensors()) {
    file.tensors.push_back({tensor.name, tensor.value});
  }
  EXPECT_OK(DecodeTensors(graph, file));
  EXPECT_THAT(Names(file), ElementsAre("w", "w.codes"));
}

}  // namespace
}  // namespace mase
