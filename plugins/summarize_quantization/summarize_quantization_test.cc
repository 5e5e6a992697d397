#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// jsc-tiny.
constexpr char kLinear[] = R"pb(
  rules {
    match: "linear"
    config {
      name: "integer"
      data_in { width: 8 frac_width: 4 }
      weight { width: 8 frac_width: 4 }
      bias { width: 8 frac_width: 4 }
    }
  }
)pb";

TEST(SummarizeQuantizationTest, PrintsTheHistogramOfTheLabReports) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run = RunPass("quantize", kLinear, graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr(R"(
Quantized graph histogram:
| Original type   | OP           |   Total |   Changed |   Unchanged |
|-----------------+--------------+---------+-----------+-------------|
| BatchNorm1d     | batch_norm1d |       1 |         0 |           1 |
| Linear          | linear       |       1 |         1 |           0 |
| ReLU            | relu         |       2 |         0 |           2 |
| output          | output       |       1 |         0 |           1 |
| x               | placeholder  |       1 |         0 |           1 |
)"));
}

TEST(SummarizeQuantizationTest, TheHistogramsOfTheReportsOtherNets) {
  struct Case {
    std::string model;
    bool relus;
    std::string rows;  // Of the histogram, but for output and x, which are 1, 0, 1.
  };
  const Case cases[] = {
      {"jsc-toy10x", true,
       "BatchNorm1d,batch_norm1d,5,0,5\nLinear,linear,4,4,0\nReLU,relu,5,5,0\n"},
      {"jsc-custom", true,
       "BatchNorm1d,batch_norm1d,4,0,4\nDropout,dropout,2,0,2\nLinear,linear,3,3,0\n"
       "ReLU,relu,4,4,0\n"},
      {"report-000", false,
       "BatchNorm1d,batch_norm1d,4,0,4\nLinear,linear,3,3,0\nReLU,relu,4,0,4\n"},
  };
  for (const Case& want : cases) {
    Graph graph =
        ValueOrDie(BuildModel({.model = want.model, .input = {16}, .classes = 5, .batch = 8}));
    std::string rules = kLinear;
    if (want.relus) rules += "rules { match: 'relu' config { format: 'integer 8/4' } }";
    const PassRun run = RunPass("quantize", rules, graph);
    ASSERT_OK(run.status);
    EXPECT_EQ(run.artifacts.at("quantize/quantize_histogram.csv"),
              "Original type,OP,Total,Changed,Unchanged\n" + want.rows +
                  "output,output,1,0,1\nx,placeholder,1,0,1\n")
        << want.model;
  }
}

TEST(SummarizeQuantizationTest, WritesBothTables) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run = RunPass("quantize", kLinear, graph);
  EXPECT_EQ(run.artifacts.at("quantize/quantize_table.csv"),
            R"(,Ori name,New name,MASE_TYPE,Mase_OP,Original type,Quantized type,Changed
0,x,x,placeholder,placeholder,x,x,False
1,seq_blocks_0,seq_blocks_0,module,batch_norm1d,BatchNorm1d,BatchNorm1d,False
2,seq_blocks_1,seq_blocks_1,module_related_func,relu,ReLU,ReLU,False
3,seq_blocks_2,seq_blocks_2,module_related_func,linear,Linear,LinearInteger,True
4,seq_blocks_3,seq_blocks_3,module_related_func,relu,ReLU,ReLU,False
5,output,output,output,output,output,output,False
)");
  EXPECT_EQ(run.artifacts.at("quantize/quantize_histogram.csv"),
            R"(Original type,OP,Total,Changed,Unchanged
BatchNorm1d,batch_norm1d,1,0,1
Linear,linear,1,1,0
ReLU,relu,2,0,2
output,output,1,0,1
x,placeholder,1,0,1
)");
}

TEST(SummarizeQuantizationTest, RunsOnceWhereItIsAlsoConfigured) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run =
      RunPasses({MakePass("quantize", kLinear), MakePass("summarize_quantization")}, graph);
  ASSERT_OK(run.status);
  ASSERT_EQ(run.report.passes_size(), 3);  // With add_common_metadata.
  EXPECT_EQ(run.report.passes(2).name(), "summarize_quantization");
  EXPECT_EQ(run.count("nodes_changed"), 1);
  EXPECT_EQ(run.count("nodes_unchanged"), 5);
}

TEST(SummarizeQuantizationTest, AnotherWidthOfTheSameFormatCountsAsChanged) {
  Graph graph = ParseGraph(kJscTiny);
  ASSERT_OK(RunPass("quantize", kLinear, graph).status);
  const PassRun same = RunPass("summarize_quantization", "", graph);
  EXPECT_EQ(same.count("nodes_changed"), 0);
  const PassRun narrower = RunPass("quantize", R"pb(
                                     rules {
                                       match: "linear"
                                       config {
                                         name: "integer"
                                         data_in { width: 4 }
                                         weight { width: 4 }
                                         bias { width: 4 }
                                       }
                                     }
                                   )pb",
                                   graph);
  EXPECT_THAT(narrower.artifacts.at("quantize/quantize_table.csv"),
              HasSubstr("LinearInteger,LinearInteger,True"));
}

}  // namespace
}  // namespace mase
