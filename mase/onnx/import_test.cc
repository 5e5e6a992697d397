// Nets of ONNX files: those of PyTorch's two exporters and of scikit-learn against ONNX Runtime's
// results, and small ones made here.
#include "mase/onnx/import.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/npy.h"
#include "mase/onnx/model_maker.h"
#include "mase/onnx/reference.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A model of testdata as a file of its own: Bazel's are links, beside which no weights are read.
std::string Copied(const std::string& name) {
  const fs::path from = Runfile("testdata/onnx");
  for (const char* end : {".onnx", ".onnx.data"}) {
    if (!fs::exists(from / (name + end))) continue;
    fs::copy_file(from / (name + end), NewPath(name + end), fs::copy_options::overwrite_existing);
  }
  return NewPath(name + ".onnx");
}

// ---- What other tools wrote

class ToolsTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ToolsTest, GivesOnnxRuntimesResults) {
  const std::string stem = Runfile("testdata/onnx") + "/" + GetParam();
  const ImportedNet net = ValueOrDie(ImportOnnx(Copied(GetParam())));
  const Tensor in = ValueOrDie(ReadNpy(stem + ".in.npy"));
  const Tensor want = ValueOrDie(ReadNpy(stem + ".out.npy"));
  const std::vector<float> results =
      RunOn(net.graph, in.shape()[0], InputData(in.raw_data(), in.dtype()));
  ASSERT_EQ(static_cast<int64_t>(results.size()), want.elements());
  double largest = 0;
  for (const float number : want.data<float>())
    largest = std::max<double>(largest, std::fabs(number));
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_NEAR(results[i], want.data<float>()[i], 1e-5 * largest) << i;
  }
  // Rows do not know of each other: one alone gives the same.
  const std::vector<float> one = RunOn(net.graph, 1, InputData(in.raw_data(), in.dtype()));
  for (size_t i = 0; i < one.size(); ++i) ASSERT_NEAR(one[i], results[i], 1e-5 * largest) << i;
}

INSTANTIATE_TEST_SUITE_P(Files, ToolsTest,
                         ::testing::Values("jsc_tiny.ts", "jsc_tiny.dynamo", "cnn.ts", "cnn.dynamo",
                                           "encoder.dynamo", "decoder.ts", "decoder.dynamo",
                                           "sklearn_mlp"));

TEST(ImportTest, LayersAreCalledAsTheirWeights) {
  const ImportedNet net = ValueOrDie(ImportOnnx(Runfile("testdata/onnx/cnn.ts.onnx")));
  EXPECT_NE(net.graph.FindNode("fc"), nullptr) << WriteGraphText(net.graph);
  EXPECT_NE(net.graph.FindTensor("fc.weight"), nullptr);
  EXPECT_NE(net.graph.FindTensor("conv2.weight"), nullptr);
}

TEST(ImportTest, ScikitLearnsProbabilitiesAreTheFirstOfTwoResults) {
  const ImportedNet net = ValueOrDie(ImportOnnx(Runfile("testdata/onnx/sklearn_mlp.onnx")));
  EXPECT_THAT(net.outputs, ElementsAre("label", "probabilities"));
  EXPECT_EQ(net.output, "probabilities");
  EXPECT_THAT(ImportOnnx(Runfile("testdata/onnx/sklearn_mlp.onnx"), {.output = "labels"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("did you mean 'label'")));
}

TEST(ImportTest, DocsReferenceOnnxMdIsTheTable) {
  EXPECT_EQ(ValueOrDie(ReadFile(Runfile("docs/reference/onnx.md"), 1 << 20)), OnnxReference())
      << "write `run_onnx --ops` to docs/reference/onnx.md";
}

// ---- What is made of a file

TEST(ImportTest, AProductWithStoredNumbersAndASumAreALayer) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  model.Floats("b", {3}, {10, 20, 30});
  model.Node("MatMul", {"x", "w"}, {"p"});
  model.Node("Add", {"b", "p"}, {"y"});
  const ImportedNet net = ValueOrDie(model.Import());
  EXPECT_EQ(net.graph.node_count(), 3);
  const float x[] = {1, 1, 0, 2};
  EXPECT_THAT(RunOn(net.graph, 2, x), ElementsAre(15, 27, 39, 18, 30, 42));
}

