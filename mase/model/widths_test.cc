#include "mase/model/widths.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/graph/verifier.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Graph Build(const std::string& model, const Shape& input, uint64_t seed = 1) {
  TorchGenerator generator(seed);
  return ValueOrDie(
      BuildModel({.model = model, .input = input, .classes = 5, .batch = 2}, &generator));
}

const Node& NodeOf(const Graph& graph, const std::string& name) { return *graph.FindNode(name); }

Shape ShapeOf(const Graph& graph, const std::string& tensor) {
  return graph.FindTensor(tensor)->value.shape();
}

// The net whose layers have so many channels.
absl::StatusOr<Graph> Widened(const Graph& graph,
                              const std::vector<std::pair<std::string, int64_t>>& layers,
                              bool keep = true) {
  Graph wide = graph.Clone();
  MASE_ASSIGN_OR_RETURN(Widths widths, Widths::Of(wide));
  for (const auto& [name, channels] : layers) {
    MASE_RETURN_IF_ERROR(widths.Set(NodeOf(wide, name), channels));
  }
  TorchGenerator generator(7);
  MASE_RETURN_IF_ERROR(widths.Apply(keep, generator, wide));
  MASE_RETURN_IF_ERROR(VerifyGraph(wide));
  return wide;
}

std::vector<float> Results(const Graph& graph) {
  const auto executor = ValueOrDie(Executor::Create(graph));
  const Shape shape(graph.placeholders()[0]->attributes().Ints("shape"));
  Tensor samples(DType::kFloat32, shape);
  TorchGenerator generator(3);
  generator.FillUniform(samples.mutable_data<float>(), -1, 1);
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, shape[0], {samples.data<float>().data()}));
  return {executor->output().begin(), executor->output().end()};
}

// Statistics and scales that are not those of all other channels.
void Disturb(Graph& graph) {
  TorchGenerator generator(11);
  for (const GraphTensor& tensor : graph.tensors()) {
    if (tensor.value.dtype() != DType::kFloat32 || tensor.value.shape().rank() != 1) continue;
    generator.FillUniform(graph.MutableTensor(tensor.name)->mutable_data<float>(), 0.5, 1.5);
  }
}

// A net whose layers are all as many times as wide as they were, and whose new channels are nothing
// but zeros, computes what it did: each channel is where those who read it look for it.
void ExpectZerosChangeNothing(Graph graph, int64_t times) {
  Disturb(graph);
  const std::vector<float> before = Results(graph);
  Graph wide = graph.Clone();
  Widths widths = ValueOrDie(Widths::Of(wide));
  int changing = 0;
  for (const Node* node : wide.NodesInOrder()) {
    const int64_t width = widths.WidthOf(*node);
    if (width == 0 || !widths.WhyFixed(*node).empty()) continue;
    EXPECT_OK(widths.Set(*node, times * width)) << node->name();
    EXPECT_EQ(widths.NewWidthOf(*node), times * width) << node->name();
    ++changing;
  }
  EXPECT_GT(changing, 0);
  TorchGenerator generator(7);
  ASSERT_OK(widths.Apply(/*keep=*/true, generator, wide));
  ASSERT_OK(VerifyGraph(wide));
  Graph zeros = wide.Clone();
  for (const GraphTensor& tensor : wide.tensors()) {
    if (tensor.value.dtype() != DType::kFloat32) continue;
    const absl::Span<float> numbers = zeros.MutableTensor(tensor.name)->mutable_data<float>();
    std::fill(numbers.begin(), numbers.end(), 0.0f);
  }
  ASSERT_OK(TakeWeights(graph, zeros));
  const std::vector<float> after = Results(zeros);
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_NEAR(after[i], before[i], 1e-4 * (1 + std::abs(before[i]))) << i;
  }
  // Kept channels are the same ones that TakeWeights took, and new ones are no zeros.
  for (const GraphTensor& tensor : wide.tensors()) {
    if (tensor.value.dtype() != DType::kFloat32) continue;
    const absl::Span<const float> kept = tensor.value.data<float>();
    const absl::Span<const float> taken = zeros.FindTensor(tensor.name)->value.data<float>();
    for (size_t i = 0; i < kept.size(); ++i) {
      ASSERT_TRUE(taken[i] == 0 || taken[i] == kept[i]) << tensor.name << " " << i;
    }
  }
  // And all the way back.
  Graph narrow = graph.Clone();
  ASSERT_OK(TakeWeights(wide, narrow));
  EXPECT_EQ(Results(narrow), before);
}

