#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/run_net.h"
#include "mase/graph/graph_hash.h"
#include "mase/graph/verifier.h"
#include "mase/model/zoo.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/conformance_checks.h"
#include "mase/plugin/random_graph.h"

namespace mase {
namespace {

constexpr int64_t kRows = 8;  // Of the data that passes get.

// Random rows, and nets that run; what is said and written is kept for comparison.
class KitHost final : public PassHost {
 public:
  KitHost(const Graph& graph, PassSource& passes) : passes_(passes) {
    for (const Node* placeholder : graph.placeholders()) {
      Shape shape = placeholder->outputs()[0]->shape();
      if (shape.rank() == 0) continue;
      shape.set_dim(0, kRows);
      inputs_[placeholder->name()] =
          Tensor::FromValues<float>(shape, RandomFloats(shape.elements(), 1, 2));
    }
  }

  absl::StatusOr<std::map<std::string, Tensor>> DummyBatch() override { return inputs_; }
  absl::StatusOr<SampleRows> Samples(int64_t rows, absl::string_view) override {
    SampleRows samples = {{}, Tensor::Zeros(DType::kInt64, {std::min(rows, kRows)}), "random rows"};
    for (const auto& [name, tensor] : inputs_) {
      samples.inputs[name] = tensor.Rows(0, std::min(rows, kRows));
    }
    return samples;
  }
  absl::StatusOr<std::map<std::string, Tensor>> RunNet(
      const Graph& graph, const std::map<std::string, Tensor>& inputs,
      absl::Span<const std::string> nodes) override {
    return NodeValues(graph, inputs, nodes, kRows);
  }
  absl::StatusOr<const PassInfo*> LookUpPass(absl::string_view name) override {
    return passes_.LookUp(name);
  }
  void Print(absl::string_view text) override { absl::StrAppend(&said, text); }
  void Show(const Table& table, absl::string_view) override { absl::StrAppend(&said, table.Csv()); }
  absl::Status WriteArtifact(absl::string_view path, absl::string_view contents) override {
    absl::StrAppend(&said, path, "\n", contents);
    return absl::OkStatus();
  }
  absl::Status WriteGraph(absl::string_view path, const Graph& graph) override {
    absl::StrAppend(&said, path, "\n", HashGraph(graph));
    return absl::OkStatus();
  }

  std::string said;

 private:
  PassSource& passes_;
  std::map<std::string, Tensor> inputs_;
};

// What one run came to: its error, or all that it said and left.
struct Ran {
  absl::Status status;
  std::string outcome;
};

Ran RunOnce(const PassInfo& info, PassSource& passes, const Graph& original) {
  google::protobuf::RepeatedPtrField<PassConfig> config;
  config.Add()->set_name(info.name);
  config[0].set_allow_unchanged(true);
  const absl::StatusOr<Pipeline> pipeline = BuildPipeline(config, passes);
  if (!pipeline.ok()) return {pipeline.status(), ""};
  Graph graph = original.Clone();
  KitHost host(graph, passes);
  RunReport report;
  const absl::Status status = RunPipeline(*pipeline, graph, host, &report);
  if (!status.ok()) return {status, ""};
  for (PassReport& pass : *report.mutable_passes()) pass.clear_seconds();
  std::string text;
  google::protobuf::TextFormat::PrintToString(report, &text);
  return {VerifyGraph(graph), absl::StrCat(HashGraph(graph), "\n", text, host.said)};
}

// A pass may refuse a net, by an error that says something. What the pipeline calls a bug is one.
absl::Status CheckOn(const PassInfo& info, PassSource& passes, const Graph& graph,
                     absl::string_view net) {
  const Ran first = RunOnce(info, passes, graph), second = RunOnce(info, passes, graph);
  if (first.status.code() != second.status.code() ||
      first.status.message() != second.status.message() || first.outcome != second.outcome) {
    return Wrong(net, ": two runs differ");
  }
  if (absl::IsInternal(first.status) || absl::IsUnknown(first.status)) {
    return Annotate(first.status, net);
  }
  if (!first.status.ok() && first.status.message().size() < info.name.size() + 4) {
    return Wrong(net, ": an error that says nothing, '", first.status.message(), "'");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status OptionsRoundTrip(const PassInfo& info) {
  const std::unique_ptr<google::protobuf::Message> given(info.options->New());
  const std::unique_ptr<google::protobuf::Message> read(info.options->New());
  std::string text;
  google::protobuf::Any any;
  any.PackFrom(*given);
  if (!google::protobuf::TextFormat::PrintToString(*given, &text) ||
      !google::protobuf::TextFormat::ParseFromString(text, read.get()) ||
      !google::protobuf::util::MessageDifferencer::Equals(*given, *read) ||
      !any.UnpackTo(read.get()) ||
      !google::protobuf::util::MessageDifferencer::Equals(*given, *read)) {
    return Wrong(info.options->GetTypeName(), " is not read as it was written");
  }
  // Defaults that its annotations forbid, and options that cannot be left out, are told apart.
  const auto pass = CreatePass(info, {});
  return pass.ok() || absl::IsInvalidArgument(pass.status()) || absl::IsNotFound(pass.status())
             ? absl::OkStatus()
             : pass.status();
}

absl::Status OnZoo(const PassInfo& info, PassSource& passes) {
  for (const ZooEntry& entry : ZooModels()) {
    if (entry.layers.empty()) continue;  // Nets of millions of parameters.
    const bool jets = entry.family == "jet substructure";
    const Shape input = jets ? Shape({16}) : Shape({1, 2, 2});
    const absl::StatusOr<Graph> graph =
        BuildModel({.model = std::string(entry.name), .input = input, .classes = jets ? 5 : 2});
    if (!graph.ok()) continue;  // Made for another input.
    MASE_RETURN_IF_ERROR(CheckOn(info, passes, *graph, entry.name));
  }
  return absl::OkStatus();
}

absl::Status OnRandomGraphs(const PassInfo& info, PassSource& passes) {
  for (int seed = 0; seed < kConformanceGraphs; ++seed) {
    MASE_ASSIGN_OR_RETURN(const Graph graph, RandomGraph(static_cast<uint32_t>(seed)));
    MASE_RETURN_IF_ERROR(CheckOn(info, passes, graph, absl::StrCat("random graph ", seed)));
  }
  return absl::OkStatus();
}

}  // namespace mase
