#include "mase/onnx/export.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "mase/base/files.h"
#include "mase/base/random.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/exec/tensor_store.h"
#include "mase/onnx/exporter.h"
#include "mase/onnx/import.h"

namespace mase {
namespace {

// The results on these inputs.
absl::StatusOr<std::vector<float>> Results(const Graph& graph, Execution execution, int64_t rows,
                                           const std::vector<std::vector<float>>& floats,
                                           const std::vector<std::vector<int64_t>>& ids) {
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, {.execution = execution}));
  std::vector<InputData> inputs;
  for (size_t i = 0; i < floats.size(); ++i) {
    ids[i].empty() ? inputs.emplace_back(floats[i].data()) : inputs.emplace_back(ids[i].data());
  }
  MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kInference, rows, inputs));
  return std::vector<float>(executor->output().begin(), executor->output().end());
}

}  // namespace

absl::StatusOr<ExportedNet> ExportOnnx(const Graph& graph, const OnnxTarget& target) {
  if (target.opset != 17 && target.opset != 21) {
    return absl::InvalidArgumentError(absl::StrCat("opset ", target.opset, ": want 17 or 21"));
  }
  constexpr int64_t kRows = 3;  // Any number; extents that are equal to it by chance do not matter.
  MASE_ASSIGN_OR_RETURN(InferredShapes shapes, InferShapesFor(graph, kRows));
  std::optional<IntegerPlans> plans;
  if (target.form == OnnxForm::kQOperator) {
    TensorStore store(graph, DType::kFloat32);
    MASE_RETURN_IF_ERROR(store.LoadFrom(graph));
    plans.emplace(graph, shapes, store);
  }
  return Exporter(graph, target, std::move(shapes), plans.has_value() ? &*plans : nullptr).Run();
}

absl::StatusOr<double> WriteOnnx(absl::string_view path, const Graph& graph, OnnxForm form,
                                 const ExportedNet& net) {
  const std::string written = absl::StrCat(path, ".tmp-", ::getpid(), ".onnx");
  const absl::Cleanup remove = [&written] { std::remove(written.c_str()); };
  // Nobody asked for that name.
  const auto of_path = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrReplaceAll(status.message(), {{written, path}}));
  };
  MASE_RETURN_IF_ERROR(of_path(WriteFileAtomically(written, net.bytes)));
  const absl::StatusOr<ImportedNet> read = ImportOnnx(written);
  if (!read.ok()) return of_path(read.status());
  constexpr int64_t kRows = 16;
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, kRows));
  TorchGenerator random(1);
  std::vector<std::vector<float>> floats;
  std::vector<std::vector<int64_t>> ids;
  for (const Node* placeholder : graph.placeholders()) {
    const ValueInfo& info = shapes.info(placeholder->outputs()[0]);
    std::vector<float>& numbers = floats.emplace_back(info.shape.elements());
    random.FillNormal(absl::MakeSpan(numbers), 0, 1);
    ids.emplace_back();
    // The first rows of any table.
    if (info.dtype == DType::kInt64) ids.back().assign(numbers.size(), 0);
  }
  const Execution execution = form == OnnxForm::kFloat ? Execution::kFloat : Execution::kSimulated;
  MASE_ASSIGN_OR_RETURN(const std::vector<float> want,
                        Results(graph, execution, kRows, floats, ids));
  MASE_ASSIGN_OR_RETURN(const std::vector<float> got,
                        Results(read->graph, Execution::kSimulated, kRows, floats, ids));
  double largest = 0, difference = got.size() == want.size() ? 0 : HUGE_VAL;
  for (size_t i = 0; i < want.size() && i < got.size(); ++i) {
    largest = std::max<double>(largest, std::fabs(want[i]));
    const bool both_nan = std::isnan(want[i]) && std::isnan(got[i]);
    const double apart = std::fabs(static_cast<double>(want[i]) - got[i]);
    if (!both_nan) difference = std::isnan(apart) ? HUGE_VAL : std::max(difference, apart);
  }
  constexpr double kClose = 1e-5;
  if (!(difference <= kClose * largest)) {
    return absl::InternalError(absl::StrCat("the file, read back, differs from the net by ",
                                            difference, " of ", largest, "; it is not kept"));
  }
  MASE_RETURN_IF_ERROR(WriteNamedFile(path, net.bytes));
  return largest == 0 ? 0.0 : difference / largest;
}

}  // namespace mase
