#include "mase/model/checkpoint.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/graph/graph_io.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Graph Tiny(uint64_t seed) { return ValueOrDie(BuildModel({"jsc-tiny", {16}, 5, 8, seed})); }

std::string TempPath(absl::string_view name) {
  return absl::StrCat(::testing::TempDir(), "/", name);
}

TEST(CheckpointTest, GraphTensorsAndFactsComeBack) {
  Graph graph = Tiny(3);
  Quantization record;
  record.set_format("integer");
  record.set_class_suffix("Integer");
  graph.SetQuantization(graph.FindNode("seq_blocks_2"), record);
  const std::string path = TempPath("tiny.safetensors");
  ASSERT_OK(SaveCheckpoint(path, graph, {{"mase.run", "{}"}}));

  const Checkpoint loaded = ValueOrDie(LoadCheckpoint(path));
  ASSERT_TRUE(loaded.graph.has_value());
  EXPECT_EQ(DiffGraphs(graph, *loaded.graph), "");
  EXPECT_EQ(loaded.contents.metadata.at("mase.run"), "{}");
}

SafeTensors StateDict(const Graph& graph, const std::string& prefix) {
  SafeTensors file;
  for (const GraphTensor& tensor : graph.tensors()) {
    file.tensors.push_back({prefix + tensor.name, tensor.value});
  }
  return file;
}

TEST(CheckpointTest, AStateDictBindsByName) {
  for (const char* prefix : {"", "model."}) {
    const Graph trained = Tiny(9);
    Graph fresh = Tiny(0);
    const BindReport report = ValueOrDie(BindTensors(StateDict(trained, prefix), fresh));
    EXPECT_EQ(DiffGraphs(trained, fresh), "");
    EXPECT_THAT(report.matched, Contains("seq_blocks.2.weight"));
    EXPECT_THAT(report.extra, IsEmpty());
  }
}

TEST(CheckpointTest, ExtraTensorsAreReportedAndCountersMayBeMissing) {
  SafeTensors file = StateDict(Tiny(9), "");
  file.tensors.push_back({"loss.total", Tensor::Zeros(DType::kFloat32, {1})});
  std::erase_if(file.tensors, [](const NamedTensor& tensor) {
    return tensor.name == "seq_blocks.0.num_batches_tracked";
  });
  Graph fresh = Tiny(0);
  const BindReport report = ValueOrDie(BindTensors(file, fresh));
  EXPECT_THAT(report.extra, ElementsAre("loss.total"));
  EXPECT_THAT(report.optional_missing, ElementsAre("seq_blocks.0.num_batches_tracked"));
}

TEST(CheckpointTest, AFileThatDoesNotFitLeavesTheGraphAlone) {
  SafeTensors file = StateDict(Tiny(9), "");
  std::erase_if(file.tensors,
                [](const NamedTensor& tensor) { return tensor.name == "seq_blocks.2.bias"; });
  Graph fresh = Tiny(0);
  EXPECT_THAT(BindTensors(file, fresh),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("lacks 1 tensors of model 'jsc-tiny': seq_blocks.2.bias")));
  file = StateDict(ValueOrDie(BuildModel({"jsc-tiny", {16}, 4, 8, 0})), "");
  EXPECT_THAT(BindTensors(file, fresh),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tensor 'seq_blocks.2.weight' is float32[4, 16], the model wants "
                                 "float32[5, 16]")));
  EXPECT_EQ(DiffGraphs(Tiny(0), fresh), "");
}

TEST(CheckpointTest, AGraphThatContradictsItsTensorsIsCorrupt) {
  SafeTensors file = StateDict(Tiny(0), "");
  file.metadata["mase.graph"] = GraphToText(ValueOrDie(BuildModel({"jsc-toy", {16}, 5, 8, 0})));
  const std::string path = TempPath("contradiction.safetensors");
  ASSERT_OK(WriteSafeTensors(path, file));
  EXPECT_THAT(LoadCheckpoint(path),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("contradiction.safetensors")));
}

}  // namespace
}  // namespace mase
