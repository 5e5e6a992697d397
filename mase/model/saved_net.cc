#include "mase/model/saved_net.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/shared_format.h"
#include "mase/graph/graph_io.h"
#include "mase/model/stored_codes.h"
#include "mase/tensor/convert.h"

namespace mase {
namespace {

absl::StatusOr<ConvertedTensor> FitFloat32(const Tensor& found) {
  ConvertedTensor result{Tensor(DType::kFloat32, found.shape())};
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
absl::StatusOr<ConvertedTensor> FitInt64(const Tensor& found) {
  ConvertedTensor result{Tensor(DType::kInt64, found.shape())};
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

}  // namespace

absl::StatusOr<ConvertedTensor> ConvertFor(const Tensor& found, const Tensor& wanted) {
  const bool is_float = found.dtype() == DType::kFloat64 || found.dtype() == DType::kBFloat16;
  if (found.shape() == wanted.shape()) {
    if (found.dtype() == wanted.dtype()) return ConvertedTensor{found};
    if (wanted.dtype() == DType::kFloat32 && is_float) return FitFloat32(found);
    if (wanted.dtype() == DType::kInt64) return FitInt64(found);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("is ", DTypeName(found.dtype()), found.shape().ToString(), ", the model wants ",
                   DTypeName(wanted.dtype()), wanted.shape().ToString()));
}

namespace {

// Puts the file's tensors into the graph, by their names.
absl::Status PutTensors(const SafeTensors& contents, Graph& graph) {
  absl::flat_hash_map<std::string, const Tensor*> found;
  for (const NamedTensor& tensor : contents.tensors) found[tensor.name] = &tensor.value;
  std::vector<std::pair<std::string, Tensor>> values;
  for (const GraphTensor& wanted : graph.tensors()) {
    const auto tensor = found.find(wanted.name);
    if (tensor == found.end()) {
      return absl::NotFoundError(absl::StrCat("lacks tensor '", wanted.name, "' of its net"));
    }
    auto value = ConvertFor(*tensor->second, wanted.value);
    if (!value.ok()) {
      return Annotate(value.status(), absl::StrCat("tensor '", wanted.name, "'"));
    }
    values.emplace_back(wanted.name, std::move(value->tensor));
  }
  for (auto& [name, value] : values) {
    graph.SetTensor(name, std::move(value), graph.FindTensor(name)->buffer);
  }
  return absl::OkStatus();
}

// A record of a format that cannot be would be found where the net is computed, by whoever does not
// know the file. One of a plugin that is not open may be as it should.
absl::Status CheckRecords(const Graph& graph) {
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (node->quantization() == nullptr) continue;
    for (const OperandFormat& operand : node->quantization()->operand()) {
      const absl::Status made = SharedFormat(operand.format()).status();
      if (!absl::IsInvalidArgument(made)) continue;
      return Annotate(made, absl::StrCat(node->name(), " (", node->op(), "): ", operand.operand()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Checkpoint> ReadSavedNet(absl::string_view path, SafeTensors contents) {
  Checkpoint checkpoint;
  checkpoint.contents = std::move(contents);
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
  if (status.ok()) status = CheckRecords(*graph);
  if (status.ok()) status = DecodeTensors(*graph, checkpoint.contents);
  if (status.ok()) status = PutTensors(checkpoint.contents, *graph);
  if (!status.ok()) {
    // The file contradicts itself, whatever the finding is called elsewhere.
    return absl::DataLossError(absl::StrCat(path, ": ", status.message()));
  }
  checkpoint.graph = *std::move(graph);
  return checkpoint;
}

}  // namespace mase
