#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kLinear84[] = "rules { match: 'linear' config { format: 'integer 8/4' } }";

TEST(DiffGraphsTest, TheTableOfTheReport) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run = RunPasses({MakePass("quantize", kLinear84), MakePass("diff_graphs")}, graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.table("nodes"),
            "node,MASE type,MASE op,type before,type after,changed,formats before,formats after,"
            "other changes\n"
            "x,placeholder,placeholder,x,x,false,,,\n"
            "seq_blocks_0,module,batch_norm1d,BatchNorm1d,BatchNorm1d,false,,,\n"
            "seq_blocks_1,module_related_func,relu,ReLU,ReLU,false,,,\n"
            "seq_blocks_2,module_related_func,linear,Linear,LinearInteger,true,,"
            "\"integer data_in 8/4, weight 8/4, bias 8/4\",\n"
            "seq_blocks_3,module_related_func,relu,ReLU,ReLU,false,,,\n"
            "output,output,output,output,output,false,,,\n");
  EXPECT_EQ(run.table("tensors"), "");
  EXPECT_EQ(run.result("nodes"), 6);
  EXPECT_EQ(run.result("nodes_changed"), 1);
  EXPECT_EQ(run.result("tensors_changed"), 0);
  EXPECT_THAT(run.printed, HasSubstr("1 of 6 nodes changed, 0 tensors differ.\n"));
}

TEST(DiffGraphsTest, NineNodesOfTheReportsLargeNet) {
  Graph graph = ValueOrDie(BuildModel(
      {.model = "BN, ReLU, Linear 64, BN, ReLU, Linear 40, BN, ReLU, Linear 10, BN, ReLU, Linear "
                "5, BN, ReLU",
       .input = {16},
       .classes = 5,
       .batch = 8}));
  const PassRun run =
      RunPasses({MakePass("quantize",
                          "rules { match: 'linear' config { format: 'integer 8/4' } }"
                          "rules { match: 'relu' config { format: 'integer 8/4' } }"),
                 MakePass("diff_graphs")},
                graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.result("nodes_changed"), 9);
  for (const int i : {1, 2, 4, 5, 7, 8, 10, 11, 13}) {
    const bool linear = i % 3 == 2;
    EXPECT_THAT(
        run.table("nodes"),
        HasSubstr("seq_blocks_" + std::to_string(i) + ",module_related_func," +
                  (linear ? "linear,Linear,LinearInteger,true," : "relu,ReLU,ReLUInteger,true,")));
  }
}

TEST(DiffGraphsTest, WhereNothingChangedItSaysSo) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run = RunPass("diff_graphs", "", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("The nets are the same.\n"));
}

}  // namespace
}  // namespace mase
