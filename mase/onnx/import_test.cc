// Nets of ONNX files: those of PyTorch's two exporters and of scikit-learn against ONNX Runtime's
// results, small ones made here, and files that are broken or mean harm.
#include "mase/onnx/import.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/runfiles.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/npy.h"
#include "mase/onnx/reference.h"
#include "mase/testing/file_limit.h"
#include "mase/testing/matchers.h"
#include "onnx/onnx_pb.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using ::onnx::TensorProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string NewPath(const std::string& name = "net.onnx") {
  const std::string folder = absl::StrCat(
      ::testing::TempDir(), "/", ::testing::UnitTest::GetInstance()->current_test_info()->name());
  fs::create_directories(folder);
  return absl::StrCat(folder, "/", name);
}

// A model of testdata as a file of its own: Bazel's are links, beside which no weights are read.
std::string Copied(const std::string& name) {
  const fs::path from = Runfile("testdata/onnx");
  for (const char* end : {".onnx", ".onnx.data"}) {
    if (!fs::exists(from / (name + end))) continue;
    fs::copy_file(from / (name + end), NewPath(name + end), fs::copy_options::overwrite_existing);
  }
  return NewPath(name + ".onnx");
}

// A small file, made piece by piece.
class Model {
 public:
  explicit Model(int64_t opset = 17) {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(opset);
    graph().set_name("net");
  }

  ::onnx::ModelProto& proto() { return model_; }
  ::onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  // Extents below 0 are symbolic.
  static void Describe(const std::string& name, const std::vector<int64_t>& shape, int type,
                       ::onnx::ValueInfoProto* info) {
    info->set_name(name);
    auto* tensor = info->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    for (const int64_t extent : shape) {
      auto* dim = tensor->mutable_shape()->add_dim();
      if (extent < 0) dim->set_dim_param("n");
      if (extent >= 0) dim->set_dim_value(extent);
    }
  }
  Model& Input(const std::string& name, const std::vector<int64_t>& shape,
               int type = TensorProto::FLOAT) {
    Describe(name, shape, type, graph().add_input());
    return *this;
  }
  Model& Output(const std::string& name, int type = TensorProto::FLOAT) {
    auto* output = graph().add_output();
    output->set_name(name);
    output->mutable_type()->mutable_tensor_type()->set_elem_type(type);
    return *this;
  }
  ::onnx::NodeProto& Node(const std::string& op, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs) {
    ::onnx::NodeProto& node = *graph().add_node();
    node.set_op_type(op);
    node.set_name(absl::StrCat("the_", op));
    for (const std::string& input : inputs) node.add_input(input);
    for (const std::string& output : outputs) node.add_output(output);
    return node;
  }
  TensorProto& Floats(const std::string& name, const std::vector<int64_t>& shape,
                      const std::vector<float>& values) {
    TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(TensorProto::FLOAT);
    for (const int64_t extent : shape) tensor.add_dims(extent);
    for (const float value : values) tensor.add_float_data(value);
    return tensor;
  }
  TensorProto& Ints(const std::string& name, const std::vector<int64_t>& values) {
    TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(TensorProto::INT64);
    tensor.add_dims(static_cast<int64_t>(values.size()));
    for (const int64_t value : values) tensor.add_int64_data(value);
    return tensor;
  }
  TensorProto& Bytes(const std::string& name, const std::vector<int64_t>& shape, int type,
                     const std::vector<int>& values) {
    TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const int64_t extent : shape) tensor.add_dims(extent);
    for (const int value : values) tensor.add_int32_data(value);
    return tensor;
  }

  std::string Write() const {
    const std::string path = NewPath();
    EXPECT_OK(WriteFileAtomically(path, model_.SerializeAsString()));
    return path;
  }
  absl::StatusOr<ImportedNet> Import(const ImportOptions& options = {}) const {
    return ImportOnnx(Write(), options);
  }

 private:
  ::onnx::ModelProto model_;
};

