// Nets written to ONNX and read back; ONNX's own checker has no complaint.
#include "mase/onnx/export.h"

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/format/format_text.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/checkpoint.h"
#include "mase/model/zoo.h"
#include "mase/onnx/code_types.h"
#include "mase/onnx/import.h"
#include "mase/quantize/rule.h"
#include "mase/testing/matchers.h"
#include "onnx/checker.h"
#include "onnx/onnx_pb.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Graph Trained(const std::string& name) {
  const std::string file = Runfile("testdata/checkpoints") + "/" + name + ".safetensors";
  return *ValueOrDie(LoadCheckpoint(file)).graph;
}

// The net with all operands of its linear layers in that format.
Graph Quantized(Graph graph, const std::string& format) {
  const auto made = ValueOrDie(Format::FromText(format));
  const RuleFormat rule = ValueOrDie(UniformRule(made->proto()));
  const InferredShapes shapes = ValueOrDie(InferShapesFor(graph));
  for (Node* node : graph.NodesInOrder()) {
    if (!node->Is(OpTrait::kWeighted)) continue;
    graph.SetQuantization(node, ValueOrDie(QuantizationFor(*node, rule, shapes)));
  }
  return graph;
}

::onnx::ModelProto Model(const ExportedNet& net) {
  ::onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(net.bytes));
  return model;
}

std::string OutPath() {
  return ::testing::TempDir() + "/" +
         ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".onnx";
}

TEST(ExportTest, AFloatNetComesBack) {
  const Graph graph = Trained("jsc-s");
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, {.form = OnnxForm::kFloat}));
  EXPECT_NO_THROW(::onnx::checker::check_model(Model(net)));
  const double difference = ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kFloat, net));
  EXPECT_LT(difference, 1e-6);
  const ImportedNet read = ValueOrDie(ImportOnnx(OutPath()));
  EXPECT_EQ(read.graph.parameter_count(), graph.parameter_count());
}

TEST(ExportTest, AFileThatCannotBeWrittenIsNamedAsItWasAskedFor) {
  const Graph graph = Trained("jsc-s");
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, {OnnxForm::kFloat}));
  EXPECT_THAT(
      WriteOnnx("/no/such/net.onnx", graph, OnnxForm::kFloat, net),
      StatusIs(absl::StatusCode::kNotFound, StartsWith("/no/such/net.onnx: cannot create")));
}

TEST(ExportTest, QdqIsTheSimulatedNetToTheBit) {
  for (const char* format : {"integer 8/4", "integer 6/3", "integer 4/2"}) {
    const Graph graph = Quantized(Trained("jsc-s"), format);
    const ExportedNet net = ValueOrDie(ExportOnnx(graph, {.form = OnnxForm::kQdq}));
    EXPECT_NO_THROW(::onnx::checker::check_model(Model(net))) << format;
    EXPECT_GT(net.rounded, 10);
    EXPECT_LT(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kQdq, net)), 1e-6) << format;
  }
}

TEST(ExportTest, QonnxHasAnyWidth) {
  for (const char* format : {"integer 3/1", "integer 8/4", "integer 12/6"}) {
    const Graph graph = Quantized(Trained("jsc-s"), format);
    const ExportedNet net = ValueOrDie(ExportOnnx(graph, {.form = OnnxForm::kQonnx}));
    EXPECT_LT(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kQonnx, net)), 1e-6) << format;
  }
}

// Types of the ops of a file, by how often they occur.
std::map<std::string, int> OpsOf(const ExportedNet& net) {
  std::map<std::string, int> ops;
  const ::onnx::ModelProto model = Model(net);
  for (const auto& node : model.graph().node()) ++ops[node.op_type()];
  return ops;
}

Graph SmallCnn() {
  return ValueOrDie(BuildModel(
      {.model = "nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), "
                "nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), nn.ReLU(), nn.Flatten(), "
                "nn.Linear(32, 5))",
       .input = {1, 8, 8},
       .classes = 5,
       .seed = 3}));
}

