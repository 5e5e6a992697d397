#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 4]
fc = linear(x, bias=False, in_features=4, out_features=1)
  quantized integer
  data_in = integer { width: 8 }
output = output(fc)
)";

constexpr char kHead[] = "Inspecting graph [report_node_meta_param_analysis_pass]\n";

TEST(ReportNodeMetaParamTest, PrintsMasesTableOfDictionaries) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("report_node_meta_param", "which: SOFTWARE", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(
      run.printed,
      StartsWith(
          std::string(kHead) +
          R"(+-------------+--------------+---------------------+-------------+-------------------------------------------+
| Node name   | Fx Node op   | Mase type           | Mase op     | Software Param                            |
+=============+==============+=====================+=============+===========================================+
| x           | placeholder  | placeholder         | placeholder | {'args': {},                              |
|             |              |                     |             |  'results': {'data_out_0': {'stat': {}}}} |
+-------------+--------------+---------------------+-------------+-------------------------------------------+
| fc          | call_module  | module_related_func | linear      | {'args': {'data_in_0': {'stat': {}},      |
|             |              |                     |             |           'weight': {'stat': {}}},        |
|             |              |                     |             |  'results': {'data_out_0': {'stat': {}}}} |
+)"));
}

TEST(ReportNodeMetaParamTest, CommonShowsTypesPrecisionsAndShapes) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("report_node_meta_param", "which: COMMON", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("{'mase_type': 'module_related_func',"));
  EXPECT_THAT(run.printed, HasSubstr("'args': {'data_in_0': {'type': 'integer', 'precision': "
                                     "[8, 4], 'shape': [8, 4], 'torch_dtype': torch.float32},"));
  EXPECT_THAT(run.printed, HasSubstr("Common Param"));
  EXPECT_THAT(run.printed, Not(HasSubstr("Software Param")));
}

TEST(ReportNodeMetaParamTest, AllIsTheDefaultAndSavingAddsAFile) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("report_node_meta_param", "save_path: 'report.txt'", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("Common Param"));
  EXPECT_THAT(run.printed, HasSubstr("Software Param"));
  EXPECT_EQ(kHead + run.artifacts.at("report.txt"), run.printed);
}

TEST(ReportNodeMetaParamTest, CompactHasOneLineForEachTensor) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("report_node_meta_param", "compact: true", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.printed, std::string(kHead) +
                             "Node    Tensor      Type     Precision  Shape   Statistics\n"
                             "------  ----------  -------  ---------  ------  ----------\n"
                             "x       data_out_0  float    32         [8, 4]\n"
                             "fc      data_in_0   integer  8/4        [8, 4]\n"
                             "fc      weight      float    32         [1, 4]\n"
                             "fc      data_out_0  float    32         [8, 1]\n"
                             "output  data_out_0  float    32         [8, 1]\n");
}

TEST(ReportNodeMetaParamTest, NodesByNameOrOpAndColumnsByTitle) {
  Graph graph = ParseGraph(kNet);
  PassRun run = RunPass("report_node_meta_param",
                        "compact: true nodes: 'fc' columns: ['node', 'tensor', 'shape']", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("fc    data_in_0   [8, 4]\n"
                                     "fc    weight      [1, 4]\n"
                                     "fc    data_out_0  [8, 1]\n"));
  EXPECT_THAT(run.printed, Not(HasSubstr("output")));
  EXPECT_THAT(run.printed, Not(HasSubstr("Precision")));
  run = RunPass("report_node_meta_param", "nodes: 'linear' columns: 'Node name'", graph);
  EXPECT_EQ(run.printed, std::string(kHead) +
                             "+-------------+\n"
                             "| Node name   |\n"
                             "+=============+\n"
                             "| fc          |\n"
                             "+-------------+\n");
}

TEST(ReportNodeMetaParamTest, FiltersThatFitNothingAreNamed) {
  Graph graph = ParseGraph(kNet);
  EXPECT_THAT(RunPass("report_node_meta_param", "nodes: 'linaer'", graph).status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("did you mean 'linear'")));
  EXPECT_THAT(RunPass("report_node_meta_param", "columns: 'Shape'", graph).status.message(),
              HasSubstr("columns: there is no 'Shape', only Node name, Fx Node op"));
}

TEST(ReportNodeMetaParamTest, AnUnknownSectionIsNamed) {
  Graph graph = ParseGraph(kNet);
  EXPECT_THAT(RunPass("report_node_meta_param", "which: 9", graph).status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("which: 9 is none of ALL, COMMON, SOFTWARE")));
}

}  // namespace
}  // namespace mase
