#include "mase/model/name_mapping.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Graph Build(const std::string& model) { return ValueOrDie(BuildModel({model, {16}, 5, 8, 0})); }

// The graph's tensors under these names.
template <typename Rename>
std::vector<FoundTensor> Renamed(const Graph& graph, Rename rename) {
  std::vector<FoundTensor> file;
  for (const GraphTensor& tensor : graph.tensors()) {
    file.push_back({rename(tensor.name), tensor.value.shape()});
  }
  return file;
}

std::vector<FoundTensor> Prefixed(const Graph& graph, const std::string& prefix) {
  return Renamed(graph, [&](const std::string& name) { return prefix + name; });
}

void Append(std::vector<FoundTensor>& file, const std::vector<FoundTensor>& more) {
  file.insert(file.end(), more.begin(), more.end());
}

TEST(NameMappingTest, EqualNamesNeedNoReason) {
  const Graph graph = Build("jsc-tiny");
  std::vector<FoundTensor> file = Prefixed(graph, "");
  Append(file, Prefixed(graph, "ema."));
  Append(file, Prefixed(graph, "model."));
  const NameMapping mapping = ValueOrDie(MapNames(file, graph));
  EXPECT_EQ(mapping.reason, "");
  EXPECT_EQ(mapping.found.at("seq_blocks.2.weight"), "seq_blocks.2.weight");
}

TEST(NameMappingTest, APrefixOfAllIsTakenAwayAndSaid) {
  const Graph graph = Build("jsc-tiny");
  for (const char* prefix : {"module.", "_orig_mod.", "model.", "model._orig_mod.",
                             "module._orig_mod.", "_orig_mod.module.model.", "encoder.body."}) {
    std::vector<FoundTensor> file = Prefixed(graph, prefix);
    file.push_back({"loss.total", {1}});
    const NameMapping mapping = ValueOrDie(MapNames(file, graph));
    EXPECT_EQ(mapping.reason, absl::StrCat("names in the file begin with '", prefix, "'"));
    EXPECT_EQ(mapping.found.size(), graph.tensors().size());
    EXPECT_EQ(mapping.found.at("seq_blocks.2.weight"), absl::StrCat(prefix, "seq_blocks.2.weight"));
  }
}

TEST(NameMappingTest, WrappersGoBeforeOtherPrefixesAndTwoOfAKindAreRefused) {
  const Graph graph = Build("jsc-tiny");
  std::vector<FoundTensor> file = Prefixed(graph, "ema.");
  Append(file, Prefixed(graph, "model."));
  EXPECT_EQ(ValueOrDie(MapNames(file, graph)).found.at("seq_blocks.2.bias"),
            "model.seq_blocks.2.bias");
  Append(file, Prefixed(graph, "module."));
  EXPECT_THAT(MapNames(file, graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("under the prefixes 'ema.', 'model.', 'module.'")));
}

TEST(NameMappingTest, CountersMayBeMissing) {
  const Graph graph = Build("jsc-tiny");
  std::vector<FoundTensor> file = Prefixed(graph, "model.");
  std::erase_if(file, [](const FoundTensor& tensor) { return MayBeMissing(tensor.name); });
  const NameMapping mapping = ValueOrDie(MapNames(file, graph));
  EXPECT_FALSE(mapping.found.contains("seq_blocks.0.num_batches_tracked"));
  EXPECT_EQ(mapping.found.size(), graph.tensors().size() - 1);
}

// "seq_blocks.2.weight" as "net.7.weight": the module's number becomes 2 * number + 3.
std::string Renumbered(const std::string& prefix, const std::string& name) {
  const std::string rest = name.substr(std::string("seq_blocks.").size());
  const size_t dot = rest.find('.');
  return absl::StrCat(prefix, 2 * std::stoi(rest.substr(0, dot)) + 3, rest.substr(dot));
}

