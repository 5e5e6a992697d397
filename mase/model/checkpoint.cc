#include "mase/model/checkpoint.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph_io.h"

namespace mase {
namespace {

constexpr char kGraphFact[] = "mase.graph";

absl::Status CheckFits(const GraphTensor& wanted, const Tensor& found) {
  if (found.dtype() == wanted.value.dtype() && found.shape() == wanted.value.shape()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "tensor '", wanted.name, "' is ", DTypeName(found.dtype()), found.shape().ToString(),
      ", the model wants ", DTypeName(wanted.value.dtype()), wanted.value.shape().ToString()));
}

}  // namespace

absl::Status SaveCheckpoint(absl::string_view path, const Graph& graph,
                            const std::map<std::string, std::string>& facts,
                            const std::vector<NamedTensor>& extra) {
  SafeTensors contents;
  contents.metadata = facts;
  contents.metadata[kGraphFact] = GraphToText(graph);
  for (const GraphTensor& tensor : graph.tensors()) {
    contents.tensors.push_back({tensor.name, tensor.value});
  }
  contents.tensors.insert(contents.tensors.end(), extra.begin(), extra.end());
  return WriteSafeTensors(path, contents);
}

absl::StatusOr<Checkpoint> LoadCheckpoint(absl::string_view path) {
  Checkpoint checkpoint;
  MASE_ASSIGN_OR_RETURN(checkpoint.contents, ReadSafeTensors(path));
  const auto fact = checkpoint.contents.metadata.find(kGraphFact);
  if (fact == checkpoint.contents.metadata.end()) return checkpoint;
  absl::StatusOr<Graph> graph = GraphFromText(fact->second);
  absl::Status status = graph.status();
  if (status.ok()) status = BindTensors(checkpoint.contents, *graph).status();
  if (!status.ok()) {
    // The file contradicts itself, whatever the finding is called elsewhere.
    return absl::DataLossError(absl::StrCat(path, ": ", status.message()));
  }
  checkpoint.graph = *std::move(graph);
  return checkpoint;
}

absl::StatusOr<BindReport> BindTensors(const SafeTensors& file, Graph& graph) {
  absl::flat_hash_map<std::string, const Tensor*> by_name;
  std::vector<std::string> order;
  for (const NamedTensor& tensor : file.tensors) {
    std::string name(absl::StripPrefix(tensor.name, "model."));
    if (graph.FindTensor(tensor.name) != nullptr) name = tensor.name;
    by_name[name] = &tensor.value;
    order.push_back(std::move(name));
  }
  BindReport report;
  std::vector<std::string> missing;
  for (const GraphTensor& wanted : graph.tensors()) {
    const auto it = by_name.find(wanted.name);
    if (it != by_name.end()) {
      MASE_RETURN_IF_ERROR(CheckFits(wanted, *it->second));
      report.matched.push_back(wanted.name);
    } else if (absl::EndsWith(wanted.name, ".num_batches_tracked")) {
      report.optional_missing.push_back(wanted.name);
    } else {
      missing.push_back(wanted.name);
    }
  }
  for (const std::string& name : order) {
    if (graph.FindTensor(name) == nullptr) report.extra.push_back(name);
  }
  if (!missing.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file lacks ", missing.size(), " tensors of model '", graph.name(),
                     "': ", absl::StrJoin(missing, ", "),
                     report.extra.empty()
                         ? ""
                         : absl::StrCat("; it has besides: ", absl::StrJoin(report.extra, ", "))));
  }
  for (const std::string& name : report.matched) {
    const bool buffer = graph.FindTensor(name)->buffer;
    graph.SetTensor(name, *by_name[name], buffer);
  }
  return report;
}

}  // namespace mase
