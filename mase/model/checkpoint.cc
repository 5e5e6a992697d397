#include "mase/model/checkpoint.h"

#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph_io.h"
#include "mase/interop/tensor_file.h"
#include "mase/model/name_mapping.h"
#include "mase/model/saved_net.h"

namespace mase {
namespace {

// Counts what was converted, by the file's element type and the model's.
class ConversionNotes {
 public:
  void Add(const std::string& from, DType to, const ConvertedTensor& converted) {
    Counts& counts = counts_[absl::StrCat(from, " as ", DTypeName(to))];
    ++counts.tensors;
    counts.numbers += converted.tensor.elements();
    counts.rounded += converted.rounded;
  }

  std::vector<std::string> Take() const {
    std::vector<std::string> notes;
    for (const auto& [types, counts] : counts_) {
      notes.push_back(absl::StrCat(
          counts.tensors, counts.tensors == 1 ? " tensor of " : " tensors of ", types, ": ",
          counts.rounded == 0
              ? "exact"
              : absl::StrCat(counts.rounded, " of ", counts.numbers, " numbers were rounded")));
    }
    return notes;
  }

 private:
  struct Counts {
    int tensors = 0;
    int64_t numbers = 0;
    int64_t rounded = 0;
  };
  std::map<std::string, Counts> counts_;
};

absl::Status Save(absl::string_view path, const Graph& graph,
                  const std::map<std::string, std::string>& facts,
                  std::vector<NamedTensor> tensors) {
  SafeTensors contents;
  contents.metadata = facts;
  contents.metadata[kGraphFact] = GraphToText(graph);
  contents.tensors = std::move(tensors);
  return WriteSafeTensors(path, contents);
}

}  // namespace

absl::Status SaveCheckpoint(absl::string_view path, const Graph& graph,
                            const std::map<std::string, std::string>& facts,
                            const std::vector<NamedTensor>& extra) {
  std::vector<NamedTensor> tensors;
  for (const GraphTensor& tensor : graph.tensors()) tensors.push_back({tensor.name, tensor.value});
  tensors.insert(tensors.end(), extra.begin(), extra.end());
  return Save(path, graph, facts, std::move(tensors));
}

absl::Status SaveCheckpoint(absl::string_view path, const Graph& graph,
                            const std::map<std::string, std::string>& facts,
                            const StoredTensors& stored) {
  return Save(path, graph, facts, stored.tensors);
}

absl::StatusOr<Checkpoint> LoadCheckpoint(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(SafeTensors contents, ReadTensorFile(path));
  return ReadSavedNet(path, std::move(contents));
}

absl::StatusOr<BindReport> BindTensors(const SafeTensors& file, Graph& graph) {
  std::vector<FoundTensor> found;
  absl::flat_hash_map<std::string, const Tensor*> read;
  absl::flat_hash_map<std::string, const UnreadTensor*> unread;
  for (const NamedTensor& tensor : file.tensors) {
    found.push_back({tensor.name, tensor.value.shape()});
    read[tensor.name] = &tensor.value;
  }
  for (const UnreadTensor& tensor : file.unread) {
    found.push_back({tensor.name, tensor.shape});
    unread[tensor.name] = &tensor;
  }
  MASE_ASSIGN_OR_RETURN(const NameMapping names, MapNames(found, graph));

  BindReport report;
  ConversionNotes conversions;
  std::vector<std::pair<std::string, Tensor>> values;
  std::vector<std::string> misfits;
  absl::flat_hash_set<std::string> used;
  for (const GraphTensor& wanted : graph.tensors()) {
    const auto it = names.found.find(wanted.name);
    if (it == names.found.end()) {
      report.optional_missing.push_back(wanted.name);
      continue;
    }
    const std::string& name = it->second;
    used.insert(name);
    const auto tensor = read.find(name);
    if (tensor == read.end()) {
      const UnreadTensor& other = *unread[name];
      misfits.push_back(absl::StrCat("tensor '", name, "' is ", other.type, other.shape.ToString(),
                                     ", a type that is not read; save it as F32"));
      continue;
    }
    absl::StatusOr<ConvertedTensor> value = ConvertFor(*tensor->second, wanted.value);
    if (!value.ok()) {
      misfits.push_back(absl::StrCat("tensor '", name, "' ", value.status().message()));
      continue;
    }
    const std::string type = file.TypeOf(name, *tensor->second);
    if (type != file.TypeOf("", value->tensor)) conversions.Add(type, wanted.value.dtype(), *value);
    values.emplace_back(wanted.name, std::move(value->tensor));
    report.matched.push_back(wanted.name);
    if (name != wanted.name) report.renamed.emplace_back(name, wanted.name);
  }
  if (!misfits.empty()) return absl::InvalidArgumentError(absl::StrJoin(misfits, "\n"));
  for (auto& [name, value] : values) {
    graph.SetTensor(name, std::move(value), graph.FindTensor(name)->buffer);
  }
  for (const FoundTensor& tensor : found) {
    if (!used.contains(tensor.name)) report.extra.push_back(tensor.name);
  }
  if (!names.reason.empty()) report.notes.push_back(names.reason);
  report.notes.insert(report.notes.end(), file.notes.begin(), file.notes.end());
  absl::c_move(conversions.Take(), std::back_inserter(report.notes));
  return report;
}

}  // namespace mase