TEST(ImportTest, ShapesThatAreComputedFollowTheRows) {
  Model model;
  model.Input("x", {-1, 2, 3}).Output("y");
  model.Ints("zero", {0});
  model.Ints("one", {1});
  model.Ints("two", {2});
  model.Ints("minus", {-1});
  // y = x.view(x.shape[0], x.shape[1] * 1, -1) of two more axes taken together
  model.Node("Shape", {"x"}, {"shape"});
  SetInt(model.Node("Gather", {"shape", "zero"}, {"rows"}), "axis", 0);
  SetInt(model.Node("Gather", {"shape", "one"}, {"middle"}), "axis", 0);
  model.Node("Mul", {"middle", "one"}, {"product"});
  SetInt(model.Node("Concat", {"rows", "product", "minus"}, {"wanted"}), "axis", 0);
  model.Node("Reshape", {"x", "wanted"}, {"y"});
  const ImportedNet net = ValueOrDie(model.Import());
  const std::vector<float> x(24, 1);
  const auto executor = ValueOrDie(Executor::Create(net.graph));
  ASSERT_OK(executor->Forward(ExecutionMode::kInference, 4, {x.data()}));
  EXPECT_EQ(executor->output_shape(), Shape({4, 2, 3}));
}

TEST(ImportTest, AFixedNumberOfRowsIsAnyNumber) {
  Model model;
  model.Input("x", {1, 2, 2}).Output("y");
  model.Ints("shape", {1, -1});
  model.Node("Reshape", {"x", "shape"}, {"y"});
  const ImportedNet net = ValueOrDie(model.Import());
  EXPECT_THAT(net.notes, ElementsAre(HasSubstr("axis 0 is taken as rows")));
  const auto executor = ValueOrDie(Executor::Create(net.graph));
  const std::vector<float> x(12, 1);
  ASSERT_OK(executor->Forward(ExecutionMode::kInference, 3, {x.data()}));
  EXPECT_EQ(executor->output_shape(), Shape({3, 4}));
}

TEST(ImportTest, WhereRowsAreMixedTheirNumberStays) {
  Model model;
  model.Input("x", {2, 2}).Output("y");
  model.Floats("w", {3, 2}, {1, 0, 0, 1, 1, 1});
  model.Node("MatMul", {"w", "x"}, {"y"});
  const ImportedNet net = ValueOrDie(model.Import());
  EXPECT_THAT(net.notes, ElementsAre(HasSubstr("batches of 2 rows alone")));
  const float x[] = {1, 2, 3, 4};
  EXPECT_THAT(RunOn(net.graph, 2, x), ElementsAre(1, 2, 3, 4, 4, 6));
}

TEST(ImportTest, IdsOfAFixedNumberOfRowsThatAreMixedKeepIt) {
  Model model;
  model.Input("ids", {2, 1}, TensorProto::INT64).Output("y");
  model.Floats("table", {3, 1}, {10, 20, 40});
  model.Node("Gather", {"table", "ids"}, {"rows"});
  model.Ints("shape", {2, 1});
  model.Node("Reshape", {"rows", "shape"}, {"matrix"});
  model.Floats("w", {2, 2}, {1, 1, 1, -1});
  model.Node("MatMul", {"w", "matrix"}, {"y"});
  const ImportedNet net = ValueOrDie(model.Import());
  EXPECT_THAT(net.notes, ElementsAre(HasSubstr("batches of 2 rows alone")));
  const int64_t ids[] = {2, 1};
  EXPECT_THAT(RunOn(net.graph, 2, ids), ElementsAre(60, 20));
  // Another number of rows is refused, not computed wrongly.
  EXPECT_FALSE(InferShapesFor(net.graph, 3).ok());
}

