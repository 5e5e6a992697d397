#include "mase/graph/graph_diff.h"

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

// Names of nodes that differ.
std::vector<std::string> Changed(const GraphDiff& diff) {
  std::vector<std::string> names;
  for (const NodeDiff& node : diff.nodes) {
    if (node.changed()) names.push_back(node.name());
  }
  return names;
}

TEST(GraphDiffTest, AGraphEqualsItsCopyWhateverItsNotesSay) {
  const Graph before = ParseGraph(kJscTiny);
  Graph after = before.Clone();
  after.FindNode("seq_blocks_1")->mutable_metadata().mutable_common()->set_mase_op("relu");
  const GraphDiff diff = CompareGraphs(before, after);
  EXPECT_TRUE(diff.equal());
  EXPECT_EQ(diff.nodes.size(), 6u);
  EXPECT_TRUE(diff.nodes[2].notes_differ);
  EXPECT_EQ(DiffGraphs(before, after), "~ seq_blocks_1 (relu): notes differ\n");
  EXPECT_EQ(DiffGraphs(before, before), "");
}

TEST(GraphDiffTest, ARecordAndAnElementAreNamed) {
  const Graph before = ParseGraph(kJscTiny);
  Graph after = before.Clone();
  Quantization record;
  record.set_format("integer");
  after.SetQuantization(after.FindNode("seq_blocks_2"), record);
  after.MutableTensor("seq_blocks.2.bias")->mutable_data<float>()[1] = -2;
  const GraphDiff diff = CompareGraphs(before, after);
  EXPECT_FALSE(diff.equal());
  EXPECT_THAT(Changed(diff), ElementsAre("seq_blocks_2"));
  EXPECT_TRUE(diff.nodes[3].record_changed);
  ASSERT_EQ(diff.tensors.size(), 1u);
  EXPECT_EQ(diff.tensors[0].elements, 1);
  EXPECT_EQ(diff.tensors[0].largest, 2);
  EXPECT_EQ(DiffGraphs(before, after),
            "~ seq_blocks_2 (linear): quantization: none -> format: \"integer\"\n"
            "~ tensor seq_blocks.2.bias: 1 of 5 elements differs, by 2\n");
}

TEST(GraphDiffTest, AWidthIsAChangeOfTheRecord) {
  constexpr char kNet[] = R"(
x = placeholder() : f32[8, 4]
relu = relu(x)
  quantized integer class Integer
  data_in = integer { width: WIDTH frac_width: 4 }
output = output(relu)
)";
  const auto net = [&](const std::string& width) {
    std::string text = kNet;
    return ParseGraph(text.replace(text.find("WIDTH"), 5, width));
  };
  const Graph eight = net("8"), six = net("6");
  EXPECT_THAT(Changed(CompareGraphs(eight, six)), ElementsAre("relu"));
}

TEST(GraphDiffTest, NodesAndTensorsOfOneGraphAlone) {
  const Graph first = ParseGraph(kJscTiny);
  const Graph second = ParseGraph(R"(
x = placeholder() : f32[8, 16]
seq_blocks_0 = linear(x, in_features=16, out_features=5, bias=False) @seq_blocks.0
seq_blocks_1 = linear(seq_blocks_0, in_features=5, out_features=5) @seq_blocks.1
new = relu(seq_blocks_1)
output = output(new)
)");
  EXPECT_EQ(DiffGraphs(first, second),
            "~ seq_blocks_0 (batch_norm1d): op: batch_norm1d -> linear\n"
            "~ seq_blocks_0 (batch_norm1d): attributes: affine=True, eps=1e-05, momentum=0.1, "
            "num_features=16, track_running_stats=True -> bias=False, in_features=16, "
            "out_features=5\n"
            "~ seq_blocks_0 (batch_norm1d): tensors: weight=seq_blocks.0.weight, "
            "bias=seq_blocks.0.bias, running_mean=seq_blocks.0.running_mean, "
            "running_var=seq_blocks.0.running_var, "
            "num_batches_tracked=seq_blocks.0.num_batches_tracked -> weight=seq_blocks.0.weight\n"
            "~ seq_blocks_1 (relu): op: relu -> linear\n"
            "~ seq_blocks_1 (relu): attributes: inplace=False -> bias=True, in_features=5, "
            "out_features=5\n"
            "~ seq_blocks_1 (relu): tensors: none -> weight=seq_blocks.1.weight, "
            "bias=seq_blocks.1.bias\n"
            "+ new (relu): only in the second\n"
            "~ output (output): inputs: seq_blocks_3 -> new\n"
            "- seq_blocks_2 (linear): only in the first\n"
            "- seq_blocks_3 (relu): only in the first\n"
            "~ tensor seq_blocks.0.weight: float32[16] -> float32[5, 16]\n"
            "- tensor seq_blocks.0.bias: only in the first\n"
            "- tensor seq_blocks.0.running_mean: only in the first\n"
            "- tensor seq_blocks.0.running_var: only in the first\n"
            "- tensor seq_blocks.0.num_batches_tracked: only in the first\n"
            "- tensor seq_blocks.2.weight: only in the first\n"
            "- tensor seq_blocks.2.bias: only in the first\n"
            "+ tensor seq_blocks.1.weight: only in the second\n"
            "+ tensor seq_blocks.1.bias: only in the second\n");
}

TEST(GraphDiffTest, ANanIsTheLargestDistance) {
  const Graph first = ParseGraph(kJscTiny);
  Graph second = first.Clone();
  second.MutableTensor("seq_blocks.2.bias")->mutable_data<float>()[0] = std::nanf("");
  second.MutableTensor("seq_blocks.2.bias")->mutable_data<float>()[1] = 1;
  const GraphDiff diff = CompareGraphs(first, second);
  ASSERT_EQ(diff.tensors.size(), 1u);
  EXPECT_EQ(diff.tensors[0].elements, 2);
  EXPECT_TRUE(std::isnan(diff.tensors[0].largest));
}

}  // namespace
}  // namespace mase
