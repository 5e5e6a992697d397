#include "mase/search/incremental_net.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/mix64.h"
#include "mase/base/random.h"
#include "mase/exec/evaluation.h"
#include "mase/exec/executor.h"
#include "mase/format/format.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/zoo.h"
#include "mase/quantize/rule.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

struct Case {
  std::string model;
  Shape sample;
  int64_t rows;
};

// Records of a node for these formats; number 0 is float.
struct Choices {
  std::string node;
  std::vector<Quantization> records;
};

constexpr const char* kFormats[] = {"integer 8/4", "integer 4/2",  "integer 6/3",
                                    "integer 2/1", "block_fp 4/8", "minifloat_ieee 8/4",
                                    "log 5/7"};

std::vector<Choices> ChoicesOf(const Graph& graph) {
  const InferredShapes shapes = InferShapesFor(graph).value();
  std::vector<Choices> all;
  for (const Node* node : graph.NodesInOrder()) {
    if (!node->schema().quantizable) continue;
    Choices choices{node->name()};
    for (const char* text : kFormats) {
      const auto format = Format::FromText(text);
      if (!format.ok()) continue;
      const RuleFormat rule = UniformRule((*format)->proto()).value();
      if (auto record = QuantizationFor(*node, rule, shapes); record.ok()) {
        choices.records.push_back(*std::move(record));
      }
    }
    all.push_back(std::move(choices));
  }
  return all;
}

class IncrementalNetTest : public testing::TestWithParam<Case> {};

// What a trial of a search measures is what an ordinary run measures, bit for bit.
TEST_P(IncrementalNetTest, RandomFormatsGiveTheBitsAndCostsOfTheWholeNet) {
  const Case& net_case = GetParam();
  Graph graph =
      BuildModel({.model = net_case.model, .input = net_case.sample, .classes = 5}).value();
  Shape shape = {net_case.rows};
  for (const int64_t extent : net_case.sample.dims()) shape.push_back(extent);
  Tensor features(DType::kFloat32, shape);
  TorchGenerator(1).FillUniform(features.mutable_data<float>(), -3, 3);
  const std::vector<Choices> choices = ChoicesOf(graph);
  std::vector<std::string> names;
  for (const Choices& node : choices) names.push_back(node.node);
  constexpr int64_t kBatch = 24;
  // So small a bound that segments are forgotten on the way.
  auto net =
      IncrementalNet::Create(graph, features, names, {.batch_size = kBatch, .max_bytes = 200'000});
  ASSERT_OK(net.status());
  std::vector<NumberedRecord> records(names.size());
  for (uint64_t trial = 0; trial < 40; ++trial) {
    for (size_t i = 0; i < records.size(); ++i) {
      if (Mix64(trial, i) % 3 == 0 && trial > 0) continue;  // As in the trial before.
      const auto& known = choices[i].records;
      const size_t number = Mix64(trial + 100, i) % (known.size() + 1);
      records[i] = {static_cast<int>(number), number == 0 ? nullptr : &known[number - 1]};
    }
    ASSERT_OK((*net)->Run(records));

    Graph whole = graph.Clone();
    for (size_t i = 0; i < records.size(); ++i) {
      if (records[i].record == nullptr) continue;
      whole.SetQuantization(whole.FindNode(names[i]), *records[i].record);
    }
    auto executor = Executor::Create(whole).value();
    const Tensor labels = Tensor::Zeros(DType::kInt64, {net_case.rows});
    std::vector<float> scores;
    ASSERT_OK(Evaluate(*executor, features, labels, kBatch,
                       [&scores](int64_t, absl::Span<const float> batch) {
                         scores.insert(scores.end(), batch.begin(), batch.end());
                         return absl::OkStatus();
                       })
                  .status());
    ASSERT_EQ((*net)->scores().size(), scores.size());
    ASSERT_EQ(std::memcmp((*net)->scores().data(), scores.data(), scores.size() * sizeof(float)), 0)
        << "trial " << trial;
    const NetCosts costs = NetCostsOf(whole).value();
    EXPECT_EQ((*net)->costs().packed_bytes, costs.packed_bytes);
    EXPECT_EQ((*net)->costs().parameters, costs.parameters);
    EXPECT_EQ((*net)->costs().macs, costs.macs);
    EXPECT_EQ((*net)->costs().bitops, costs.bitops);
    EXPECT_EQ((*net)->costs().ebops, costs.ebops);
    EXPECT_EQ((*net)->costs().average_bitwidth(), costs.average_bitwidth());
  }
  EXPECT_LE((*net)->kept_bytes(), 200'000 + (*net)->segments() * 200'000);
}

INSTANTIATE_TEST_SUITE_P(
    Nets, IncrementalNetTest,
    testing::Values(
        Case{"jsc-tiny", {16}, 100}, Case{"jsc-toy", {16}, 100},
        Case{"Linear 12, BN, Tanh, Linear classes", {16}, 50},
        Case{"Conv2d 4 3, BN, ReLU, Conv2d 3 3, BN, ReLU, Flatten, Linear classes", {2, 9, 9}, 30}),
    [](const auto& info) { return "Net" + std::to_string(info.index); });

TEST(IncrementalNetCostTest, OnlyWhatChangedIsComputedAgain) {
  Graph graph = BuildModel({.model = "jsc-toy", .input = {16}, .classes = 5}).value();
  Tensor features(DType::kFloat32, {64, 16});
  TorchGenerator(1).FillUniform(features.mutable_data<float>(), -3, 3);
  const std::vector<Choices> choices = ChoicesOf(graph);
  const size_t last = choices.size() - 1;
  std::vector<std::string> names;
  for (const Choices& node : choices) names.push_back(node.node);
  auto net = IncrementalNet::Create(graph, features, names, {.batch_size = 64}).value();
  std::vector<NumberedRecord> records(names.size());
  ASSERT_OK(net->Run(records));
  EXPECT_EQ(net->computed(), net->segments());
  records[last] = {1, &choices[last].records[0]};
  ASSERT_OK(net->Run(records));
  EXPECT_EQ(net->computed(), net->segments() + 1);
  EXPECT_EQ(net->compiled(), net->segments() + 1);
  records[last] = {};
  ASSERT_OK(net->Run(records));  // Kept as it was.
  EXPECT_EQ(net->computed(), net->segments() + 1);
}

}  // namespace
}  // namespace mase