// float[2, 2] without what it gives by rows.
absl::StatusOr<ImportedNet> WithNode(const std::string& op, const std::string& attribute,
                                     const std::vector<int64_t>& axes, bool is_list) {
  Model model;
  model.Input("x", {2, 2}).Output("y");
  ::onnx::NodeProto& node = model.Node(op, {"x"}, {"z"});
  if (is_list) SetInts(node, attribute, axes);
  if (!is_list) SetInt(node, attribute, axes[0]);
  model.Node("Sub", {"x", "z"}, {"y"});
  return model.Import();
}

TEST(ImportTest, WhatWorksAlongTheRowsKeepsTheirNumber) {
  for (const bool mean : {true, false}) {
    const ImportedNet net = ValueOrDie(mean ? WithNode("ReduceMean", "axes", {0}, true)
                                            : WithNode("Softmax", "axis", {0}, false));
    EXPECT_THAT(net.notes,
                ElementsAre(::testing::AllOf(HasSubstr("batches of 2 rows alone"),
                                             HasSubstr("node 'the_"), HasSubstr("mixes rows"))));
    const float x[] = {1, 2, 1, 2, 1, 2, 1, 2};
    const float less = mean ? 1 : 0.5;
    EXPECT_THAT(RunOn(net.graph, 2, x),
                ElementsAre(1 - less, mean ? 0 : 1.5, 1 - less, mean ? 0 : 1.5));
    const auto executor = Executor::Create(net.graph);
    EXPECT_FALSE(executor.ok() && (*executor)->Forward(ExecutionMode::kInference, 4, {x}).ok());
  }
  EXPECT_THAT(ValueOrDie(WithNode("ReduceMean", "axes", {1}, true)).notes,
              ElementsAre(HasSubstr("of any number")));
}

TEST(ImportTest, ResultsWithRowsOnAnotherAxisKeepTheirNumber) {
  Model model;
  model.Input("x", {2, 2}).Output("y");
  SetInts(model.Node("Transpose", {"x"}, {"y"}), "perm", {1, 0});
  const ImportedNet net = ValueOrDie(model.Import());
  EXPECT_THAT(net.notes, ElementsAre(HasSubstr("rows on another axis than 0")));
  const float x[] = {1, 2, 3, 4};
  EXPECT_THAT(RunOn(net.graph, 2, x), ElementsAre(1, 3, 2, 4));
}

TEST(ImportTest, AViewThatCutsRowsKeepsTheirNumber) {
  Model model;
  model.Input("x", {2, 2}).Output("y");
  model.Ints("shape", {2, 2});
  SetInts(model.Node("Transpose", {"x"}, {"t"}), "perm", {1, 0});
  model.Node("Reshape", {"t", "shape"}, {"y"});
  const ImportedNet net = ValueOrDie(model.Import());
  EXPECT_THAT(net.notes, ElementsAre(HasSubstr("batches of 2 rows alone")));
  const float x[] = {1, 2, 3, 4};
  EXPECT_THAT(RunOn(net.graph, 2, x), ElementsAre(1, 3, 2, 4));
}

