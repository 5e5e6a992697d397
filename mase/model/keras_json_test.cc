#include "mase/model/keras_json.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// In the form of hls4ml's example qkeras_3layer.json.
constexpr char kNet[] = R"json({"class_name": "Model", "config": {"name": "jets", "layers": [
  {"class_name": "InputLayer", "name": "input_1", "inbound_nodes": [],
   "config": {"batch_input_shape": [null, 16], "dtype": "float32", "name": "input_1"}},
  {"class_name": "QDense", "name": "fc1", "inbound_nodes": [[["input_1", 0, 0, {}]]],
   "config": {"name": "fc1", "units": 64, "activation": "linear", "use_bias": true,
     "kernel_quantizer": {"class_name": "quantized_bits", "config": {"bits": 6, "integer": 0,
       "symmetric": 0, "alpha": 1, "keep_negative": true, "use_stochastic_rounding": false}},
     "bias_quantizer": {"class_name": "quantized_bits", "config": {"bits": 8, "integer": 2,
       "symmetric": 0, "alpha": null, "keep_negative": 1}}}},
  {"class_name": "QActivation", "name": "relu1", "inbound_nodes": [[["fc1", 0, 0, {}]]],
   "config": {"name": "relu1", "activation": "quantized_relu(6,2)"}},
  {"class_name": "Dropout", "name": "drop", "inbound_nodes": [[["relu1", 0, 0, {}]]],
   "config": {"name": "drop", "rate": 0.25}},
  {"class_name": "QDense", "name": "out", "inbound_nodes": [[["drop", 0, 0, {}]]],
   "config": {"name": "out", "units": 5, "activation": "softmax", "use_bias": false,
     "kernel_quantizer": "quantized_bits(4,0,alpha=1)", "bias_quantizer": null}}]}})json";

TEST(KerasJsonTest, WidthsBecomeRecords) {
  const KerasNet net = ValueOrDie(ParseKerasNet(kNet));
  EXPECT_EQ(net.layers,
            "fc1 = Linear 64 bias=true; relu1 = ReLU; drop = Dropout 0.25; "
            "out = Linear 5 bias=false; out_activation = Softmax dim=-1");
  EXPECT_EQ(net.sample, std::vector<int64_t>({16}));
  const Graph graph =
      ValueOrDie(BuildModel({.model = kNet, .input = {16}, .classes = 5, .batch = 8}));
  const Node* first = graph.FindNode("fc1");
  ASSERT_NE(first, nullptr);
  ASSERT_NE(first->quantization(), nullptr);
  ASSERT_EQ(first->quantization()->operand_size(), 2);
  EXPECT_EQ(first->quantization()->operand(0).operand(), "weight");
  EXPECT_EQ(first->quantization()->operand(0).format().integer().width(), 6);
  EXPECT_EQ(first->quantization()->operand(0).format().integer().frac_width(), 5);
  EXPECT_EQ(first->quantization()->operand(1).format().integer().frac_width(), 5);
  const Node* last = graph.FindNode("out");
  ASSERT_NE(last, nullptr);
  ASSERT_EQ(last->quantization()->operand_size(), 2);
  const IntegerFormat& in = last->quantization()->operand(0).format().integer();
  EXPECT_EQ(last->quantization()->operand(0).operand(), "data_in");
  EXPECT_EQ(in.width(), 6);
  EXPECT_EQ(in.frac_width(), 4);
  EXPECT_FALSE(in.is_signed());
  EXPECT_EQ(last->quantization()->operand(1).format().integer().frac_width(), 3);
}

TEST(KerasJsonTest, WhatIsNotReadIsNamed) {
  const auto layer = [](const std::string& kind, const std::string& config) {
    return absl::StrCat(
        R"json({"class_name": "Sequential", "config": {"layers": [{"class_name": ")json", kind,
        R"json(", "config": {"name": "it")json", config, "}}]}}");
  };
  const auto dense = [&](const std::string& quantizer) {
    return layer("QDense",
                 absl::StrCat(", \"units\": 2, \"kernel_quantizer\": \"", quantizer, "\""));
  };
  const std::pair<std::string, const char*> cases[] = {
      {"{", "Keras's JSON: want"},
      {"{\"layers\": []}", "Keras's JSON: want"},
      {layer("LSTM", ""), "layer 'it': layers of 'LSTM' are not read"},
      {layer("Dense", ", \"units\": -1"), "units"},
      {dense("quantized_po2(4)"), "quantizer 'quantized_po2'"},
      {dense("quantized_bits(4,0,alpha='auto')"), "a scale that follows the data"},
      {dense("quantized_bits(4,0,1)"), "symmetric=1"},
      {dense("quantized_bits(1,0)"), "one bit"},
      {layer("ReLU", ", \"max_value\": 6.0"), "layer 'it': has max_value=6.0"},
      {layer("ReLU", ", \"negative_slope\": 0.1"), "has negative_slope=0.1"},
      {layer("ReLU", ", \"threshold\": 1"), "has threshold=1"},
      {layer("Softmax", ", \"axis\": 0"), "has axis=0"},
      {layer("BatchNormalization", ", \"axis\": [2]"), "normalizes along axis 2"},
      {layer("BatchNormalization", ", \"scale\": false"), "has scale=false"},
      {layer("QActivation", ", \"activation\": \"quantized_tanh(4)\""), "'quantized_tanh'"},
      {R"json({"class_name": "Model", "config": {"layers": [
          {"class_name": "Dense", "config": {"name": "a", "units": 3}},
          {"class_name": "Add", "config": {"name": "b"},
           "inbound_nodes": [[["a", 0, 0, {}], ["a", 0, 0, {}]]]}]}})json",
       "layer 'b': reads others than the layer before it"},
  };
  for (const auto& [json, what] : cases) {
    const auto net = ParseKerasNet(json);
    ASSERT_FALSE(net.ok()) << json;
    EXPECT_THAT(std::string(net.status().message()), HasSubstr(what)) << json;
  }
  EXPECT_THAT(BuildModel({.model = kNet, .input = {12}, .classes = 5}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[16]")));
}

TEST(KerasJsonTest, DeepNestingIsNoNet) {
  EXPECT_FALSE(ParseKerasNet(std::string(100000, '{')).ok());
  EXPECT_FALSE(ParseKerasNet("{\"config\":" + std::string(100000, '[')).ok());
}

}  // namespace
}  // namespace mase