TEST(ExportTest, QOperatorComputesOnCodes) {
  for (const char* format : {"integer 8/5", "integer 5/3"}) {
    const Graph graph = Quantized(SmallCnn(), format);
    const OnnxTarget target = {.form = OnnxForm::kQOperator};
    const ExportedNet net = ValueOrDie(ExportOnnx(graph, target));
    EXPECT_NO_THROW(::onnx::checker::check_model(Model(net))) << format;
    EXPECT_THAT(net.notes, ::testing::IsEmpty());
    const std::map<std::string, int> ops = OpsOf(net);
    EXPECT_EQ(ops.at("QLinearConv"), 2);
    EXPECT_EQ(ops.at("QGemm"), 1);
    EXPECT_EQ(ops.at("QuantizeLinear"), 1);  // The input's; codes go on from there.
    EXPECT_EQ(ops.count("DequantizeLinear"), 0u);
    EXPECT_EQ(ValueOrDie(WriteOnnx(OutPath(), graph, target.form, net)), 0) << format;
    const ImportedNet read = ValueOrDie(ImportOnnx(OutPath()));
    int layers = 0;
    for (const Node* node : std::as_const(read.graph).NodesInOrder()) {
      if (!node->Is(OpTrait::kWeighted)) continue;
      ++layers;
      ASSERT_NE(node->quantization(), nullptr) << node->name();
      EXPECT_EQ(node->quantization()->format(), "integer");
    }
    EXPECT_EQ(layers, 3);
  }
}

// A ReLU's record has no sign, its reader's has one: its codes are rounded again.
TEST(ExportTest, QOperatorRoundsAgainWhereAReaderTakesOtherCodes) {
  Graph graph = Quantized(
      ValueOrDie(BuildModel({.model = "nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), "
                                      "nn.MaxPool2d(2), nn.Conv2d(4, 2, 3), nn.Flatten())",
                             .input = {1, 8, 8},
                             .classes = 2})),
      "integer 8/4");
  const auto unsigned_codes =
      ValueOrDie(Format::FromText("integer { width: 8 frac_width: 6 is_signed: false }"));
  Quantization record;
  record.set_format("integer");
  record.set_class_suffix("Integer");
  record.add_operand()->set_operand(std::string(operands::kDataIn));
  *record.mutable_operand(0)->mutable_format() = unsigned_codes->proto();
  for (Node* node : graph.NodesInOrder()) {
    if (node->op() == ops::kRelu) graph.SetQuantization(node, record);
  }
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, {.form = OnnxForm::kQOperator}));
  EXPECT_EQ(OpsOf(net).count("QLinearConv"), 0u);  // ONNX Runtime has none from int8 to uint8.
  EXPECT_THAT(net.notes[0], HasSubstr("turns signed codes into unsigned ones"));
  EXPECT_LT(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kQOperator, net)), 1e-6);
}

TEST(ExportTest, ComparisonsAndChoicesComeBack) {
  const Graph graph = ParseGraph(R"(
x = placeholder() : f32[8, 16]
a = hardshrink(x)
b = softshrink(x, lambd=0.25)
c = gt(a, b)
d = ge(b, x)
e = eq(a, x)
f = where(c, a, d)
g = add(e, f)
h = softplus(g)
i = logsigmoid(h)
output = output(i)
)");
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, {.form = OnnxForm::kFloat}));
  EXPECT_NO_THROW(::onnx::checker::check_model(Model(net)));
  EXPECT_LT(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kFloat, net)), 1e-6);
}

TEST(ExportTest, QOperatorLeavesNumbersWhereTheNetReadsNumbers) {
  // Norms stand between its layers.
  const Graph graph = Quantized(Trained("jsc-s"), "integer 8/4");
  const OnnxTarget target = {.form = OnnxForm::kQOperator};
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, target));
  EXPECT_EQ(OpsOf(net).at("QGemm"), 5);
  EXPECT_EQ(OpsOf(net).count("Gemm"), 0u);
  EXPECT_LT(ValueOrDie(WriteOnnx(OutPath(), graph, target.form, net)), 1e-6);
}

TEST(ExportTest, QOperatorOfOpset21HasBytesForItsOps) {
  const std::pair<const char*, const char*> formats[] = {{"integer 4/3", "QGemm"},
                                                         {"integer 12/6", "Gemm"}};
  for (const auto& [format, op] : formats) {
    const Graph graph = Quantized(SmallCnn(), format);
    const ExportedNet net = ValueOrDie(ExportOnnx(graph, {OnnxForm::kQOperator, 21}));
    EXPECT_EQ(OpsOf(net).count(op), 1u) << format;
    EXPECT_EQ(net.notes.empty(), op == std::string("QGemm")) << format;
    EXPECT_EQ(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kQOperator, net)), 0) << format;
  }
}