// Channels shuffled between convolutions: the second reads what permute made under another shape,
// in the blocks of channels that its kernel likes. The executor in double knows no blocks.
TEST(ImportTest, ShuffledChannelsAreReadUnderTheirNewShape) {
  constexpr int64_t kChannels = 32, kSide = 6, kRows = 3;
  const auto numbers = [](int64_t count) {
    std::vector<float> values(count);
    for (int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    return values;
  };
  Model model;
  model.Input("x", {-1, kChannels, kSide, kSide}).Output("y");
  const std::vector<float> weights = numbers(kChannels * kChannels * 9);
  model.Floats("w1", {kChannels, kChannels, 3, 3}, weights);
  model.Floats("w2", {kChannels, kChannels, 3, 3}, weights);
  model.Ints("split", {0, 2, kChannels / 2, kSide, kSide});
  model.Ints("joined", {0, kChannels, kSide, kSide});
  SetInts(model.Node("Conv", {"x", "w1"}, {"a"}), "pads", {1, 1, 1, 1});
  model.Node("Reshape", {"a", "split"}, {"b"});
  SetInts(model.Node("Transpose", {"b"}, {"c"}), "perm", {0, 2, 1, 3, 4});
  model.Node("Reshape", {"c", "joined"}, {"d"});
  SetInts(model.Node("Conv", {"d", "w2"}, {"y"}), "pads", {1, 1, 1, 1});
  const ImportedNet net = ValueOrDie(model.Import());
  const std::vector<float> x = numbers(kRows * kChannels * kSide * kSide);
  const std::vector<float> results = RunOn(net.graph, kRows, x.data());
  const auto plain = ValueOrDie(Executor64::Create(net.graph));
  const std::vector<double> input(x.begin(), x.end());
  ASSERT_OK(plain->Forward(ExecutionMode::kInference, kRows, {input.data()}));
  double largest = 0;
  for (const double want : plain->output()) largest = std::max(largest, std::fabs(want));
  ASSERT_EQ(results.size(), plain->output().size());
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_NEAR(results[i], plain->output()[i], 1e-5 * largest) << i;
  }
}

TEST(ImportTest, TheLogarithmOfASumOfPowersDoesNotOverflow) {
  for (const bool keep : {true, false}) {
    Model model;
    model.Input("x", {-1, 2}).Output("y");
    ::onnx::NodeProto& node = model.Node("ReduceLogSumExp", {"x"}, {"y"});
    SetInts(node, "axes", {1});
    SetInt(node, "keepdims", keep);
    const ImportedNet net = ValueOrDie(model.Import());
    const float infinity = std::numeric_limits<float>::infinity();
    const float x[] = {100, 100, 0, -200, -infinity, -infinity};
    EXPECT_THAT(RunOn(net.graph, 3, x),
                ElementsAre(::testing::FloatEq(100 + std::log(2.0f)), 0, -infinity));
  }
}

TEST(ImportTest, WholeNumbersAreCastToWhatTheTypeHolds) {
  Model model;
  model.Input("x", {-1, 4}).Output("y");
  model.Ints("n", {300, -1, 128, 5});
  SetInt(model.Node("Cast", {"n"}, {"byte"}), "to", TensorProto::UINT8);
  SetInt(model.Node("Cast", {"n"}, {"small"}), "to", TensorProto::INT8);
  SetInt(model.Node("Cast", {"byte"}, {"a"}), "to", TensorProto::FLOAT);
  SetInt(model.Node("Cast", {"small"}, {"b"}), "to", TensorProto::FLOAT);
  model.Node("Mul", {"x", "a"}, {"ax"});
  model.Node("Add", {"ax", "b"}, {"y"});
  const ImportedNet net = ValueOrDie(model.Import());
  const float x[] = {1000, 1000, 1000, 1000};
  EXPECT_THAT(RunOn(net.graph, 1, x), ElementsAre(44044, 254999, 127872, 5005));
}

TEST(ImportTest, CastsToFourBitsEndAtTheirEnds) {
  const auto cast = [](int type, bool of_floats) {
    Model model;
    model.Input("x", {-1, 4}).Output("y");
    if (of_floats) {
      model.Floats("n", {4}, {-9.5f, -1.5f, 7.9f, 20});
    } else {
      model.Ints("n", {-9, -1, 7, 20});
    }
    SetInt(model.Node("Cast", {"n"}, {"narrow"}), "to", type);
    SetInt(model.Node("Cast", {"narrow"}, {"a"}), "to", TensorProto::FLOAT);
    model.Node("Add", {"x", "a"}, {"y"});
    const float x[] = {0, 0, 0, 0};
    return RunOn(ValueOrDie(model.Import()).graph, 1, x);
  };
  constexpr int kUInt4 = 21, kInt4 = 22;
  EXPECT_THAT(cast(kInt4, true), ElementsAre(-8, -1, 7, 7));
  EXPECT_THAT(cast(kUInt4, true), ElementsAre(0, 0, 7, 15));
  EXPECT_THAT(cast(kInt4, false), ElementsAre(7, -1, 7, 4));  // The lower bits.
  Model texts;
  texts.Input("x", {-1, 2}).Output("y");
  texts.Floats("n", {2}, {1, 2});
  SetInt(texts.Node("Cast", {"n"}, {"t"}), "to", TensorProto::STRING);
  texts.Node("Add", {"x", "t"}, {"y"});
  EXPECT_THAT(texts.Import(), StatusIs(absl::StatusCode::kUnimplemented,
                                       HasSubstr("node 'the_Cast' (Cast): casts to string")));
}