TEST(WidthsTest, NetsOfTheZoo) {
  ExpectZerosChangeNothing(Build("jsc-toy", {16}), 3);
  ExpectZerosChangeNothing(Build("lfc", {1, 4, 4}), 2);
  ExpectZerosChangeNothing(Build("vgg7_tiny", {3, 16, 16}), 2);
  ExpectZerosChangeNothing(Build("toy_convnet", {3, 8, 8}), 2);
  ExpectZerosChangeNothing(Build("resnet18", {3, 32, 32}), 2);
  ExpectZerosChangeNothing(Build("mobilenetv3_small", {3, 32, 32}), 2);
}

TEST(WidthsTest, ConcatenationsGroupsAndMovedAxesBeforeALinearLayer) {
  ExpectZerosChangeNothing(ParseGraph(R"(
x = placeholder() : f32[2, 3, 4, 4]
a = conv2d(x, in_channels=3, out_channels=4, kernel_size=(3, 3), padding=(1, 1))
b = conv2d(x, in_channels=3, out_channels=2, kernel_size=(1, 1))
both = cat(a, b, dim=1)
norm = batch_norm2d(both, num_features=6)
c = conv2d(norm, in_channels=6, out_channels=8, kernel_size=(1, 1))
g = conv2d(c, in_channels=8, out_channels=12, kernel_size=(3, 3), padding=(1, 1), groups=4)
up = convtranspose2d(g, in_channels=12, out_channels=6, kernel_size=(1, 1), groups=2)
deep = conv2d(up, in_channels=6, out_channels=12, kernel_size=(1, 1), groups=6)
moved = permute(deep, dims=(0, 2, 3, 1))
flat = flatten(moved)
fc = linear(flat, in_features=192, out_features=5)
output = output(fc)
)"),
                           2);
}

TEST(WidthsTest, AllThatMeetInAnAddChangeTogether) {
  const Graph graph = Build("resnet18", {3, 32, 32});
  const Graph wide = ValueOrDie(Widened(graph, {{"layer1_1_conv2", 96}}));
  EXPECT_EQ(ShapeOf(wide, "conv1.weight"), Shape({96, 3, 7, 7}));
  EXPECT_EQ(ShapeOf(wide, "bn1.running_var"), Shape({96}));
  EXPECT_EQ(ShapeOf(wide, "layer1.0.conv1.weight"), Shape({64, 96, 3, 3}));
  EXPECT_EQ(ShapeOf(wide, "layer1.0.conv2.weight"), Shape({96, 64, 3, 3}));
  EXPECT_EQ(ShapeOf(wide, "layer2.0.downsample.0.weight"), Shape({128, 96, 1, 1}));
  EXPECT_EQ(ShapeOf(wide, "layer2.0.conv2.weight"), ShapeOf(graph, "layer2.0.conv2.weight"));
  EXPECT_THAT(Widened(graph, {{"conv1", 96}, {"layer1_0_conv2", 48}}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "they are those of 'conv1', too, which is to have 96 (they meet in 'add')"));
  // Also where one of them is to stay as it is.
  EXPECT_THAT(Widened(graph, {{"conv1", 64}, {"layer1_0_conv2", 48}}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("which is to have 64")));
  EXPECT_OK(Widened(graph, {{"conv1", 48}, {"layer1_0_conv2", 48}}));
}

TEST(WidthsTest, DepthwiseConvolutionsHaveTheirInputsChannels) {
  const Graph graph = Build("mobilenetv3_small", {3, 32, 32});
  const Graph wide = ValueOrDie(Widened(graph, {{"features_2_block_0_0", 80}}));
  EXPECT_EQ(ShapeOf(wide, "features.2.block.1.0.weight"), Shape({80, 1, 3, 3}));
  EXPECT_EQ(NodeOf(wide, "features_2_block_1_0").attributes().Int("groups"), 80);
  EXPECT_EQ(ShapeOf(wide, "features.2.block.2.0.weight"), Shape({24, 80, 1, 1}));
}

TEST(WidthsTest, ViewsOfWrittenExtentsFollow) {
  const Graph graph = Build("vgg7", {3, 32, 32});
  const Graph narrow = ValueOrDie(Widened(graph, {{"feature_layers_17", 16}}, /*keep=*/false));
  EXPECT_EQ(ShapeOf(narrow, "classifier.0.weight"), Shape({1024, 16 * 16}));
  EXPECT_THAT(NodeOf(narrow, "view").attributes().Ints("shape"), ElementsAre(-1, 256));
}

TEST(WidthsTest, LayerNormsAndProductsFollow) {
  const Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 3, 4]
q = linear(x, in_features=4, out_features=6)
k = linear(x, in_features=4, out_features=6)
norm = layer_norm(q, normalized_shape=(6,))
kt = transpose(k, dim0=1, dim1=2)
s = matmul(norm, kt)
output = output(s)
)");
  const Graph wide = ValueOrDie(Widened(graph, {{"k", 10}}));
  EXPECT_EQ(ShapeOf(wide, "q.weight"), Shape({10, 4}));
  EXPECT_EQ(ShapeOf(wide, "norm.bias"), Shape({10}));
}

