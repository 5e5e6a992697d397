#include "mase/graph/graph.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/graph/add_output.h"
#include "mase/graph/shape_inference.h"
#include "mase/graph/verifier.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

constexpr char kSmall[] = R"(
x = placeholder() : f32[8, 16]
seq_blocks_0 = relu(x) @seq_blocks.0
seq_blocks_1 = linear(seq_blocks_0, in_features=16, out_features=5) @seq_blocks.1
output = output(seq_blocks_1)
)";

std::vector<std::string> Names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node* node : graph.NodesInOrder()) names.push_back(node->name());
  return names;
}

TEST(GraphTest, NamesAreMadeUniqueAsPyTorchDoes) {
  Graph graph = ParseGraph(kSmall);
  Node* x = graph.FindNode("x");
  for (const char* expected : {"relu", "relu_1", "relu_2"}) {
    Node* node = ValueOrDie(graph.AddNode({.name = "relu",
                                           .kind = NodeKind::kCallFunction,
                                           .op = "relu",
                                           .inputs = {x->outputs()[0]}}));
    EXPECT_EQ(node->name(), expected);
  }
}

TEST(GraphTest, ModulesPrintAsPyTorchPrintsThem) {
  Graph graph = ParseGraph(kSmall);
  EXPECT_EQ(graph.FindNode("seq_blocks_1")->Description(),
            "Linear(in_features=16, out_features=5, bias=True)");
  EXPECT_EQ(graph.FindNode("seq_blocks_0")->Description(), "ReLU()");
  EXPECT_EQ(graph.FindNode("x")->Description(), "x");
}

TEST(GraphTest, AQuantizedModuleCarriesItsFormatInItsClassName) {
  Graph graph = ParseGraph(kSmall);
  Quantization record;
  record.set_format("integer");
  record.set_class_suffix("Integer");
  graph.SetQuantization(graph.FindNode("seq_blocks_1"), record);
  EXPECT_EQ(graph.FindNode("seq_blocks_1")->Description(),
            "LinearInteger(in_features=16, out_features=5, bias=True)");
}

TEST(GraphTest, ReplaceAllUsesMovesEveryReader) {
  Graph graph = ParseGraph(kSmall);
  Node* relu = graph.FindNode("seq_blocks_0");
  graph.ReplaceAllUses(relu->outputs()[0], relu->inputs()[0]);
  ASSERT_OK(graph.EraseNode(relu));
  EXPECT_THAT(Names(graph), ElementsAre("x", "seq_blocks_1", "output"));
  EXPECT_OK(VerifyGraph(graph));
}

TEST(GraphTest, ANodeThatIsReadCannotBeErased) {
  Graph graph = ParseGraph(kSmall);
  EXPECT_THAT(graph.EraseNode(graph.FindNode("seq_blocks_0")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("seq_blocks_1 reads it")));
  EXPECT_THAT(graph, EqualsGraph(kSmall));
}

TEST(GraphTest, EveryEditBumpsTheVersionAndNotesDoNot) {
  Graph graph = ParseGraph(kSmall);
  Node* linear = graph.FindNode("seq_blocks_1");
  int64_t version = graph.version();
  const auto bumped = [&] {
    return graph.version() > version ? (version = graph.version(), true) : false;
  };
  linear->mutable_metadata().mutable_common()->set_mase_op("linear");
  EXPECT_FALSE(bumped());
  graph.SetQuantization(linear, Quantization());
  EXPECT_TRUE(bumped());
  graph.ClearQuantization(linear);
  EXPECT_TRUE(bumped());
  graph.SetTensor("seq_blocks.1.bias", Tensor::Zeros(DType::kFloat32, {5}), false);
  EXPECT_TRUE(bumped());
  EXPECT_OK(graph.SetAttribute(graph.FindNode("seq_blocks_0"), "inplace", true));
  EXPECT_TRUE(bumped());
  graph.ReplaceInput(linear, 0, graph.FindNode("x")->outputs()[0]);
  EXPECT_TRUE(bumped());
}

TEST(GraphTest, ACloneSharesNothingThatIsEdited) {
  Graph graph = ParseGraph(kSmall);
  Graph clone = graph.Clone();
  clone.MutableTensor("seq_blocks.1.bias")->mutable_data<float>()[0] = 7;
  ASSERT_OK(clone.SetAttribute(clone.FindNode("seq_blocks_0"), "inplace", true));
  EXPECT_THAT(graph, EqualsGraph(kSmall));
  EXPECT_EQ(graph.FindTensor("seq_blocks.1.bias")->value.data<float>()[0], 0);
  EXPECT_OK(VerifyGraph(clone));
}

