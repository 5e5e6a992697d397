#include "mase/model/checkpoint.h"

#include <cmath>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/graph/graph_diff.h"
#include "mase/graph/graph_io.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

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
                       HasSubstr("lacks 1 of the 6 tensors of model 'jsc-tiny':")));
  file = StateDict(ValueOrDie(BuildModel({"jsc-tiny", {16}, 4, 8, 0})), "");
  EXPECT_THAT(BindTensors(file, fresh),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("tensor 'seq_blocks.2.weight' is float32[4, 16], the model "
                                       "wants float32[5, 16]"),
                             HasSubstr("tensor 'seq_blocks.2.bias' is float32[4]"))));
  EXPECT_EQ(DiffGraphs(Tiny(0), fresh), "");
}

// A state dict of jsc-tiny with this tensor in the place of the file's own.
SafeTensors WithTensor(const std::string& name, const Tensor& value) {
  SafeTensors file = StateDict(Tiny(9), "");
  for (NamedTensor& tensor : file.tensors) {
    if (tensor.name == name) tensor.value = value;
  }
  return file;
}

TEST(CheckpointTest, OtherElementTypesBecomeTheModels) {
  const std::string bias = "seq_blocks.2.bias";
  Graph graph = Tiny(0);
  // Half of the last bit is a tie, which goes to the even neighbour.
  const double doubles[] = {1, 1 + 0x1p-24, 1 + 0x1.8p-23, -0x1p-149, 1e30};
  BindReport report =
      ValueOrDie(BindTensors(WithTensor(bias, Tensor::FromValues<double>({5}, doubles)), graph));
  EXPECT_THAT(report.notes, ElementsAre("1 tensor of F64 as float32: 3 of 5 numbers were rounded"));
  EXPECT_THAT(graph.FindTensor(bias)->value.data<float>(),
              ElementsAre(1, 1, 1 + 0x1p-22f, -0x1p-149f, 1e30f));

  Tensor brain(DType::kBFloat16, {5});
  const uint16_t halves[] = {0x3f80, 0xc000, 0x0001, 0x7f80, 0x8000};
  std::memcpy(brain.mutable_raw_data(), halves, sizeof(halves));
  report = ValueOrDie(BindTensors(WithTensor(bias, brain), graph));
  EXPECT_THAT(report.notes, ElementsAre("1 tensor of BF16 as float32: exact"));
  EXPECT_TRUE(BitEqual(graph.FindTensor(bias)->value,
                       Tensor::FromValues<float>({5}, {1, -2, 0x1p-133f, HUGE_VALF, -0.0f})));

  const std::string counter = "seq_blocks.0.num_batches_tracked";
  ASSERT_OK(BindTensors(WithTensor(counter, Tensor::FromValues<int32_t>({}, {12})), graph));
  EXPECT_EQ(graph.FindTensor(counter)->value.data<int64_t>()[0], 12);
  ASSERT_OK(BindTensors(WithTensor(counter, Tensor::FromValues<float>({}, {13})), graph));
  EXPECT_EQ(graph.FindTensor(counter)->value.data<int64_t>()[0], 13);
}

TEST(CheckpointTest, TypesThatDoNotBecomeTheModelsAreNamed) {
  Graph graph = Tiny(0);
  EXPECT_THAT(BindTensors(WithTensor("seq_blocks.2.bias",
                                     Tensor::FromValues<double>({5}, {1, 2, 3, 4, 1e39})),
                          graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tensor 'seq_blocks.2.bias' holds 1e+39, which is beyond")));
  EXPECT_THAT(BindTensors(WithTensor("seq_blocks.2.bias", Tensor(DType::kInt32, {5})), graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("is int32[5], the model wants float32[5]")));
  EXPECT_THAT(BindTensors(WithTensor("seq_blocks.0.num_batches_tracked",
                                     Tensor::FromValues<float>({}, {0.5f})),
                          graph),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("holds 0.5")));
  SafeTensors file = StateDict(Tiny(9), "");
  std::erase_if(file.tensors,
                [](const NamedTensor& tensor) { return tensor.name == "seq_blocks.2.bias"; });
  file.unread.push_back({"seq_blocks.2.bias", "F8_E4M3", {5}});
  EXPECT_THAT(BindTensors(file, graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tensor 'seq_blocks.2.bias' is F8_E4M3[5], a type that is not "
                                 "read; save it as F32")));
  file = StateDict(Tiny(9), "");
  file.unread.push_back({"ema.scale", "F8_E4M3", {5}});
  EXPECT_THAT(ValueOrDie(BindTensors(file, graph)).extra, ElementsAre("ema.scale"));
}

// Whoever computes the net does not know which file it is from.
TEST(CheckpointTest, ARecordOfAFormatThatCannotBeIsCorrupt) {
  Graph graph = Tiny(3);
  Quantization record;
  record.set_format("integer");
  OperandFormat* operand = record.add_operand();
  operand->set_operand("weight");
  operand->mutable_format()->mutable_integer()->set_width(99);
  graph.SetQuantization(graph.FindNode("seq_blocks_2"), record);
  const std::string path = TempPath("forged.safetensors");
  ASSERT_OK(SaveCheckpoint(path, graph, {}));
  EXPECT_THAT(LoadCheckpoint(path),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(StartsWith(path + ": seq_blocks_2 (linear): weight: "),
                             HasSubstr("width 99"))));
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
