#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kNet[] = R"(
x = placeholder() : f32[2, 3]
relu = relu(x)
fc = linear(relu, in_features=3, out_features=2)
last = relu(fc)
output = output(last)
)";

Graph MakeNet() {
  Graph graph = ParseGraph(kNet);
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({2, 3}, {1, 2, 3, 4, 5, 9}), false);
  graph.SetTensor("fc.bias", Tensor::FromValues<float>({2}, {0, -1}), false);
  return graph;
}

// The samples of MASE's specification.
class Host : public TestHost {
 public:
  Host() { samples["x"] = Tensor::FromValues<float>({2, 3}, {1, 2, 3, 4, 5, 9}); }
};

PassRun Profile(const std::string& options, Graph& graph) {
  Host host;
  return RunPasses({MakePass("profile_statistics", options)}, graph, host);
}

constexpr char kCsv[] = "profile_statistics/statistics.csv";

TEST(ProfileStatisticsTest, WeightsAndActivationsByDefault) {
  Graph graph = MakeNet();
  const PassRun run = Profile("num_samples: 2", graph);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_EQ(run.count("statistics"), 10);
  EXPECT_THAT(run.printed, HasSubstr("Statistics of 2 test rows"));
  EXPECT_EQ(run.artifacts.at(kCsv).substr(0, 351),
            "node,tensor,statistic,key,value,exact\n"
            "fc,weight,range_min_max,min,1,true\n"
            "fc,weight,range_min_max,max,9,true\n"
            "fc,weight,range_min_max,range,8,true\n"
            "fc,weight,range_min_max,count,6,true\n"
            "fc,weight,variance_online,mean,4,true\n"
            "fc,weight,variance_online,variance,6.666666666666667,true\n"
            "fc,weight,variance_online,count,6,true\n"
            "fc,bias,range_min_max,min,-1,true\n");
}

TEST(ProfileStatisticsTest, WhatIsAskedForOfTheNodesThatAreNamed) {
  Graph graph = MakeNet();
  const PassRun run = Profile(R"pb(by: NAME
                                   target_weight_nodes: "fc"
                                   target_activation_nodes: "fc"
                                   tensors: [ "weight", "data_in_0", "data_out_0" ]
                                   weight_statistics { name: "variance_precise" }
                                   activation_statistics { name: "range_quantile" quantile: 0.9 }
                                   activation_statistics { name: "abs_mean" dims: "NA" }
                                   num_samples: 2
                                   profile_output_activation: true)pb",
                              graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.artifacts.at(kCsv),
            "node,tensor,statistic,key,value,exact\n"
            "fc,weight,variance_precise,mean,4,true\n"
            "fc,weight,variance_precise,variance,8,true\n"
            "fc,weight,variance_precise,count,6,true\n"
            "fc,data_in_0,range_quantile,min,1.5,true\n"
            "fc,data_in_0,range_quantile,max,7,true\n"
            "fc,data_in_0,range_quantile,range,5.5,true\n"
            "fc,data_in_0,range_quantile,count,6,true\n"
            "fc,data_in_0,abs_mean,\"abs_mean[0, 0]\",2.5,true\n"
            "fc,data_in_0,abs_mean,\"abs_mean[0, 1]\",3.5,true\n"
            "fc,data_in_0,abs_mean,\"abs_mean[0, 2]\",6,true\n"
            "fc,data_in_0,abs_mean,count,2,true\n"
            "fc,data_out_0,range_quantile,min,21.799999999999997,true\n"
            "fc,data_out_0,range_quantile,max,97.00000000000001,true\n"
            "fc,data_out_0,range_quantile,range,75.20000000000002,true\n"
            "fc,data_out_0,range_quantile,count,4,true\n"
            "fc,data_out_0,abs_mean,\"abs_mean[0, 0]\",27.5,true\n"
            "fc,data_out_0,abs_mean,\"abs_mean[0, 1]\",80.5,true\n"
            "fc,data_out_0,abs_mean,count,2,true\n");
}

TEST(ProfileStatisticsTest, TheNotesAreMases) {
  Graph graph = MakeNet();
  Host host;
  const PassRun run =
      RunPasses({MakePass("profile_statistics", R"pb(target_weight_nodes: "linear"
                                                     target_activation_nodes: "linear"
                                                     weight_statistics { name: "range_min_max" }
                                                     activation_statistics { name: "record" }
                                                     num_samples: 2)pb"),
                 MakePass("report_node_meta_param", "which: SOFTWARE")},
                graph, host);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("'data_in_0': {'stat': {'record': {'data': [1, 2, 3, 4, 5, 9],"
                                     " 'count': 2, 'size_in_bytes': 24}}}"));
  EXPECT_THAT(run.printed, HasSubstr("'weight': {'stat': {'range_min_max': {'min': 1, 'max': 9, "
                                     "'range': 8, 'count': 6}}}"));
}