TEST(WidthsTest, InitialWeightsAreNewWhereALayerChangesAndOnlyThere) {
  const Graph graph = Build("BN, ReLU, Linear 8, ReLU, Linear 8, ReLU, Linear classes", {16});
  const auto weight = [](const Graph& net, const char* name, size_t i) {
    return net.FindTensor(name)->value.data<float>()[i];
  };
  const Graph kept = ValueOrDie(Widened(graph, {{"seq_blocks_2", 12}}));
  const Graph made = ValueOrDie(Widened(graph, {{"seq_blocks_2", 12}}, /*keep=*/false));
  EXPECT_EQ(weight(kept, "seq_blocks.2.weight", 0), weight(graph, "seq_blocks.2.weight", 0));
  EXPECT_NE(weight(made, "seq_blocks.2.weight", 0), weight(graph, "seq_blocks.2.weight", 0));
  EXPECT_EQ(weight(kept, "seq_blocks.2.bias", 11), weight(made, "seq_blocks.2.bias", 11));
  EXPECT_EQ(weight(made, "seq_blocks.6.weight", 0), weight(graph, "seq_blocks.6.weight", 0));
}

struct Refused {
  const char* node;
  int64_t channels;
  const char* message;
};

TEST(WidthsTest, WidthsThatCannotBeSayWhy) {
  const Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 4, 3, 3]
a = conv2d(x, in_channels=4, out_channels=6, kernel_size=(1, 1))
g = conv2d(a, in_channels=6, out_channels=6, kernel_size=(1, 1), groups=3)
r = relu(g)
b = conv2d(r, in_channels=6, out_channels=4, kernel_size=(1, 1))
sum = add(b, x)
c = conv2d(sum, in_channels=4, out_channels=8, kernel_size=(1, 1))
heads = reshape(c, shape=(2, 2, 4, 9))
output = output(heads)
)");
  for (const Refused& bad : std::vector<Refused>{
           {"r", 12, "it has no channels of its own"},
           {"a", 7, "they come in groups, of which there are 3: want a multiple of that"},
           {"b", 8, "'sum' reads them beside 4 that cannot change"},
           {"c", 16, "'heads' cuts them in another way"}}) {
    EXPECT_THAT(Widened(graph, {{bad.node, bad.channels}}).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(bad.message)))
        << bad.node;
  }
  Graph last = Build("Linear 8, Linear classes", {16});
  EXPECT_THAT(Widened(last, {{"seq_blocks_1", 6}}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "'output' (output) has them as the net's results"));
}

TEST(WidthsTest, TensorsOfTheNetItselfShrinkButDoNotGrow) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 4]
fc = linear(x, in_features=4, out_features=3)
y = mul(fc, fc)
fc2 = linear(y, in_features=3, out_features=5)
output = output(fc2)
)");
  graph.SetTensor("scale", Tensor::Zeros(DType::kFloat32, {3}), /*buffer=*/true);
  const Node* scale = ValueOrDie(graph.AddNode({.name = "scale",
                                                .kind = NodeKind::kGetAttr,
                                                .op = std::string(ops::kGetAttr),
                                                .attributes = {{"shape", std::vector<int64_t>{3}}},
                                                .parameters = {{"value", "scale"}}},
                                               graph.FindNode("y")));
  graph.ReplaceInput(graph.FindNode("y"), 1, scale->outputs()[0]);
  EXPECT_THAT(Widened(graph, {{"fc", 6}}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "'scale', a tensor of the net's own, has numbers for 3 of them and no "
                       "initial ones for more"));
  const Graph narrow = ValueOrDie(Widened(graph, {{"fc", 2}}, /*keep=*/false));
  EXPECT_THAT(NodeOf(narrow, "scale").attributes().Ints("shape"), ElementsAre(2));
}

TEST(WidthsTest, WhatIsTakenIsCountedAndNetsWithNothingInCommonAreRefused) {
  Graph same = Build("BN, ReLU, Linear 8, ReLU, Linear classes", {16}), other = same.Clone();
  const TakenWeights all = ValueOrDie(TakeWeights(other, same));
  EXPECT_EQ(all.taken, 6);
  EXPECT_EQ(all.of, 6);
  const TakenWeights some = ValueOrDie(TakeWeights(Build("BN, Linear classes", {16}), same));
  EXPECT_EQ(some.taken, 2);
  EXPECT_EQ(some.of, 6);
  // Counters and statistics alone are nothing that was trained.
  for (const char* net : {"Linear classes", "BN affine=false, Linear classes"}) {
    EXPECT_THAT(TakeWeights(Build(net, {16}), same),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has no tensor of")))
        << net;
  }
}

}  // namespace
}  // namespace mase
