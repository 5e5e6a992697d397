// Costs against the figures that two course reports printed, and those that follow from their
// formulas for the other nets.
#include "mase/quantize/cost.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/format/format.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// Nets of the reports.
constexpr char kOfReport000[] =
    "BN, ReLU, Linear 16, BN, ReLU, Linear 32, BN, ReLU, Linear 5, BN, ReLU";
constexpr char kOfReport001[] =
    "BN, ReLU, Linear 64, BN, ReLU, Linear 40, BN, ReLU, Linear 10, BN, ReLU, Linear 5, BN, ReLU";
constexpr char kOfReport003[] =
    "BN, ReLU, Linear 32, BN, ReLU, Dropout 0.2, Linear 16, BN, ReLU, Dropout 0.2, Linear 5, BN, "
    "ReLU";

std::vector<NodeCost> Costs(const Graph& graph,
                            FormatProto::Semantics semantics = FormatProto::EXACT) {
  return ValueOrDie(CostsOf(graph, ValueOrDie(InferShapesFor(graph)), semantics));
}

NodeCost Total(const Graph& graph, FormatProto::Semantics semantics = FormatProto::EXACT) {
  NodeCost total;
  for (const NodeCost& cost : Costs(graph, semantics)) {
    total.parameters += cost.parameters;
    total.weights += cost.weights;
    total.macs += cost.macs;
    total.forward += cost.forward;
    total.backward += cost.backward;
    total.flops += cost.flops;
    total.forward_bitops += cost.forward_bitops;
    total.backward_bitops += cost.backward_bitops;
    total.bits += cost.bits;
    if (cost.ebops.has_value()) total.ebops = total.ebops.value_or(0) + *cost.ebops;
  }
  return total;
}

Graph Net(const std::string& model) {
  return ValueOrDie(BuildModel({.model = model, .input = {16}, .classes = 5, .batch = 8}));
}

TEST(CostTest, TheJscNetsAtABatchOf8) {
  struct Case {
    std::string model;
    int64_t parameters, macs, forward, backward, forward_bitops, backward_bitops, flops, bits;
  };
  const Case cases[] = {
      {"jsc-tiny", 117, 640, 1320, 1960, 1185024, 1840384, 1704, 6656},
      {"jsc-toy", 327, 1856, 3336, 5192, 3122432, 5022976, 4600, 15616},
      {"jsc-s", 5615, 42240, 46408, 88648, 46085376, 89339136, 87288, 214016},
      {"jsc-trt", 3231, 23168, 27848, 51016, 27587840, 51311872, 49144, 121344},
      {kOfReport000, 1119, 7424, 10184, 17608, 9880832, 17483008, 16504, 46080},
      {kOfReport001, 4423, 32272, 37672, 69944, 37504768, 70551296, 67784, 162368},
      {kOfReport003, 1295, 8832, 11592, 20424, 11322624, 20366592, 19320, 51712},
  };
  for (const Case& want : cases) {
    const NodeCost total = Total(Net(want.model));
    EXPECT_EQ(total.parameters, want.parameters) << want.model;
    EXPECT_EQ(total.macs, want.macs) << want.model;
    EXPECT_EQ(total.forward, want.forward) << want.model;
    EXPECT_EQ(total.backward, want.backward) << want.model;
    EXPECT_EQ(total.forward_bitops, want.forward_bitops) << want.model;
    EXPECT_EQ(total.backward_bitops, want.backward_bitops) << want.model;
    EXPECT_EQ(total.flops, want.flops) << want.model;
    EXPECT_EQ(total.bits, want.bits) << want.model;
    EXPECT_FALSE(total.ebops.has_value()) << want.model;
  }
}

TEST(CostTest, EveryRowOfReport003) {
  struct Row {
    int64_t weights, forward, backward, forward_bitops, backward_bitops;
  };
  const Row rows[] = {
      {0, 0, 0, 0, 0},  // x
      {32, 512, 512, 524288, 524288},
      {0, 128, 128, 4096, 4096},
      {512, 4096, 8192, 4194304, 8388608},
      {64, 1024, 1024, 1048576, 1048576},
      {0, 256, 256, 8192, 8192},
      {0, 0, 0, 0, 0},  // Dropout
      {512, 4096, 8192, 4194304, 8388608},
      {32, 512, 512, 524288, 524288},
      {0, 128, 128, 4096, 4096},
      {0, 0, 0, 0, 0},  // Dropout
      {80, 640, 1280, 655360, 1310720},
      {10, 160, 160, 163840, 163840},
      {0, 40, 40, 1280, 1280},
      {0, 0, 0, 0, 0},  // output
  };
  const Graph graph = Net(kOfReport003);
  const std::vector<NodeCost> costs = Costs(graph);
  ASSERT_EQ(costs.size(), std::size(rows));
  for (size_t i = 0; i < costs.size(); ++i) {
    EXPECT_EQ(costs[i].weights, rows[i].weights) << costs[i].node->name();
    EXPECT_EQ(costs[i].forward, rows[i].forward) << costs[i].node->name();
    EXPECT_EQ(costs[i].backward, rows[i].backward) << costs[i].node->name();
    EXPECT_EQ(costs[i].forward_bitops, rows[i].forward_bitops) << costs[i].node->name();
    EXPECT_EQ(costs[i].backward_bitops, rows[i].backward_bitops) << costs[i].node->name();
  }
  EXPECT_EQ(Total(graph).weights, 1242);
}