void SetInts(::onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(::onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute->add_ints(value);
}
void SetInt(::onnx::NodeProto& node, const std::string& name, int64_t value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(::onnx::AttributeProto::INT);
  attribute->set_i(value);
}

std::vector<float> RunOn(const Graph& graph, int64_t rows, const InputData& input) {
  const auto executor = ValueOrDie(Executor::Create(graph));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {input}));
  return {executor->output().begin(), executor->output().end()};
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

// ---- Files that are broken, or mean harm

absl::Status Import(const Model& model) { return model.Import().status(); }

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

TEST(BadOnnxTest, WhatIsCutOffOrNoModelIsRefused) {
  const std::string whole =
      ValueOrDie(ReadFile(Runfile("testdata/onnx/jsc_tiny.ts.onnx"), int64_t{1} << 20));
  for (const size_t size : {whole.size() - 1, whole.size() / 2, size_t{100}, size_t{10}}) {
    const std::string path = NewPath();
    ASSERT_OK(WriteFileAtomically(path, whole.substr(0, size)));
    EXPECT_FALSE(ImportOnnx(path).ok()) << size;
  }
  const std::string path = NewPath();
  ASSERT_OK(WriteFileAtomically(path, "this is a text and no net"));
  EXPECT_THAT(ImportOnnx(path), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no ONNX model")));
  EXPECT_THAT(ImportOnnx(NewPath("absent.onnx")), StatusIs(absl::StatusCode::kNotFound));
}

TEST(BadOnnxTest, EveryDamagedByteIsAnErrorOrANet) {
  std::string bytes =
      ValueOrDie(ReadFile(Runfile("testdata/onnx/jsc_tiny.ts.onnx"), int64_t{1} << 20));
  const std::string path = NewPath();
  for (size_t i = 0; i < bytes.size(); i += 7) {
    const char old = bytes[i];
    bytes[i] = static_cast<char>(old ^ (1 << i % 8));
    ASSERT_OK(WriteFileAtomically(path, bytes));
    (void)ImportOnnx(path).ok();
    bytes[i] = old;
  }
}

TEST(BadOnnxTest, ACycleIsRefused) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Node("Add", {"x", "b"}, {"a"});
  model.Node("Relu", {"a"}, {"b"});
  model.Node("Relu", {"b"}, {"y"});
  EXPECT_THAT(Import(model),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("node 'the_Add' (Add): reads 'b', which neither an input")));
}

TEST(BadOnnxTest, UnknownOpsAreNamedWithTheirNodes) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Node("Einsum", {"x"}, {"a"});
  model.Node("GridSample", {"a"}, {"y"});
  EXPECT_THAT(Import(model),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("ops that cannot be read: node 'the_Einsum' (Einsum), node "
                                 "'the_GridSample' (GridSample)")));
}

TEST(BadOnnxTest, OpsThatTheResultDoesNotNeedAreNoMatter) {
  Model model;
  model.Input("x", {-1, 2}).Output("y").Output("z", TensorProto::INT64);
  model.Node("Relu", {"x"}, {"y"});
  model.Node("NonZero", {"x"}, {"z"});
  EXPECT_OK(model.Import());
}

TEST(BadOnnxTest, ShapesThatAreNoneAreRefused) {
  Model negative;
  negative.Input("x", {-1, 2}).Output("y");
  negative.Floats("w", {-2, 2}, {1, 2});
  negative.Node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(negative),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tensor 'w'")));
  Model large;
  large.Input("x", {-1, 2}).Output("y");
  large.Floats("w", {int64_t{1} << 40, int64_t{1} << 40}, {1, 2});
  large.Node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(large),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("tensor 'w'")));
  Model deep;
  deep.Input("x", std::vector<int64_t>(40, 1)).Output("y");
  deep.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(deep), StatusIs(absl::StatusCode::kResourceExhausted));
  Model open;
  open.Input("x", {-1, -1}).Output("y");
  open.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(open), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("axis 1 ('n')")));
}