TEST(ImportTest, ResizeKeepsTheRatioThatIsAskedFor) {
  const auto width = [](const char* policy) {
    Model model;
    model.Input("x", {-1, 1, 2, 4}).Output("y");
    model.Ints("sizes", {4, 6});
    ::onnx::NodeProto& node = model.Node("Resize", {"x", "", "", "sizes"}, {"y"});
    SetInts(node, "axes", {2, 3});
    auto* attribute = node.add_attribute();
    attribute->set_name("keep_aspect_ratio_policy");
    attribute->set_type(::onnx::AttributeProto::STRING);
    attribute->set_s(policy);
    const float x[] = {1, 2, 3, 4, 5, 6, 7, 8};
    return RunOn(ValueOrDie(model.Import()).graph, 1, x).size();
  };
  EXPECT_EQ(width("stretch"), 4 * 6);
  EXPECT_EQ(width("not_larger"), 3 * 6);   // 1.5 times.
  EXPECT_EQ(width("not_smaller"), 4 * 8);  // Twice.
}

TEST(ImportTest, QuantizeAndDequantizeBecomeRecords) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Floats("xs", {}, {0.5});
  model.Bytes("xz", {}, TensorProto::INT8, {0});
  model.Floats("ws", {2}, {0.25, 0.125});
  model.Bytes("wz", {2}, TensorProto::INT8, {0, 0});
  model.Bytes("w", {2, 2}, TensorProto::INT8, {4, 8, 8, -8});
  model.Node("QuantizeLinear", {"x", "xs", "xz"}, {"q"});
  model.Node("DequantizeLinear", {"q", "xs", "xz"}, {"d"});
  SetInt(model.Node("DequantizeLinear", {"w", "ws", "wz"}, {"wd"}), "axis", 0);
  SetInt(model.Node("Gemm", {"d", "wd"}, {"y"}), "transB", 1);
  const ImportedNet net = ValueOrDie(model.Import());
  const Node* layer = net.graph.FindNode("the_Gemm");
  ASSERT_NE(layer, nullptr) << WriteGraphText(net.graph);
  ASSERT_NE(layer->quantization(), nullptr);
  EXPECT_EQ(layer->quantization()->format(), "affine");
  ASSERT_EQ(layer->quantization()->operand_size(), 2);
  const AffineFormat& weight = layer->quantization()->operand(1).format().affine();
  EXPECT_THAT(weight.scale(), ElementsAre(0.25, 0.125));
  EXPECT_THAT(weight.block_size(), ElementsAre(1, -1));
  // 0.7 is rounded to 0.5, 100 to 63.5; the weights are [[1, 2], [1, -1]].
  const float x[] = {0.7f, 100};
  EXPECT_THAT(RunOn(net.graph, 1, x), ElementsAre(0.5 + 127, 0.5 - 63.5));
}

