// Convolutions of each channel by itself on codes are their simulation to the bit, on every
// instruction set.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"
#include "mase/exec/executor.h"
#include "mase/kernel/integer/tile.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/every_isa.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using Sizes = std::vector<int64_t>;

struct Conv {
  Shape input;
  Sizes kernel, stride, padding, dilation;
};

Graph Depthwise(const Conv& conv, const Formats& formats) {
  TestNet net(conv.input);
  Graph graph = net.Finish({net.Module("conv2d", {net.input()},
                                       {{"in_channels", conv.input[1]},
                                        {"out_channels", conv.input[1]},
                                        {"kernel_size", conv.kernel},
                                        {"stride", conv.stride},
                                        {"padding", conv.padding},
                                        {"dilation", conv.dilation},
                                        {"groups", conv.input[1]},
                                        {"bias", formats.size() > 2}})});
  SetRecord(graph, "conv2d", formats);
  return graph;
}

std::vector<float> RunNet(const Graph& graph, Execution execution, int64_t rows,
                          const std::vector<float>& x) {
  auto executor = ValueOrDie(Executor::Create(graph, {.execution = execution}));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
  for (const NodeExecution& node : ValueOrDie(executor->Report()).nodes) {
    EXPECT_EQ(node.way, execution) << node.reason;
  }
  return {executor->output().begin(), executor->output().end()};
}

// Channels that are a register, several, and what is left of one, beside and behind the last pixel.
TEST(IntegerDepthwiseTest, EveryInstructionSetGivesTheSimulationsBits) {
  const Formats kRecords[] = {
      {{"data_in", "integer { width: 8 frac_width: 6 }"},
       {"weight", "integer { width: 8 frac_width: 7 }"},
       {"bias", "integer { width: 8 frac_width: 7 }"}},
      {{"data_in", "affine { width: 8 is_signed: false scale: 0.015625 zero_point: 100 }"},
       {"weight", "integer { width: 4 frac_width: 3 }"}},
      {{"data_in", "integer { width: 12 frac_width: 10 }"},
       {"weight", "integer { width: 7 frac_width: 6 }"}},
      {{"data_in", "integer { width: 8 frac_width: 7 is_signed: false }"},
       {"weight", "integer { width: 12 frac_width: 11 }"}},
  };
  for (const int64_t channels : {2, 5, 16, 19, 64, 70, 300}) {
    for (const Conv& conv : {Conv{{3, channels, 5, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
                             Conv{{2, channels, 7, 4}, {1, 2}, {2, 1}, {0, 1}, {1, 2}}}) {
      for (const Formats& record : kRecords) {
        const Graph graph = Depthwise(conv, record);
        const std::vector<float> x = RandomValues(conv.input.elements(), 7);
        const std::vector<float> simulated = RunNet(graph, Execution::kSimulated, conv.input[0], x);
        OnEveryIsa([&] {
          for (const bool vnni : {false, true}) {
            if (vnni && CurrentIsa() != Isa::kAvx512) continue;
            if (!SetVnniForTest(vnni) && vnni) continue;
            SCOPED_TRACE(absl::StrCat(channels, " channels, ", record[0].second, ", ",
                                      IntegerIsaName(CurrentIntegerIsa())));
            ASSERT_EQ(RunNet(graph, Execution::kInteger, conv.input[0], x), simulated);
          }
        });
      }
    }
  }
}

// Codes of 16 bits without sign are stored around 0, so that sums of what is stored are far from
// the sums that are meant.
TEST(IntegerDepthwiseTest, SumsNearTheEndOfAnInt32AreExact) {
  for (const char* data : {"integer { width: 16 frac_width: 15 }",
                           "integer { width: 16 frac_width: 16 is_signed: false }"}) {
    Graph graph =
        Depthwise({{2, 19, 6, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
                  {{"data_in", data}, {"weight", "integer { width: 16 frac_width: 12 }"}});
    // All weights of one sign, all data as large as they can be.
    const Node* conv = ValueOrDie(graph.LookUpNode("conv2d"));
    Tensor weight(DType::kFloat32, {19, 1, 3, 3});
    std::fill_n(weight.mutable_data<float>().begin(), weight.elements(), 0.85f);
    graph.SetTensor(*conv->FindParameter("weight"), std::move(weight), /*buffer=*/false);
    const std::vector<float> x(2 * 19 * 6 * 7, 1.0f);
    EXPECT_EQ(RunNet(graph, Execution::kInteger, 2, x), RunNet(graph, Execution::kSimulated, 2, x));
  }
}

}  // namespace
}  // namespace mase
