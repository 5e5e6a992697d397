#include "mase/graph/graph_hash.h"

#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

TEST(GraphHashTest, EqualGraphsHaveOneHash) {
  const Graph graph = ParseGraph(kJscTiny);
  EXPECT_EQ(HashGraph(graph), HashGraph(ParseGraph(kJscTiny)));
  EXPECT_EQ(HashGraph(graph), HashGraph(graph.Clone()));
}

TEST(GraphHashTest, EveryPartCounts) {
  const size_t before = HashGraph(ParseGraph(kJscTiny));
  struct Edit {
    const char* what;
    void (*apply)(Graph&, Node*);
  };
  const Edit edits[] = {
      {"name", [](Graph& graph, Node*) { graph.set_name("x"); }},
      {"attribute",
       [](Graph& graph, Node*) {
         EXPECT_OK(graph.SetAttribute(graph.FindNode("seq_blocks_1"), "inplace", true));
       }},
      {"edge",
       [](Graph& graph, Node* linear) {
         graph.ReplaceInput(linear, 0, graph.FindNode("x")->outputs()[0]);
       }},
      {"sign of a zero",
       [](Graph& graph, Node*) {
         graph.MutableTensor("seq_blocks.2.bias")->mutable_data<float>()[4] = -0.0f;
       }},
      {"empty record", [](Graph& graph, Node* linear) { graph.SetQuantization(linear, {}); }},
      {"record behind the graph's back",
       [](Graph&, Node* linear) {
         linear->mutable_metadata().mutable_quantization()->set_format("integer");
       }},
  };
  for (const Edit& edit : edits) {
    Graph graph = ParseGraph(kJscTiny);
    edit.apply(graph, graph.FindNode("seq_blocks_2"));
    EXPECT_NE(HashGraph(graph), before) << edit.what;
  }
}

TEST(GraphHashTest, NotesAndEditsTakenBackDoNotCount) {
  Graph graph = ParseGraph(kJscTiny);
  const size_t before = HashGraph(graph);
  graph.FindNode("x")->mutable_metadata().mutable_common()->set_mase_op("placeholder");
  graph.set_name("x");
  graph.set_name("");
  EXPECT_EQ(HashGraph(graph), before);
}

}  // namespace
}  // namespace mase