TEST(BadOnnxTest, TensorsOfAnotherSizeThanTheySayAreRefused) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Floats("w", {3, 2}, {1, 2});
  model.Node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(model), StatusIs(absl::StatusCode::kDataLoss,
                                      HasSubstr("tensor 'w': float32[3, 2] has 6 elements, the "
                                                "file 2 numbers")));
}

TEST(BadOnnxTest, NodesAreLimited) {
  const auto chain = [](int64_t nodes) {
    Model model;
    model.Input("x0", {-1, 2}).Output("y");
    for (int64_t i = 0; i < nodes; ++i) {
      ::onnx::NodeProto& node = *model.graph().add_node();
      node.set_op_type("Relu");
      node.add_input(absl::StrCat("x", i));
      node.add_output(i + 1 == nodes ? "y" : absl::StrCat("x", i + 1));
    }
    return model;
  };
  Model most = chain(limits::kMaxOnnxNodes);
  EXPECT_TRUE(most.Import().ok());
  Model more = chain(limits::kMaxOnnxNodes + 1);
  EXPECT_THAT(Import(more), StatusIs(absl::StatusCode::kResourceExhausted,
                                     HasSubstr("has 262145 nodes; the limit is 262144")));
}

TEST(BadOnnxTest, FilesAreLimited) {
  ExpectFileLimit(NewPath(), limits::kMaxOnnxBytes,
                  [](const std::string& path) { return ImportOnnx(path).status(); });
}

TEST(BadOnnxTest, ConstantsThatGrowWithoutEndAreRefused) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Ints("size", {int64_t{1} << 31, int64_t{1} << 31});
  model.Node("ConstantOfShape", {"size"}, {"large"});
  model.Node("Add", {"x", "large"}, {"y"});
  EXPECT_THAT(Import(model), StatusIs(absl::StatusCode::kResourceExhausted));
  const auto constant_of = [](int64_t size) {
    Model model;
    model.Input("x", {-1, 1}).Output("y");
    model.Ints("size", {size});
    model.Node("ConstantOfShape", {"size"}, {"a"});
    model.Node("ReduceMax", {"a"}, {"b"});
    model.Node("Add", {"x", "b"}, {"y"});
    return model.Import().status();
  };
  EXPECT_OK(constant_of(int64_t{1} << 24));
  EXPECT_THAT(constant_of((int64_t{1} << 24) + 1),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("[16777217] is computed; the limit is 16777216")));
  Model tiles;
  tiles.Input("x", {-1, 2}).Output("y");
  tiles.Floats("t0", {1, 2}, {1, 2});
  tiles.Ints("many", {1000, 1000});
  tiles.Node("Tile", {"t0", "many"}, {"t1"});
  tiles.Node("Tile", {"t1", "many"}, {"t2"});
  tiles.Node("Add", {"x", "t2"}, {"y"});
  EXPECT_FALSE(tiles.Import().ok());
}

// Known whole numbers take 16 bytes each, whatever the file needs for them.
TEST(BadOnnxTest, WholeNumbersThatDoNotFitIntoMemoryAreRefused) {
  constexpr int64_t kCount = 1 << 22;
  Model computed;
  computed.Input("x", {-1, 1}).Output("y");
  computed.Ints("first", {0});
  computed.Ints("last", {kCount});
  computed.Ints("step", {1});
  computed.Node("Range", {"first", "last", "step"}, {"r"});
  SetInt(computed.Node("Cast", {"r"}, {"f"}), "to", TensorProto::FLOAT);
  computed.Node("ReduceMax", {"f"}, {"m"});
  computed.Node("Add", {"x", "m"}, {"y"});
  EXPECT_OK(Import(computed));
  SetMemoryLimit(1 << 20);
  EXPECT_THAT(Import(computed),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("a constant of 4194304 whole numbers wants 67.1 MB")));
  SetMemoryLimit(MemoryOfMachine());
}

