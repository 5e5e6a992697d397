#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kChain[] = R"(
x = placeholder() : f32[8, 4]
first = identity(x)
relu = relu(first)
last = identity(relu)
output = output(last)
)";

TEST(RemoveIdentityTest, WiresReadersToWhatTheIdentityRead) {
  Graph graph = ParseGraph(kChain);
  const PassRun run = RunPass("remove_identity", "", graph);
  EXPECT_TRUE(run.changed()) << run.status;
  EXPECT_EQ(run.count("nodes_removed"), 2);
  EXPECT_THAT(graph, EqualsGraph(R"(
x = placeholder() : f32[8, 4]
relu = relu(x)
output = output(relu)
)"));
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
