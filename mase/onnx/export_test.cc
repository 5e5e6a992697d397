// Nets written to ONNX and read back; ONNX's own checker has no complaint.
#include "mase/onnx/export.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/format/format_text.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/checkpoint.h"
#include "mase/onnx/import.h"
#include "mase/quantize/rule.h"
#include "mase/testing/matchers.h"
#include "onnx/checker.h"
#include "onnx/onnx_pb.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

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
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, OnnxForm::kFloat));
  EXPECT_NO_THROW(::onnx::checker::check_model(Model(net)));
  const double difference = ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kFloat, net));
  EXPECT_LT(difference, 1e-6);
  const ImportedNet read = ValueOrDie(ImportOnnx(OutPath()));
  EXPECT_EQ(read.graph.parameter_count(), graph.parameter_count());
}

TEST(ExportTest, QdqIsTheSimulatedNetToTheBit) {
  for (const char* format : {"integer 8/4", "integer 6/3", "integer 4/2"}) {
    const Graph graph = Quantized(Trained("jsc-s"), format);
    const ExportedNet net = ValueOrDie(ExportOnnx(graph, OnnxForm::kQdq));
    EXPECT_NO_THROW(::onnx::checker::check_model(Model(net))) << format;
    EXPECT_GT(net.rounded, 10);
    EXPECT_LT(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kQdq, net)), 1e-6) << format;
  }
}

TEST(ExportTest, QonnxHasAnyWidth) {
  for (const char* format : {"integer 3/1", "integer 8/4", "integer 12/6"}) {
    const Graph graph = Quantized(Trained("jsc-s"), format);
    const ExportedNet net = ValueOrDie(ExportOnnx(graph, OnnxForm::kQonnx));
    EXPECT_LT(ValueOrDie(WriteOnnx(OutPath(), graph, OnnxForm::kQonnx, net)), 1e-6) << format;
  }
}

TEST(ExportTest, FormatsStandInTheMetadata) {
  const Graph graph = Quantized(Trained("jsc-tiny"), "integer 8/4");
  const ExportedNet net = ValueOrDie(ExportOnnx(graph, OnnxForm::kFloat));
  ASSERT_EQ(net.notes.size(), 1u);
  EXPECT_THAT(net.notes[0], HasSubstr("Number formats of 1 nodes are left out"));
  const ::onnx::ModelProto model = Model(net);
  ASSERT_EQ(model.metadata_props_size(), 1);
  EXPECT_EQ(model.metadata_props(0).key(), "mase.format.seq_blocks_2");
  EXPECT_THAT(model.metadata_props(0).value(), HasSubstr("integer data_in 8/4"));
}

TEST(ExportTest, WhatAFormCannotExpressIsNamed) {
  const Graph wide = Quantized(Trained("jsc-tiny"), "integer 12/6");
  EXPECT_THAT(ExportOnnx(wide, OnnxForm::kQdq),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("seq_blocks_2 (linear): data_in: has codes of 12 bits")));
  const Graph blocks =
      Quantized(Trained("jsc-tiny"), "minifloat_ieee { width: 8 exponent_width: 4 }");
  EXPECT_THAT(ExportOnnx(blocks, OnnxForm::kQonnx),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("minifloat_ieee")));
}

}  // namespace
}  // namespace mase