// As of unsigned codes behind a ReLU, whose reader takes signed ones: 200 is cut at 127.5, then at
// 63.5.
TEST(ImportTest, WhatIsRoundedTwiceIsRoundedTwice) {
  Model model;
  model.Input("x", {-1, 4}).Output("y");
  model.Floats("s", {}, {0.5});
  model.Bytes("u", {}, TensorProto::UINT8, {0});
  model.Floats("t", {}, {2});
  model.Bytes("z", {}, TensorProto::INT8, {0});
  model.Node("QuantizeLinear", {"x", "s", "u"}, {"q"});
  model.Node("DequantizeLinear", {"q", "s", "u"}, {"d"});
  model.Node("QuantizeLinear", {"d", "t", "z"}, {"r"});
  model.Node("DequantizeLinear", {"r", "t", "z"}, {"e"});
  model.Node("Relu", {"e"}, {"y"});
  const Graph graph = ValueOrDie(model.Import()).graph;
  // 1.2 becomes 1, which is half of a step and becomes 0; 2.8 becomes 3, and then 4.
  const float x[] = {1.2f, 2.8f, 200, -5};
  EXPECT_THAT(RunOn(graph, 1, x), ElementsAre(0, 4, 128, 0));
}

// PyTorch's Hardshrink, Softshrink and masks are exported so.
TEST(ImportTest, ComparisonsOfWhatRowsComputeAreOnesAndZeros) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float x[] = {-2, 0, 1, nan};
  const auto run = [&](const char* op, bool turned) {
    Model model;
    model.Input("x", {-1, 4}).Output("y");
    model.Floats("b", {4}, {0, 0, 0, 0});
    model.Node(op, {turned ? "b" : "x", turned ? "x" : "b"}, {"t"});
    SetInt(model.Node("Cast", {"t"}, {"y"}), "to", TensorProto::FLOAT);
    return RunOn(ValueOrDie(model.Import()).graph, 1, x);
  };
  EXPECT_THAT(run("Greater", false), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(run("GreaterOrEqual", false), ElementsAre(0, 1, 1, 0));
  EXPECT_THAT(run("Less", false), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(run("LessOrEqual", false), ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(run("Less", true), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(run("Equal", false), ElementsAre(0, 1, 0, 0));
}

TEST(ImportTest, SignsAreThreeNumbers) {
  Model model;
  model.Input("x", {-1, 3}).Output("y");
  model.Node("Sign", {"x"}, {"y"});
  const float x[] = {-0.5f, 0, 7};
  EXPECT_THAT(RunOn(ValueOrDie(model.Import()).graph, 1, x), ElementsAre(-1, 0, 1));
}

TEST(ImportTest, TruthsChooseAndAreJoined) {
  Model model;
  model.Input("x", {-1, 5}).Output("y");
  model.Floats("low", {}, {-1});
  model.Floats("high", {}, {1});
  model.Floats("no", {}, {9});
  model.Node("Greater", {"x", "high"}, {"above"});
  model.Node("Less", {"x", "low"}, {"below"});
  model.Node("Or", {"above", "below"}, {"outside"});
  SetInt(model.Node("Cast", {"x"}, {"some"}), "to", TensorProto::BOOL);
  model.Node("Not", {"outside"}, {"inside"});
  model.Node("And", {"inside", "some"}, {"kept"});
  model.Node("Where", {"kept", "x", "no"}, {"y"});
  const float x[] = {-3, -0.5f, 0, 0.25f, 2};
  EXPECT_THAT(RunOn(ValueOrDie(model.Import()).graph, 1, x), ElementsAre(9, -0.5, 9, 0.25, 9));
}

TEST(ImportTest, ComparisonsOfIdsAreRefused) {
  Model model;
  model.Input("x", {-1, 2}, TensorProto::INT64).Output("y");
  model.Node("Greater", {"x", "x"}, {"t"});
  SetInt(model.Node("Cast", {"t"}, {"y"}), "to", TensorProto::FLOAT);
  EXPECT_THAT(model.Import().status(),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("compares ids")));
}

// x over the scale is rounded, not x: 1 / 0.3 to 3.25, 0.1 / 0.3 to 11/32, and the ends are 448.
TEST(ImportTest, SmallFloatsHaveAnyScale) {
  const auto model_of = [](float scale) {
    Model model(19);
    model.Input("x", {-1, 4}).Output("y");
    model.Floats("s", {}, {scale});
    model.Bytes("z", {}, 17, {0});
    model.Node("Relu", {"x"}, {"r"});
    model.Node("QuantizeLinear", {"r", "s", "z"}, {"q"});
    model.Node("DequantizeLinear", {"q", "s", "z"}, {"y"});
    return model;
  };
  const float x[] = {1, 0.1f, 200, -1000};
  const Graph graph = ValueOrDie(model_of(0.3f).Import()).graph;
  EXPECT_THAT(RunOn(graph, 1, x), ElementsAre(3.25f * 0.3f, 11.0f / 32 * 0.3f, 448 * 0.3f, 0));
  EXPECT_THAT(RunOn(ValueOrDie(model_of(1).Import()).graph, 1, x),
              ElementsAre(1, 13.0f / 128, 192, 0));
}

TEST(ImportTest, WeightsOfSmallFloatsHaveAScaleForEachOutput) {
  Model model(19);
  model.Input("x", {-1, 2}).Output("y");
  model.Floats("s", {2}, {0.5, 3});
  model.Bytes("z", {2}, 17, {0, 0});
  model.Bytes("w", {2, 2}, 17, {0x38, 0x40, 0x38, 0xc0});  // 1 2 1 -2
  SetInt(model.Node("DequantizeLinear", {"w", "s", "z"}, {"wd"}), "axis", 0);
  SetInt(model.Node("Gemm", {"x", "wd"}, {"y"}), "transB", 1);
  const float x[] = {10, 1};
  EXPECT_THAT(RunOn(ValueOrDie(model.Import()).graph, 1, x),
              ElementsAre(0.5 * (10 + 2), 3 * (10 - 2)));
}

// x is rounded in front of a sigmoid, which takes no format: the layer that makes x rounds it,
// unless somebody reads x as it is.
Model RoundedBeforeSigmoid(bool read_raw_too) {
  Model model;
  model.Input("x", {-1, 1}).Output("y");
  model.Floats("w", {1, 1}, {1});
  model.Floats("s", {}, {0.5});
  model.Bytes("z", {}, TensorProto::INT8, {0});
  model.Node("Gemm", {"x", "w"}, {"h"});
  model.Node("QuantizeLinear", {"h", "s", "z"}, {"q"});
  model.Node("DequantizeLinear", {"q", "s", "z"}, {"d"});
  model.Node("Sigmoid", {"d"}, {"a"});
  model.Node("Add", {"a", read_raw_too ? "h" : "a"}, {"y"});
  return model;
}

TEST(ImportTest, WhoTakesNoFormatReadsWhatItsMakerRounds) {
  const ImportedNet net = ValueOrDie(RoundedBeforeSigmoid(false).Import());
  const float x[] = {0.7f};
  EXPECT_THAT(RunOn(net.graph, 1, x), ElementsAre(::testing::FloatEq(2 / (1 + std::exp(-0.5f)))));
  EXPECT_THAT(RoundedBeforeSigmoid(true).Import(),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("and as it is by others")));
}

TEST(ImportTest, OfSeveralResultsTheFirstOfFloatsRunsOrTheOneThatIsNamed) {
  Model model;
  model.Input("x", {-1, 2}).Output("label", TensorProto::INT64).Output("y").Output("z");
  model.Node("ArgMax", {"x"}, {"label"});
  model.Node("Neg", {"x"}, {"y"});
  model.Node("Relu", {"x"}, {"z"});
  const float x[] = {1, -2};
  const ImportedNet first = ValueOrDie(model.Import());
  EXPECT_EQ(first.output, "y");
  EXPECT_THAT(RunOn(first.graph, 1, x), ElementsAre(-1, 2));
  EXPECT_THAT(first.notes, ElementsAre(HasSubstr("label, y (runs), z; --output=NAME")));
  const ImportedNet named = ValueOrDie(model.Import({.output = "z"}));
  EXPECT_THAT(RunOn(named.graph, 1, x), ElementsAre(1, 0));
  EXPECT_THAT(model.Import({.output = "zz"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("it has label, y, z")));
}

}  // namespace
}  // namespace mase
