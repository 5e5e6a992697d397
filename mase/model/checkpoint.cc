#include "mase/model/checkpoint.h"

#include <cmath>
#include <iterator>
#include <map>
#include <optional>
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
#include "mase/tensor/convert.h"

namespace mase {
namespace {

constexpr char kGraphFact[] = "mase.graph";

// A tensor whose element type was not the net's.
struct Converted {
  Tensor tensor;
  int64_t rounded = 0;  // Numbers that changed.
};

absl::StatusOr<Converted> FitFloat32(const Tensor& found) {
  Converted result{Tensor(DType::kFloat32, found.shape())};
  const absl::Span<float> out = result.tensor.mutable_data<float>();
  std::optional<double> too_large;
  VisitNumbers(found, [&](size_t i, double number) {
    out[i] = static_cast<float>(number);
    if (std::isinf(out[i]) && !std::isinf(number)) too_large = number;
    if (out[i] != number && !std::isnan(number)) ++result.rounded;
  });
  if (!too_large.has_value()) return result;
  return absl::InvalidArgumentError(
      absl::StrCat("holds ", *too_large, ", which is beyond the largest float32"));
}

// Counters may have become floats with the rest of a state dict.
absl::StatusOr<Converted> FitInt64(const Tensor& found) {
  Converted result{Tensor(DType::kInt64, found.shape())};
  const absl::Span<int64_t> out = result.tensor.mutable_data<int64_t>();
  std::optional<double> no_integer;
  VisitNumbers(found, [&](size_t i, double number) {
    const bool is_integer = std::abs(number) <= 0x1p53 && number == std::floor(number);
    if (!is_integer) no_integer = number;
    out[i] = is_integer ? static_cast<int64_t>(number) : 0;
  });
  if (!no_integer.has_value()) return result;
  return absl::InvalidArgumentError(
      absl::StrCat("holds ", *no_integer, ", the model wants an integer"));
}

// `found` as the model has it, or an error that continues "tensor 'NAME' ".
absl::StatusOr<Converted> Fit(const Tensor& found, const Tensor& wanted) {
  const bool is_float = found.dtype() == DType::kFloat64 || found.dtype() == DType::kBFloat16;
  if (found.shape() == wanted.shape()) {
    if (found.dtype() == wanted.dtype()) return Converted{found};
    if (wanted.dtype() == DType::kFloat32 && is_float) return FitFloat32(found);
    if (wanted.dtype() == DType::kInt64) return FitInt64(found);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("is ", DTypeName(found.dtype()), found.shape().ToString(), ", the model wants ",
                   DTypeName(wanted.dtype()), wanted.shape().ToString()));
}

// Counts what was converted, by the file's element type and the model's.
class ConversionNotes {
 public:
  void Add(const std::string& from, DType to, const Converted& converted) {
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
  Checkpoint checkpoint;
  MASE_ASSIGN_OR_RETURN(checkpoint.contents, ReadTensorFile(path));
  const auto recipe = checkpoint.contents.metadata.find(kRecipeFact);
  if (recipe != checkpoint.contents.metadata.end()) {
    absl::StatusOr<DataRecipe> read = ReadRecipe(recipe->second);
    if (!read.ok()) return Annotate(read.status(), path);
    checkpoint.recipe = *std::move(read);
  }
  const auto fact = checkpoint.contents.metadata.find(kGraphFact);
  if (fact == checkpoint.contents.metadata.end()) return checkpoint;
  absl::StatusOr<Graph> graph = GraphFromText(fact->second);
  absl::Status status = graph.status();
  if (status.ok()) status = DecodeTensors(*graph, checkpoint.contents);
  if (status.ok()) status = BindTensors(checkpoint.contents, *graph).status();
  if (!status.ok()) {
    // The file contradicts itself, whatever the finding is called elsewhere.
    return absl::DataLossError(absl::StrCat(path, ": ", status.message()));
  }
  checkpoint.graph = *std::move(graph);
  return checkpoint;
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
    absl::StatusOr<Converted> value = Fit(*tensor->second, wanted.value);
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
  absl::c_move(conversions.Take(), std::back_inserter(report.notes));
  return report;
}

}  // namespace mase
