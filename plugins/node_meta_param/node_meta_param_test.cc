#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

constexpr char kFile[] = "save_node_meta_param/node_meta_param.toml";

// jsc-tiny with statistics of every kind of number.
Graph WithStatistics() {
  Graph graph = ParseGraph(kJscTiny);
  SoftwareMetadata& software =
      *graph.FindNode("seq_blocks_1")->mutable_metadata().mutable_software();
  TensorStatistics* tensor = software.add_args();
  tensor->set_name("data_in_0");
  Statistic* statistic = tensor->add_stat();
  statistic->set_name("range_quantile");
  const auto add = [&](const char* key, std::initializer_list<double> numbers) {
    StatisticValue* value = statistic->add_value();
    value->set_key(key);
    for (const double number : numbers) value->add_number(number);
  };
  add("min", {-1.5});
  add("max", {0.1, 2, std::numeric_limits<double>::infinity()});
  add("count", {128});
  add("range", {});  // "NA"
  return graph;
}

bool SameNotes(const Graph& a, const Graph& b) {
  for (const Node* node = a.first(); node != nullptr; node = Graph::next(node)) {
    if (!google::protobuf::util::MessageDifferencer::Equals(node->metadata(),
                                                            b.FindNode(node->name())->metadata())) {
      return false;
    }
  }
  return true;
}

TEST(NodeMetaParamTest, TheTomlIsMases) {
  Graph graph = WithStatistics();
  const PassRun run = RunPass("save_node_meta_param", "", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.artifacts.at(kFile), HasSubstr(R"([seq_blocks_1.common]
mase_type = "module_related_func"
mase_op = "relu"
[seq_blocks_1.common.args.data_in_0]
shape = [8, 16]
torch_dtype = "float32"
type = "float"
precision = [32]
[seq_blocks_1.common.results.data_out_0]
shape = [8, 16]
torch_dtype = "float32"
type = "float"
precision = [32]
[seq_blocks_1.software]
[seq_blocks_1.software.args.data_in_0.stat]
[seq_blocks_1.software.args.data_in_0.stat.range_quantile]
min = -1.5
max = [0.10000000000000001, 2.0, inf]
count = 128.0
range = "NA"
)"));
}

TEST(NodeMetaParamTest, BothFormatsComeBackAsTheyWere) {
  for (const std::string file : {"notes.toml", "notes.textproto"}) {
    TestHost host;
    Graph graph = WithStatistics();
    ASSERT_OK(
        RunPasses({MakePass("save_node_meta_param", "save_path: '" + file + "'")}, graph, host)
            .status);
    Graph again = ParseGraph(kJscTiny);
    EXPECT_FALSE(SameNotes(graph, again));
    ASSERT_OK(
        RunPasses({MakePass("load_node_meta_param", "load_path: '" + file + "'")}, again, host)
            .status);
    EXPECT_TRUE(SameNotes(graph, again)) << host.artifacts.at(file);
  }
}

TEST(NodeMetaParamTest, WhatIsWrongIsNamedWithItsPlace) {
  struct Case {
    std::string file, text, error;
  };
  const Case cases[] = {
      {"a.toml", "[seq_blocks_9.common]\nmase_op = 'relu'\n",
       "a.toml: no node 'seq_blocks_9' in graph ''; did you mean 'seq_blocks_0'?"},
      {"a.toml", "[x.hardware]\n", "a.toml:1:4: unknown key 'hardware', want common or software"},
      {"a.toml", "x.common.args.data_in_0.shape = [8, 'a']\n", ": want a whole number"},
      {"a.toml", "x = 3\n", "a.toml:1:1: x: want a table"},
      {"a.toml", "x = [\n", "a.toml:"},
      {"a.textproto", "node {\n  name: 'x' color: 3\n}", "a.textproto:2:"},
      {"a.textproto", "node { name: 'x' metadata { quantization { format: 'integer' } } }",
       "a.textproto: x has a quantization record, which is part of a graph"},
  };
  for (const Case& bad : cases) {
    TestHost host;
    host.artifacts[bad.file] = bad.text;
    Graph graph = ParseGraph(kJscTiny);
    const PassRun run =
        RunPasses({MakePass("load_node_meta_param", "load_path: '" + bad.file + "'")}, graph, host);
    EXPECT_THAT(std::string(run.status.message()), HasSubstr(bad.error));
  }
}

TEST(NodeMetaParamTest, FileNamesSayTheFormat) {
  Graph graph = ParseGraph(kJscTiny);
  EXPECT_THAT(RunPass("save_node_meta_param", "save_path: 'notes.json'", graph).status,
              StatusIs(kInvalid, HasSubstr("'notes.json': want one that ends with .toml or")));
  EXPECT_THAT(RunPass("load_node_meta_param", "", graph).status,
              StatusIs(kInvalid, HasSubstr("load_path is required")));
}

}  // namespace
}  // namespace mase
