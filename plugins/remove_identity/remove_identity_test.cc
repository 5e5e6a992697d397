#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kChain[] = R"pb(
  node {
    name: "x"
    kind: PLACEHOLDER
    op: "placeholder"
    target: "x"
    attribute {
      name: "shape"
      ints { value: 8 value: 4 }
    }
  }
  node { name: "first" kind: CALL_MODULE op: "identity" target: "first" input: "x" }
  node { name: "relu" kind: CALL_MODULE op: "relu" target: "relu" input: "first" }
  node { name: "last" kind: CALL_MODULE op: "identity" target: "last" input: "relu" }
  node { name: "output" kind: OUTPUT op: "output" target: "output" input: "last" }
)pb";

TEST(RemoveIdentityTest, WiresReadersToWhatTheIdentityRead) {
  Graph graph = ParseGraph(kChain);
  const PassRun run = RunPass("remove_identity", "", graph);
  EXPECT_TRUE(run.changed()) << run.status;
  EXPECT_EQ(run.count("nodes_removed"), 2);
  EXPECT_THAT(graph, EqualsGraph(R"pb(
                node {
                  name: "x"
                  kind: PLACEHOLDER
                  op: "placeholder"
                  target: "x"
                  attribute {
                    name: "shape"
                    ints { value: 8 value: 4 }
                  }
                }
                node { name: "relu" kind: CALL_MODULE op: "relu" target: "relu" input: "x" }
                node { name: "output" kind: OUTPUT op: "output" target: "output" input: "relu" }
              )pb"));
}

TEST(RemoveIdentityTest, KeepsTheNodesThatItIsTold) {
  Graph graph = ParseGraph(kChain);
  const PassRun run = RunPass("remove_identity", "keep_name: 'first'", graph);
  EXPECT_EQ(run.count("nodes_removed"), 1);
  EXPECT_EQ(run.decision("first"), "kept: keep_name");
  EXPECT_NE(graph.FindNode("first"), nullptr);
}

TEST(RemoveIdentityTest, ANameThatIsNoNodeIsRefusedAndNothingChanges) {
  Graph graph = ParseGraph(kChain);
  EXPECT_THAT(RunPass("remove_identity", "keep_name: 'frist'", graph).status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("did you mean 'first'?")));
  EXPECT_THAT(graph, EqualsGraph(kChain));
}

TEST(RemoveIdentityTest, NothingToRemoveIsAnError) {
  Graph graph = ParseGraph(kChain);
  ASSERT_OK(RunPass("remove_identity", "", graph).status);
  EXPECT_THAT(RunPass("remove_identity", "", graph).status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0 nodes changed")));
}

}  // namespace
}  // namespace mase