// Gives the node a record, in the text form of formats.
void Quantize(Graph& graph, absl::string_view node, const std::string& name,
              const std::vector<std::pair<std::string, std::string>>& operands) {
  Quantization record;
  record.set_format(name);
  for (const auto& [operand, format] : operands) {
    OperandFormat* added = record.add_operand();
    added->set_operand(operand);
    *added->mutable_format() = ValueOrDie(Format::FromText(format))->proto();
  }
  graph.SetQuantization(graph.FindNode(node), record);
}

TEST(CostTest, AQuantizedNetCountsItsOwnWidths) {
  Graph graph = Net(kOfReport001);
  for (const char* node : {"seq_blocks_2", "seq_blocks_5", "seq_blocks_8", "seq_blocks_11"}) {
    Quantize(graph, node, "integer",
             {{"data_in", "integer 8/4"}, {"weight", "integer 8/4"}, {"bias", "integer 8/4"}});
  }
  // 1,040 elements of inputs and 4,034 of weights: 8 bits each, or 12 as MASE adds them up.
  EXPECT_EQ(Total(graph).bits, 5074 * 8);
  EXPECT_EQ(Total(graph, FormatProto::REFERENCE).bits, 60888);
  // What stays float costs what it did.
  const int64_t in_float = 37504768 - 32272 * 1024;
  EXPECT_EQ(Total(graph).forward_bitops, in_float + 32272 * 64);
  EXPECT_EQ(Total(graph, FormatProto::REFERENCE).forward_bitops, in_float + 32272 * 144);
}

TEST(CostTest, BitsOfCodesAndWhatBlocksShare) {
  Graph graph = ParseGraph(kJscTiny);
  const auto bits = [&](const std::string& name, const std::string& format) {
    Quantize(graph, "seq_blocks_2", name, {{"weight", format}});
    const InferredShapes shapes = ValueOrDie(InferShapesFor(graph));
    return ValueOrDie(TensorCostsOf(graph, shapes));
  };
  const auto weight = [](const std::vector<TensorCost>& costs) {
    for (const TensorCost& cost : costs) {
      if (cost.tensor->name == "seq_blocks.2.weight") return cost;
    }
    return TensorCost();
  };
  EXPECT_EQ(weight(bits("binary", "binary")).bits_per_value, 1);
  EXPECT_EQ(weight(bits("binary", "binary")).bytes, 10);  // 80 values.
  EXPECT_EQ(weight(bits("ternary", "ternary { }")).bits_per_value, 2);
  EXPECT_EQ(weight(bits("integer", "integer 3/1")).bytes, 30);
  // A scale of 8 bits for every 16 values.
  const TensorCost blocks = weight(bits("mx", "mx { element_format: \"int8\" block_size: 16 }"));
  EXPECT_EQ(blocks.bits_per_value, 8.5);
  EXPECT_EQ(blocks.bytes, 85);
}

TEST(CostTest, EffectiveBitOperationsCountOnesAlone) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[3, 2]
fc = linear(x, in_features=2, out_features=2, bias=False)
output = output(fc)
)");
  Quantize(graph, "fc", "integer", {{"data_in", "integer 8/4"}, {"weight", "integer 8/4"}});
  const auto weight = graph.MutableTensor("fc.weight")->mutable_data<float>();
  weight[0] = 0.3125f;  // 101: 3 bits.
  weight[1] = -0.5f;    // 1000: 1 bit.
  weight[2] = 0.01f;    // Rounds to 0.
  weight[3] = 7.9375f;  // 1111111: 7 bits.
  const NodeCost total = Total(graph);
  EXPECT_EQ(total.macs, 12);
  EXPECT_EQ(total.forward_bitops, 12 * 64);
  EXPECT_EQ(total.ebops, 3 * 7 * (3 + 1 + 7));  // Rows, bits of the input, of the weights.
}

TEST(CostTest, GroupsDivideTheInputsOfAConvolution) {
  const Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 4, 8, 8]
conv = conv2d(x, in_channels=4, out_channels=6, kernel_size=(3, 3), padding=(1, 1), groups=2)
pool = max_pool2d(conv, kernel_size=(2, 2), stride=(2, 2))
output = output(pool)
)");
  const std::vector<NodeCost> costs = Costs(graph);
  EXPECT_EQ(costs[1].macs, 2 * 6 * 64 * 2 * 9);
  EXPECT_EQ(costs[1].backward, 2 * costs[1].forward);
  EXPECT_EQ(costs[1].weights, 6 * 2 * 9);
  EXPECT_EQ(costs[1].parameters, 6 * 2 * 9 + 6);
  EXPECT_EQ(costs[2].forward, 2 * 6 * 16 * 4);
  EXPECT_EQ(costs[2].backward, costs[2].forward);
}

TEST(CostTest, MaseCannotAddUpEveryPrecision) {
  Graph graph = ParseGraph(kJscTiny);
  Quantize(graph, "seq_blocks_2", "ternary", {{"weight", "ternary"}});
  EXPECT_THAT(CostsOf(graph, ValueOrDie(InferShapesFor(graph)), FormatProto::REFERENCE),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("seq_blocks_2: weight: MASE cannot add up the precision [0, ")));
}

TEST(CostTest, ACostOf2To63OrMoreIsRefused) {
  // A window of 2^48 elements over an input of 2^20, all but one of them padding.
  const Graph graph = ParseGraph(R"(
x = placeholder() : f32[1, 1048576, 1, 1]
pool = max_pool2d(x, kernel_size=(16777216, 16777216), stride=(1, 1), padding=(8388608, 8388608))
output = output(pool)
)");
  EXPECT_THAT(CostsOf(graph, ValueOrDie(InferShapesFor(graph))),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("pool: a cost is 2^63 or more")));
}

}  // namespace
}  // namespace mase