TEST(GraphTest, AddNodeRefusesWhatTheOpTableDoesNotKnow) {
  Graph graph = ParseGraph(kSmall);
  Value* x = graph.FindNode("x")->outputs()[0];
  const NodeSpec good{.name = "n", .kind = NodeKind::kCallFunction, .op = "relu", .inputs = {x}};
  const int64_t version = graph.version();

  NodeSpec spec = good;
  spec.op = "rellu";
  EXPECT_THAT(graph.AddNode(spec),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("n: unknown op 'rellu'; did you mean 'relu'?")));
  spec = good;
  spec.inputs = {x, x};
  EXPECT_THAT(graph.AddNode(spec), StatusIs(kInvalid, HasSubstr("relu has 2 inputs, want 1")));
  spec = good;
  spec.attributes.Set("in_place", true);
  EXPECT_THAT(graph.AddNode(spec),
              StatusIs(kInvalid, HasSubstr("no attribute 'in_place'; did you mean 'inplace'?")));
  spec = good;
  spec.attributes.Set("inplace", 1.0);
  EXPECT_THAT(graph.AddNode(spec),
              StatusIs(kInvalid, HasSubstr("attribute 'inplace' is float, want bool")));
  spec = good;
  spec.name = "seq.blocks";
  EXPECT_THAT(graph.AddNode(spec), StatusIs(kInvalid, HasSubstr("not an identifier")));
  spec = good;
  spec.name = std::string(limits::kMaxNameBytes + 1, 'a');
  EXPECT_THAT(graph.AddNode(spec), StatusIs(kInvalid, HasSubstr("not an identifier")));
  spec.name.pop_back();
  EXPECT_OK(graph.Clone().AddNode(NodeSpec{.name = spec.name,
                                           .kind = NodeKind::kPlaceholder,
                                           .op = "placeholder",
                                           .attributes = {{"shape", std::vector<int64_t>{1}}}}));
  spec = {.name = "out", .kind = NodeKind::kOutput, .op = "output", .inputs = {x}};
  EXPECT_THAT(graph.AddNode(spec), StatusIs(kInvalid, HasSubstr("has an output already")));
  EXPECT_EQ(graph.version(), version);
}

TEST(VerifierTest, NamesTheNodeWhoseInputComesTooLate) {
  Graph graph = ParseGraph(kSmall);
  graph.ReplaceInput(graph.FindNode("seq_blocks_0"), 0,
                     graph.FindNode("seq_blocks_1")->outputs()[0]);
  EXPECT_THAT(VerifyGraph(graph),
              StatusIs(kInvalid, HasSubstr("seq_blocks_0: reads 'seq_blocks_1', which is produced "
                                           "later: a cycle")));
}

TEST(VerifierTest, NamesTheNodeWhoseShapesDoNotFit) {
  Graph graph = ParseGraph(kSmall);
  ASSERT_OK(graph.SetAttribute(graph.FindNode("x"), "shape", std::vector<int64_t>{8, 15}));
  EXPECT_THAT(VerifyGraph(graph),
              StatusIs(kInvalid, HasSubstr("seq_blocks_1 (linear): input [8, 15]: last extent must "
                                           "be in_features=16")));
}

TEST(VerifierTest, NamesTheTensorOfTheWrongShape) {
  Graph graph = ParseGraph(kSmall);
  graph.SetTensor("seq_blocks.1.weight", Tensor::Zeros(DType::kFloat32, {5, 15}), false);
  EXPECT_THAT(VerifyGraph(graph),
              StatusIs(kInvalid, HasSubstr("tensor 'seq_blocks.1.weight' is float32[5, 15], want "
                                           "float32[5, 16]")));
}

TEST(VerifierTest, RefusesAQuantizationOfAnOperandThatIsNotThere) {
  Graph graph = ParseGraph(kSmall);
  Quantization record;
  record.add_operand()->set_operand("weight");
  graph.SetQuantization(graph.FindNode("seq_blocks_0"), record);
  EXPECT_THAT(VerifyGraph(graph), StatusIs(kInvalid, HasSubstr("operand 'weight'")));
}

TEST(ShapeInferenceTest, TheBatchCanBeReplaced) {
  Graph graph = ParseGraph(kSmall);
  ASSERT_OK(InferShapes(graph));
  EXPECT_EQ(graph.FindNode("seq_blocks_1")->outputs()[0]->shape(), Shape({8, 5}));
  ASSERT_OK(InferShapes(graph, 0));
  EXPECT_EQ(graph.FindNode("seq_blocks_1")->outputs()[0]->shape(), Shape({0, 5}));
}