// Graphs in graphs, deeper than any stack.
TEST(BadOnnxTest, NestedGraphsAreNotFollowed) {
  for (const int depth : {1, 4, 2000}) {
    std::string body;  // Of a GraphProto, made from the inside: node { attribute { g { ... } } }.
    const auto wrap = [](int field, const std::string& inner) {
      std::string bytes(1, static_cast<char>(field << 3 | 2));
      for (size_t size = inner.size();; size >>= 7) {
        bytes.push_back(static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0)));
        if (size <= 0x7f) break;
      }
      return bytes + inner;
    };
    for (int i = 0; i < depth; ++i) {
      body = wrap(1, wrap(2, "y") + wrap(4, "If") +
                         wrap(5, wrap(1, "then_branch") + wrap(6, body) + "\xa0\x01\x05"));
    }
    Model model;
    model.Input("x", {-1, 2}).Output("y");
    const std::string path = NewPath();
    ASSERT_OK(WriteFileAtomically(path, model.proto().SerializeAsString() +
                                            wrap(7, body)));  // Fields of one message are merged.
    const absl::Status status = ImportOnnx(path).status();
    if (depth < 100) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("(If)"))) << depth;
    } else {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss)) << depth;
    }
  }
}

TEST(BadOnnxTest, TheLeastNumberIsNotDividedByMinusOne) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Ints("least", {INT64_MIN});
  model.Ints("minus", {-1});
  model.Node("Shape", {"x"}, {"shape"});
  model.Node("Add", {"shape", "least"}, {"sum"});
  model.Node("Div", {"sum", "minus"}, {"quotient"});
  model.Node("Reshape", {"x", "quotient"}, {"y"});
  EXPECT_THAT(Import(model),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("node 'the_Div' (Div)")));
}

TEST(BadOnnxTest, PaddingWithoutEndIsRefused) {
  Model pool;
  pool.Input("x", {-1, 1, 2, 2}).Output("y");
  ::onnx::NodeProto& node = pool.Node("AveragePool", {"x"}, {"y"});
  SetInts(node, "kernel_shape", {1, 1});
  SetInts(node, "pads", {9000, 9000, 9000, 9000});
  SetInt(node, "count_include_pad", 1);
  EXPECT_THAT(Import(pool), StatusIs(absl::StatusCode::kResourceExhausted));
  for (const char* attribute : {"pads", "output_padding", "output_shape"}) {
    for (const int64_t size : {INT64_MIN, INT64_MAX}) {
      Model transposed;
      transposed.Input("x", {-1, 1, 2, 2}).Output("y");
      transposed.Floats("w", {1, 1, 1, 1}, {1});
      const size_t entries = attribute == std::string("pads") ? 4 : 2;
      SetInts(transposed.Node("ConvTranspose", {"x", "w"}, {"y"}), attribute,
              std::vector<int64_t>(entries, size));
      EXPECT_THAT(Import(transposed), StatusIs(absl::StatusCode::kInvalidArgument)) << attribute;
    }
  }
}

// Below, at and above what base/limits.h says.
TEST(BadOnnxTest, NamesAreLimited) {
  for (const int64_t more : {-1, 0, 1}) {
    const std::string name(limits::kMaxNameBytes + more, 'n');
    Model value;
    value.Input("x", {-1, 2}).Output("y");
    value.Node("Relu", {"x"}, {name});
    value.Node("Tanh", {name}, {"y"});
    Model stored;
    stored.Input("x", {-1, 2}).Output("y");
    stored.Floats(name, {2}, {1, 2});
    stored.Node("Add", {"x", name}, {"y"});
    if (more <= 0) {
      EXPECT_OK(Import(value));
      EXPECT_OK(Import(stored));
    } else {
      EXPECT_THAT(Import(value), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("node 'the_Relu' (Relu): name too long")));
      EXPECT_THAT(Import(stored),
                  StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("name is too long")));
    }
  }
}

