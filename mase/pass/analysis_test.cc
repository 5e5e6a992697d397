#include "mase/pass/analysis.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

Graph TwoNodes() {
  return ParseGraph(R"(
x = placeholder() : f32[1]
output = output(x)
)");
}

int node_counts = 0;  // How often each analysis was computed.
int doublings = 0;

struct NodeCount {
  static constexpr char kName[] = "test.node_count";
  using Result = int;
  static absl::StatusOr<int> Run(const Graph& graph, AnalysisManager&) {
    ++node_counts;
    return graph.node_count();
  }
};

struct Doubled {
  static constexpr char kName[] = "test.doubled";
  using Result = std::string;
  static absl::StatusOr<std::string> Run(const Graph&, AnalysisManager& analyses) {
    ++doublings;
    MASE_ASSIGN_OR_RETURN(const int* count, analyses.Get<NodeCount>());
    return std::to_string(2 * *count);
  }
};

struct Circular {
  static constexpr char kName[] = "test.circular";
  using Result = int;
  static absl::StatusOr<int> Run(const Graph&, AnalysisManager& analyses) {
    MASE_ASSIGN_OR_RETURN(const int* self, analyses.Get<Circular>());
    return *self;
  }
};

class AnalysisManagerTest : public ::testing::Test {
 protected:
  void SetUp() override { node_counts = doublings = 0; }

  Graph graph_ = TwoNodes();
  AnalysisManager analyses_{graph_};
};

TEST_F(AnalysisManagerTest, ComputesOnceWhileTheGraphStays) {
  EXPECT_EQ(*ValueOrDie(analyses_.Get<NodeCount>()), 2);
  EXPECT_EQ(*ValueOrDie(analyses_.Get<Doubled>()), "4");
  EXPECT_EQ(*ValueOrDie(analyses_.Get<Doubled>()), "4");
  EXPECT_EQ(node_counts, 1);
  EXPECT_EQ(doublings, 1);
}

TEST_F(AnalysisManagerTest, AnEditMakesEverythingStale) {
  ASSERT_OK(analyses_.Get<Doubled>());
  graph_.set_name("edited");
  ASSERT_OK(analyses_.Get<Doubled>());
  EXPECT_EQ(node_counts, 2);
  EXPECT_EQ(doublings, 2);
}

TEST_F(AnalysisManagerTest, PreservedResultsOutliveAnEdit) {
  ASSERT_OK(analyses_.Get<Doubled>());
  const int64_t before = graph_.version();
  graph_.set_name("edited");
  analyses_.Preserve({NodeCount::kName, Doubled::kName}, before);
  ASSERT_OK(analyses_.Get<Doubled>());
  EXPECT_EQ(node_counts, 1);
  EXPECT_EQ(doublings, 1);
}

TEST_F(AnalysisManagerTest, WhatWasComputedFromADroppedResultIsDroppedToo) {
  ASSERT_OK(analyses_.Get<NodeCount>());
  ASSERT_OK(analyses_.Get<Doubled>());  // Finds the count in the cache; depends on it all the same.
  const int64_t before = graph_.version();
  graph_.set_name("edited");
  analyses_.Preserve({Doubled::kName, "test.unknown"}, before);
  ASSERT_OK(analyses_.Get<Doubled>());
  EXPECT_EQ(node_counts, 2);
  EXPECT_EQ(doublings, 2);
}

TEST_F(AnalysisManagerTest, OnlyResultsOfTheVersionBeforeArePreserved) {
  ASSERT_OK(analyses_.Get<NodeCount>());
  graph_.set_name("edited");
  const int64_t before = graph_.version();
  graph_.set_name("edited again");
  analyses_.Preserve({NodeCount::kName}, before);
  ASSERT_OK(analyses_.Get<NodeCount>());
  EXPECT_EQ(node_counts, 2);
}

TEST_F(AnalysisManagerTest, ACircleIsAnErrorAndNotTheEnd) {
  EXPECT_THAT(analyses_.Get<Circular>(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("test.circular needs itself")));
  EXPECT_OK(analyses_.Get<Doubled>());
}

}  // namespace
}  // namespace mase