// Iterative throughout: a chain as long as the limit needs no deep stack.
TEST(GraphTest, AChainOfAsManyNodesAsAllowedBuildsVerifiesAndCopies) {
  Graph graph("chain");
  Node* node = ValueOrDie(graph.AddNode({.name = "x",
                                         .kind = NodeKind::kPlaceholder,
                                         .op = "placeholder",
                                         .attributes = {{"shape", std::vector<int64_t>{1, 4}}}}));
  const auto relu = [&] {
    return graph.AddNode({.name = "relu",
                          .kind = NodeKind::kCallFunction,
                          .op = "relu",
                          .inputs = {node->outputs()[0]}});
  };
  while (graph.node_count() < limits::kMaxGraphNodes - 1) node = ValueOrDie(relu());
  ASSERT_OK(AddOutput(graph, {node->outputs()[0]}));
  EXPECT_THAT(relu(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("nodes")));
  EXPECT_OK(VerifyGraph(graph));
  EXPECT_EQ(graph.Clone().node_count(), limits::kMaxGraphNodes);
}

TEST(GraphTest, AGraphEndsInOneOutputThatGivesItsResultsInOrder) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 3]
a = relu(x)
b = sigmoid(x)
output = output(a)
)");
  ASSERT_OK(graph.EraseNode(graph.output()));
  Value* a = graph.FindNode("a")->outputs()[0];
  Value* b = graph.FindNode("b")->outputs()[0];
  const Node* output = ValueOrDie(AddOutput(graph, {b, a, b}));
  EXPECT_EQ(graph.output(), output);
  EXPECT_EQ(output->name(), "output");
  EXPECT_THAT(output->inputs(), ElementsAre(b, a, b));
  EXPECT_OK(VerifyGraph(graph));
  EXPECT_THAT(AddOutput(graph, {a}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(GraphTest, TensorsAreGivenToNodesAndTakenOutOfTheGraph) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 3]
fc = linear(x, in_features=3, out_features=4, bias=False)
output = output(fc)
)");
  Node* fc = graph.FindNode("fc");
  EXPECT_THAT(graph.SetParameter(fc, "bias", "fc.bias"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("fc: the graph has no tensor")));
  graph.SetTensor("fc.bias", Tensor(DType::kFloat32, {4}), /*buffer=*/false);
  const int64_t version = graph.version();
  ASSERT_OK(graph.SetParameter(fc, "bias", "fc.bias"));
  ASSERT_OK(graph.SetAttribute(fc, "bias", true));
  EXPECT_GT(graph.version(), version);
  EXPECT_OK(VerifyGraph(graph));
  EXPECT_EQ(*fc->FindParameter("bias"), "fc.bias");

  EXPECT_THAT(graph.RemoveTensor("fc.bias"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("fc reads it")));
  EXPECT_THAT(graph.RemoveTensor("nothing"), StatusIs(absl::StatusCode::kNotFound));
  graph.SetTensor("spare", Tensor(DType::kFloat32, {7}), /*buffer=*/false);
  graph.SetTensor("last", Tensor(DType::kFloat32, {5}), /*buffer=*/false);
  ASSERT_OK(graph.RemoveTensor("spare"));
  EXPECT_EQ(graph.FindTensor("spare"), nullptr);
  EXPECT_EQ(graph.FindTensor("last")->value.elements(), 5);
  EXPECT_EQ(graph.parameter_count(), 12 + 4 + 5);
}

TEST(GraphTest, ManyTensorsGoInOneCallOrNoneDoes) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 3]
fc = linear(x, in_features=3, out_features=4, bias=False)
output = output(fc)
)");
  for (int i = 0; i < 6; ++i) {
    graph.SetTensor(absl::StrCat("t", i), Tensor(DType::kFloat32, {i}), /*buffer=*/i % 2 == 1);
  }
  const auto names = [&] {
    std::string all;
    for (const GraphTensor& tensor : graph.tensors()) absl::StrAppend(&all, tensor.name, " ");
    return all;
  };
  const int64_t version = graph.version();
  EXPECT_THAT(graph.RemoveTensors({"t1", "fc.weight"}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("tensor 'fc.weight' cannot be removed: fc reads it")));
  EXPECT_THAT(graph.RemoveTensors({"t1", "t9"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("the graph has no tensor 't9'")));
  ASSERT_OK(graph.RemoveTensors({}));
  EXPECT_EQ(graph.version(), version);
  EXPECT_EQ(names(), "fc.weight t0 t1 t2 t3 t4 t5 ");

  ASSERT_OK(graph.RemoveTensors({"t4", "t1", "t0", "t4"}));
  EXPECT_GT(graph.version(), version);
  EXPECT_EQ(names(), "fc.weight t2 t3 t5 ");
  for (const int i : {2, 3, 5}) {
    const GraphTensor* tensor = graph.FindTensor(absl::StrCat("t", i));
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->value.elements(), i);
    EXPECT_EQ(tensor->buffer, i % 2 == 1);
  }
  EXPECT_EQ(graph.FindTensor("t4"), nullptr);
  EXPECT_OK(VerifyGraph(graph));
}

}  // namespace
}  // namespace mase
