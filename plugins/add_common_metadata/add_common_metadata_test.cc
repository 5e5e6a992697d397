#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 16]
bn = batch_norm1d(x, num_features=16)
fc = linear(bn, in_features=16, out_features=5)
  quantized integer class Integer
  data_in = integer { width: 8 frac_width: 4 }
  weight = integer { width: 6 frac_width: 3 }
add = add(fc, fc)
output = output(add)
)";

std::string CommonText(const Graph& graph, absl::string_view node) {
  return graph.FindNode(node)->metadata().common().ShortDebugString();
}

constexpr char kFloat[] = R"( torch_dtype: "float32" type: "float" precision: "32" })";

TEST(AddCommonMetadataTest, NotesInputsTensorsAndResultsUnderMasesNames) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("add_common_metadata", "", graph);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_EQ(CommonText(graph, "x"),
            std::string(R"(mase_type: "placeholder" mase_op: "placeholder" )") +
                R"(results { name: "data_out_0" shape: 8 shape: 16)" + kFloat);
  EXPECT_EQ(CommonText(graph, "bn"),
            std::string(R"(mase_type: "module" mase_op: "batch_norm1d" )") +
                R"(args { name: "data_in_0" shape: 8 shape: 16)" + kFloat +
                R"( args { name: "weight" shape: 16)" + kFloat +
                R"( args { name: "bias" shape: 16)" + kFloat +
                R"( results { name: "data_out_0" shape: 8 shape: 16)" + kFloat);
  EXPECT_EQ(CommonText(graph, "add"),
            std::string(R"(mase_type: "builtin_func" mase_op: "add" )") +
                R"(args { name: "data_in_0" shape: 8 shape: 5)" + kFloat +
                R"( args { name: "data_in_1" shape: 8 shape: 5)" + kFloat +
                R"( results { name: "data_out_0" shape: 8 shape: 5)" + kFloat);
  EXPECT_EQ(CommonText(graph, "output"), std::string(R"(mase_type: "output" mase_op: "output" )") +
                                             R"(results { name: "data_out_0" shape: 8 shape: 5)" +
                                             kFloat);
}

TEST(AddCommonMetadataTest, QuantizedNodesKeepTheirFormats) {
  Graph graph = ParseGraph(kNet);
  ASSERT_OK(RunPass("add_common_metadata", "", graph).status);
  const std::string text = CommonText(graph, "fc");
  EXPECT_THAT(text, HasSubstr(R"(name: "data_in_0" shape: 8 shape: 16 torch_dtype: "float32" )"
                              R"(type: "integer" precision: "8" precision: "4")"));
  EXPECT_THAT(text, HasSubstr(R"(name: "weight" shape: 5 shape: 16 torch_dtype: "float32" )"
                              R"(type: "integer" precision: "6" precision: "3")"));
  EXPECT_THAT(text, HasSubstr(R"(name: "bias" shape: 5 torch_dtype: "float32" type: "float")"));
}

TEST(AddCommonMetadataTest, ShapesAreThoseOfTheRunsBatch) {
  Graph graph = ParseGraph(kNet);
  TestHost host;
  host.batch["x"] = Tensor::Zeros(DType::kFloat32, {3, 16});
  ASSERT_OK(RunPasses({MakePass("add_common_metadata")}, graph, host).status);
  EXPECT_THAT(CommonText(graph, "add"), HasSubstr(R"(name: "data_out_0" shape: 3 shape: 5)"));
  EXPECT_EQ(graph.FindNode("x")->attributes().Ints("shape")[0], 8) << "the graph itself stays";
}

TEST(AddCommonMetadataTest, ABatchThatDoesNotFitIsRefusedByName) {
  Graph graph = ParseGraph(kNet);
  TestHost host;
  host.batch["x"] = Tensor::Zeros(DType::kFloat32, {3, 15});
  EXPECT_THAT(RunPasses({MakePass("add_common_metadata")}, graph, host).status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("input 'x' has shape [3, 15], want [8, 16]")));
  host.batch.clear();
  host.batch["y"] = Tensor::Zeros(DType::kFloat32, {3, 16});
  EXPECT_THAT(RunPasses({MakePass("add_common_metadata")}, graph, host).status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no tensor for input 'x'")));
}

}  // namespace
}  // namespace mase
