#include "mase/train/dense_chain.h"

#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using Kind = DenseLayer::Kind;
using ::testing::ElementsAre;

std::optional<DenseChain> Find(const Graph& graph) {
  const auto executor = ValueOrDie(Executor::Create(graph));
  return FindDenseChain(graph, executor->parameter_slots(), executor->buffer_slots());
}

Graph Build(const std::string& model, const Shape& input = {16}) {
  return ValueOrDie(BuildModel({.model = model, .input = input, .classes = 5}));
}

std::vector<Kind> Kinds(const DenseChain& chain) {
  std::vector<Kind> kinds;
  for (const DenseLayer& layer : chain.layers) kinds.push_back(layer.kind);
  return kinds;
}

TEST(DenseChainTest, JetTaggersAreChains) {
  for (const char* model : {"jsc-tiny", "jsc-toy", "jsc-s", "jsc-trt", "jsc-custom"}) {
    EXPECT_TRUE(Find(Build(model)).has_value()) << model;
  }
  const DenseChain chain = *Find(Build("BN, ReLU, Linear 8, BN, Dropout 0.25, Linear 5"));
  EXPECT_THAT(Kinds(chain), ElementsAre(Kind::kBatchNorm, Kind::kRelu, Kind::kLinear,
                                        Kind::kBatchNorm, Kind::kDropout, Kind::kLinear));
  EXPECT_EQ(chain.layers[2].in, 16);
  EXPECT_EQ(chain.layers[2].out, 8);
  EXPECT_TRUE(chain.layers[2].zero_bias_gradient) << "a batch norm follows";
  EXPECT_FALSE(chain.layers[5].zero_bias_gradient);
  ASSERT_EQ(chain.dropouts.size(), 1u);
  EXPECT_EQ(chain.dropouts[0].p, 0.25);
  EXPECT_EQ(chain.dropouts[0].features, 8);
}

TEST(DenseChainTest, AFlatteningAtTheStartChangesNothing) {
  const DenseChain chain = *Find(Build("toy", {1, 2, 2}));
  EXPECT_EQ(chain.layers[0].kind, Kind::kLinear);
  EXPECT_EQ(chain.layers[0].in, 4);
  EXPECT_TRUE(Find(Build("flatten(); seq: Linear 5", {3, 4})).has_value());
}

TEST(DenseChainTest, OtherNetsAreNot) {
  EXPECT_FALSE(Find(Build("Linear 5, Softmax")).has_value());
  EXPECT_FALSE(Find(Build("Linear 8; view(size, 8); rest: Linear 5")).has_value());
  EXPECT_FALSE(Find(Build("toy_convnet", {3, 8, 8})).has_value());
  EXPECT_FALSE(Find(Build("resnet18", {3, 32, 32})).has_value());
}

TEST(DenseChainTest, AQuantisedNodeRunsInTheExecutor) {
  Graph graph = Build("jsc-tiny");
  Quantization quantization;
  quantization.set_format("integer");
  graph.SetQuantization(graph.FindNode("seq_blocks_2"), quantization);
  EXPECT_FALSE(Find(graph).has_value());
}

TEST(DenseChainTest, ABranchIsNot) {
  Graph branch = Build("jsc-tiny");
  Node* relu = branch.FindNode("seq_blocks_1");
  Node* linear = branch.FindNode("seq_blocks_2");
  const auto sum = branch.AddNode({.name = "sum",
                                   .kind = NodeKind::kCallFunction,
                                   .op = "add",
                                   .target = "add",
                                   .inputs = {relu->outputs()[0], relu->inputs()[0]}},
                                  linear);
  ASSERT_OK(sum);
  branch.ReplaceInput(linear, 0, (*sum)->outputs()[0]);
  EXPECT_FALSE(Find(branch).has_value());
}

}  // namespace
}  // namespace mase