TEST(ProfileStatisticsTest, ANetIsProfiledWithItsFormats) {
  Graph graph = MakeNet();
  Quantization record;
  record.set_format("integer");
  OperandFormat* operand = record.add_operand();
  operand->set_operand("data_in");
  operand->mutable_format()->mutable_integer()->set_width(3);
  operand->mutable_format()->mutable_integer()->set_frac_width(0);
  graph.SetQuantization(graph.FindNode("fc"), record);
  const PassRun run = Profile(R"pb(by: NAME
                                   target_activation_nodes: [ "fc", "last" ]
                                   activation_statistics { name: "range_min_max" }
                                   num_samples: 2)pb",
                              graph);
  ASSERT_OK(run.status);
  // What reaches fc, before it rounds; then what it makes of 3, 3, 3.
  EXPECT_THAT(run.artifacts.at(kCsv), HasSubstr("fc,data_in_0,range_min_max,max,9,true"));
  EXPECT_THAT(run.artifacts.at(kCsv), HasSubstr("last,data_in_0,range_min_max,max,53,true"));
}

TEST(ProfileStatisticsTest, LongResultsHaveAFileOfTheirOwn) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 1500]
relu = relu(x)
output = output(relu)
)");
  TestHost host;
  std::vector<float> x(3000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7);
  host.samples["x"] = Tensor::FromValues<float>({2, 1500}, x);
  const PassRun run = RunPasses({MakePass("profile_statistics",
                                          "activation_statistics { name: 'record' } "
                                          "num_samples: 2")},
                                graph, host);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.artifacts.at(kCsv),
              HasSubstr("relu,data_in_0,record,data,3000 numbers: "
                        "profile_statistics/relu.data_in_0.record.data.csv,true"));
  EXPECT_EQ(run.artifacts.at("profile_statistics/relu.data_in_0.record.data.csv").substr(0, 13),
            "data\n0\n1\n2\n3\n");
  const SoftwareMetadata& notes = graph.FindNode("relu")->metadata().software();
  EXPECT_EQ(notes.args(0).stat(0).value(0).key(), "count");
}

TEST(ProfileStatisticsTest, FewerRowsThanAskedForAreAWarning) {
  Graph graph = MakeNet();
  const PassRun run = Profile("num_samples: 5", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.report.warnings(),
              ElementsAre(HasSubstr("num_samples = 5, but there are 2 rows")));
}

TEST(ProfileStatisticsTest, TheSplitIsTheOneAskedFor) {
  Graph graph = MakeNet();
  Host host;
  EXPECT_OK(RunPasses({MakePass("profile_statistics", "split: 'validation'")}, graph, host).status);
  EXPECT_EQ(host.split, "validation");
  EXPECT_OK(RunPasses({MakePass("profile_statistics")}, graph, host).status);
  EXPECT_EQ(host.split, "");
}

TEST(ProfileStatisticsTest, RefusesWhatItCannotDo) {
  const struct {
    const char* options;
    const char* message;
  } kRows[] = {
      {"weight_statistics { name: 'range_minmax' }",
       "no statistic 'range_minmax'; did you mean 'range_min_max'"},
      {"weight_statistics { name: 'abs_mean' quantile: 0.9 }", "abs_mean has no key 'quantile'"},
      {"weight_statistics { name: 'record' dims: '0' }", "it has no dims"},
      {"weight_statistics { name: 'abs_mean' dims: 'all' dims: '0' }",
       "dims: 'all' stands alone, or a list has axes"},
      {"weight_statistics { name: 'abs_mean' dims: '3' }",
       "fc (linear): weight: abs_mean: dims has axis 3, a sample is [2, 3]"},
      {"target_weight_nodes: 'linea' weight_statistics { name: 'abs_mean' }",
       "target_weight_nodes: 'linea' is no node with such values"},
      {"by: NAME target_activation_nodes: 'x' activation_statistics { name: 'abs_mean' }",
       "target_activation_nodes: 'x' is no node with such values"},
      {"tensors: 'gamma'", "no target node has a tensor called gamma"},
  };
  for (const auto& row : kRows) {
    Graph graph = MakeNet();
    EXPECT_THAT(Profile(row.options, graph).status.message(), HasSubstr(row.message));
  }
}

TEST(ProfileStatisticsTest, ANumberThatIsNoneIsNamed) {
  Graph graph = MakeNet();
  graph.MutableTensor("fc.bias")->mutable_data<float>()[1] = NAN;
  EXPECT_THAT(
      Profile("weight_statistics { name: 'abs_mean' }", graph).status,
      StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("fc (linear): bias: value 1 is nan")));
}

TEST(ProfileStatisticsTest, WeightsNeedNoData) {
  Graph graph = MakeNet();
  const PassRun run =
      RunPass("profile_statistics", "weight_statistics { name: 'abs_mean' }", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("Statistics of the net's own tensors"));
  EXPECT_THAT(run.printed, Not(HasSubstr("data_in_0")));
}

}  // namespace
}  // namespace mase