TEST(ExportTest, AConvolutionThatIsReadAsNumbersIsSaidToBeNone) {
  const Graph graph = Quantized(
      ValueOrDie(BuildModel({.model = "nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), "
                                      "nn.Flatten(), nn.Linear(144, 5))",
                             .input = {1, 8, 8},
                             .classes = 5})),
      "integer 8/5");
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, {.form = OnnxForm::kQOperator}));
  ASSERT_EQ(net.notes.size(), 1u);
  EXPECT_THAT(net.notes[0], HasSubstr("is read as numbers, not as codes"));
  EXPECT_LT(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kQOperator, net)), 1e-6);
}

// The element types of a file's QuantizeLinear, by its zero points.
std::set<int> CodeTypesOf(const ExportedNet& net) {
  std::set<int> types;
  const ::onnx::ModelProto model = Model(net);
  for (const auto& tensor : model.graph().initializer()) {
    if (absl::StrContains(tensor.name(), "zero_point")) types.insert(tensor.data_type());
  }
  for (const auto& node : model.graph().node()) {
    for (const auto& attribute : node.attribute()) {
      if (attribute.name() == "output_dtype") types.insert(static_cast<int>(attribute.i()));
    }
  }
  return types;
}

TEST(ExportTest, Opset21HasNarrowAndWideIntegersAndSmallFloats) {
  const std::pair<const char*, int> formats[] = {
      {"integer 4/2", 22},
      {"integer { width: 4 frac_width: 2 is_signed: false }", 21},
      {"integer 8/4", ::onnx::TensorProto::INT8},
      {"integer 12/6", ::onnx::TensorProto::INT16},
      {"mx { element_format: \"fp8_e4m3\" }", 17},
      {"mx { element_format: \"fp8_e5m2\" }", 19},
      {"minifloat { exponent_width: 5 frac_width: 2 is_finite: false }", 19},
  };
  for (const auto& [format, type] : formats) {
    SCOPED_TRACE(format);
    const Graph graph = Quantized(Trained("jsc-s"), format);
    const ExportedNet net = ValueOrDie(ExportOnnx(graph, {OnnxForm::kQdq, 21}));
    EXPECT_THAT(CodeTypesOf(net), ::testing::ElementsAre(type));
    EXPECT_EQ(Model(net).opset_import(0).version(), 21);
    const ::onnx::ModelProto model = Model(net);
    for (const auto& node : model.graph().node()) {
      // ONNX Runtime would drop the Relu in front.
      const bool small = type == 17 || type == 19;
      if (node.op_type() != "QuantizeLinear" || !small) continue;
      EXPECT_EQ(node.input_size(), 2);
    }
    EXPECT_EQ(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kQdq, net)), 0);
  }
}

TEST(ExportTest, SmallFloatsHaveTheNumbersOfTheirFormats) {
  for (const Float8Type& type : kFloat8Types) {
    const auto format = ValueOrDie(Format::FromText(type.format));
    std::set<float> numbers;
    for (int code = 0; code < 256; ++code) {
      const double number = type.ValueOf(static_cast<uint8_t>(code));
      if (!std::isnan(number)) numbers.insert(static_cast<float>(number + 0.0));
    }
    const std::vector<float> values = format->Values();
    EXPECT_EQ(std::set<float>(values.begin(), values.end()), numbers) << type.name;
  }
}

TEST(ExportTest, FormatsStandInTheMetadata) {
  const Graph graph = Quantized(Trained("jsc-tiny"), "integer 8/4");
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, {.form = OnnxForm::kFloat}));
  ASSERT_EQ(net.notes.size(), 1u);
  EXPECT_THAT(net.notes[0], HasSubstr("Number formats of 1 nodes are left out"));
  const ::onnx::ModelProto model = Model(net);
  ASSERT_EQ(model.metadata_props_size(), 1);
  EXPECT_EQ(model.metadata_props(0).key(), "mase.format.seq_blocks_2");
  EXPECT_THAT(model.metadata_props(0).value(), HasSubstr("integer data_in 8/4"));
}

TEST(ExportTest, WhatAFormCannotExpressIsNamed) {
  const Graph wide = Quantized(Trained("jsc-tiny"), "integer 12/6");
  EXPECT_THAT(ExportOnnx(wide, {.form = OnnxForm::kQdq}),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("seq_blocks_2 (linear): data_in: has codes of 12 bits")));
  const Graph blocks =
      Quantized(Trained("jsc-tiny"), "minifloat_ieee { width: 8 exponent_width: 4 }");
  EXPECT_THAT(ExportOnnx(blocks, {.form = OnnxForm::kQonnx}),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("minifloat_ieee")));
}

}  // namespace
}  // namespace mase