TEST(NameMappingTest, NumberedModulesAreTakenInOrder) {
  // Two layers of one shape, whose order alone tells them apart; 10 comes after 9.
  const Graph graph = Build("Linear 16, ReLU, Linear 16, ReLU, BN, Linear 5");
  for (const char* prefix : {"", "net.", "model.layers."}) {
    std::vector<FoundTensor> file =
        Renamed(graph, [&](const std::string& name) { return Renumbered(prefix, name); });
    std::sort(file.begin(), file.end(),
              [](const FoundTensor& a, const FoundTensor& b) { return a.name < b.name; });
    const NameMapping mapping = ValueOrDie(MapNames(file, graph));
    EXPECT_EQ(mapping.reason,
              absl::StrCat("numbered modules taken in order: ", prefix, "3 = seq_blocks.0, ",
                           prefix, "7 = seq_blocks.2, ", prefix, "11 = seq_blocks.4, ..."));
    EXPECT_EQ(mapping.found.size(), graph.tensors().size());
    for (const auto& [wanted, found] : mapping.found) {
      EXPECT_EQ(found, Renumbered(prefix, wanted));
    }
  }
}

TEST(NameMappingTest, NumberedModulesOfOtherShapesAreNotTaken) {
  const Graph graph = Build("Linear 32, ReLU, Linear 5");
  const Graph other = Build("Linear 32, ReLU, Linear 32, ReLU, Linear 5");
  const auto plain = [](const std::string& name) {
    return name.substr(std::string("seq_blocks.").size());
  };
  EXPECT_THAT(MapNames(Renamed(other, plain), graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("lacks 4 of the 4 tensors"),
                             HasSubstr("seq_blocks.0.weight [32, 16]"), HasSubstr("4.bias [5]"))));
  // Two sequences that fit.
  std::vector<FoundTensor> file =
      Renamed(graph, [&](const std::string& name) { return "a." + plain(name); });
  Append(file, Renamed(graph, [&](const std::string& name) { return "b." + plain(name); }));
  EXPECT_THAT(MapNames(file, graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("more than one sequence of modules that could be model")));
}

TEST(NameMappingTest, BranchesWithEqualModulesHaveNoOrder) {
  Graph graph("branches");
  const auto add = [&](NodeSpec spec) {
    return ValueOrDie(graph.AddNode(std::move(spec)))->outputs()[0];
  };
  Value* x = add({.name = "x",
                  .kind = NodeKind::kPlaceholder,
                  .op = "placeholder",
                  .target = "x",
                  .attributes = {{"shape", std::vector<int64_t>{8, 16}}}});
  std::vector<Value*> ends;
  for (const char* name : {"left", "right"}) {
    graph.SetTensor(absl::StrCat(name, ".weight"), Tensor::Zeros(DType::kFloat32, {16, 16}), false);
    ends.push_back(add({.name = name,
                        .op = "linear",
                        .target = name,
                        .inputs = {x},
                        .attributes = {{"in_features", int64_t{16}}, {"out_features", int64_t{16}}},
                        .parameters = {{"weight", absl::StrCat(name, ".weight")}}}));
  }
  add({.name = "add", .kind = NodeKind::kCallFunction, .op = "add", .inputs = ends});
  const std::vector<FoundTensor> file = {{"0.weight", {16, 16}}, {"1.weight", {16, 16}}};
  EXPECT_THAT(MapNames(file, graph), StatusIs(absl::StatusCode::kInvalidArgument,
                                              HasSubstr("which is which cannot be told")));
}

TEST(NameMappingTest, WhatLacksIsPrintedBesideWhatThereIs) {
  const Graph graph = Build("jsc-tiny");
  std::vector<FoundTensor> file = Prefixed(graph, "model.");
  for (FoundTensor& tensor : file) {
    if (tensor.name == "model.seq_blocks.2.weight") tensor.name = "model.fc.weight";
  }
  EXPECT_THAT(MapNames(file, graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("lacks 1 of the 6 tensors of model 'jsc-tiny':\nWanted"),
                             HasSubstr("seq_blocks.2.weight [5, 16]  model.fc.weight [5, 16]"),
                             Not(HasSubstr("bias")))));
}

}  // namespace
}  // namespace mase