TEST(BadOnnxTest, AxesAreLimited) {
  for (const int more : {-1, 0, 1}) {
    Model model;
    std::vector<int64_t> shape(limits::kMaxTensorRank + more, 1);
    model.Floats("w", shape, {1});
    shape[0] = -1;
    model.Input("x", shape).Output("y");
    model.Node("Add", {"x", "w"}, {"y"});
    if (more <= 0) {
      EXPECT_OK(Import(model)) << more;
    } else {
      EXPECT_THAT(Import(model), StatusIs(absl::StatusCode::kResourceExhausted));
    }
  }
}

TEST(BadOnnxTest, MissingAndMistypedThingsAreNamed) {
  Model missing;
  missing.Input("x", {-1, 2}).Output("y");
  missing.Node("Gemm", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(missing), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("node 'the_Gemm' (Gemm): reads 'w'")));
  Model mistyped;
  mistyped.Input("x", {-1, 2}).Output("y");
  SetInts(mistyped.Node("Softmax", {"x"}, {"y"}), "axis", {1});
  EXPECT_THAT(Import(mistyped), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("attribute 'axis' is no whole number")));
  Model texts;
  texts.Input("x", {-1, 2}, TensorProto::STRING).Output("y");
  texts.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(texts),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("input 'x' is of string")));
  Model old(6);
  old.Input("x", {-1, 2}).Output("y");
  old.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(old), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("opset 6")));
  Model twice;
  twice.Input("x", {-1, 2}).Output("y");
  twice.Node("Relu", {"x"}, {"y"});
  twice.Node("Tanh", {"x"}, {"y"});
  EXPECT_THAT(Import(twice),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'y' is made twice")));
}

// A file whose weights are in another one.
absl::Status ImportExternal(const std::string& location, int64_t offset = 0, int64_t length = 8) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  TensorProto& tensor = model.Floats("w", {2}, {});
  tensor.set_data_location(TensorProto::EXTERNAL);
  const auto say = [&](const char* key, const std::string& value) {
    auto* entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  say("location", location);
  say("offset", absl::StrCat(offset));
  say("length", absl::StrCat(length));
  model.Node("Add", {"x", "w"}, {"y"});
  return model.Import().status();
}

TEST(BadOnnxTest, DataOutsideOfTheFolderAreNotRead) {
  const std::string outside = NewPath("../secret.bin");
  ASSERT_OK(WriteFileAtomically(outside, "12345678"));
  ASSERT_OK(WriteFileAtomically(NewPath("inside.bin"), "12345678"));
  EXPECT_OK(ImportExternal("inside.bin"));
  for (const std::string& location :
       {std::string("../secret.bin"), outside, std::string("a/../../secret.bin"),
        std::string("/etc/passwd"), std::string("/proc/self/environ")}) {
    EXPECT_FALSE(ImportExternal(location).ok()) << location;
  }
  EXPECT_THAT(ImportExternal("../secret.bin"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("beneath that folder")));
  fs::create_symlink(outside, NewPath("symbolic.bin"));
  EXPECT_THAT(ImportExternal("symbolic.bin"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a link")));
  fs::create_hard_link(outside, NewPath("hard.bin"));
  EXPECT_THAT(ImportExternal("hard.bin"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("hard link")));
  fs::create_directory(NewPath("folder.bin"));
  EXPECT_FALSE(ImportExternal("folder.bin").ok());
}

TEST(BadOnnxTest, DataBesideTheFileMustBeThere) {
  ASSERT_OK(WriteFileAtomically(NewPath("inside.bin"), "12345678"));
  EXPECT_THAT(ImportExternal("inside.bin", 1), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ImportExternal("inside.bin", -1), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ImportExternal("inside.bin", INT64_MAX), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ImportExternal("inside.bin", 0, 4), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ImportExternal("absent.bin"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE(ImportExternal("").ok());
}

}  // namespace
}  // namespace mase
