// Runs nets of ONNX files on arrays, for comparison with other runtimes:
//
//   run_onnx CASES
//   run_onnx --ops          prints docs/reference/onnx.md
//
// A line of the file CASES is MODEL OUT IN...: an ONNX file, the .npy file to write its result to,
// and one for each input, in the order of the graph. For each line one line is printed: "ok", or
// "refused: " and why.
//
// MODEL may be a checkpoint, too. It runs on integer codes, and beside OUT what each node computed
// is written to OUT.NODE.npy.
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/graph/add_output.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/npy.h"
#include "mase/model/checkpoint.h"
#include "mase/onnx/import.h"
#include "mase/onnx/reference.h"

namespace mase {
namespace {

// What the graph computes in its nodes, as results behind its own; gives their names.
absl::StatusOr<std::vector<std::string>> ShowNodes(Graph& graph) {
  std::vector<std::string> names;
  std::vector<Value*> results;
  for (Node* node : graph.NodesInOrder()) {
    if (node->kind() == NodeKind::kOutput) {
      results.insert(results.begin(), node->inputs()[0]);
      MASE_RETURN_IF_ERROR(graph.EraseNode(node));
    } else if (node->kind() != NodeKind::kPlaceholder && !node->Is(OpTrait::kFromShapes) &&
               !node->Is(OpTrait::kStored)) {
      names.push_back(node->name());
      results.push_back(node->outputs()[0]);
    }
  }
  MASE_RETURN_IF_ERROR(AddOutput(graph, results).status());
  return names;
}

absl::Status RunCase(const std::vector<std::string>& words) {
  if (words.size() < 3) return absl::InvalidArgumentError("want MODEL OUT IN...");
  Graph graph("none");
  std::vector<std::string> nodes;
  const bool is_onnx = IsOnnxPath(words[0]);
  if (is_onnx) {
    MASE_ASSIGN_OR_RETURN(ImportedNet net, ImportOnnx(words[0]));
    graph = std::move(net.graph);
  } else {
    MASE_ASSIGN_OR_RETURN(Checkpoint checkpoint, LoadCheckpoint(words[0]));
    if (!checkpoint.graph.has_value()) return absl::InvalidArgumentError("holds no graph");
    graph = *std::move(checkpoint.graph);
    MASE_ASSIGN_OR_RETURN(nodes, ShowNodes(graph));
  }
  std::vector<Tensor> tensors;
  std::vector<InputData> inputs;
  for (size_t i = 2; i < words.size(); ++i) {
    MASE_ASSIGN_OR_RETURN(Tensor tensor, ReadNpy(words[i]));
    tensors.push_back(std::move(tensor));
    inputs.emplace_back(tensors.back().raw_data(), tensors.back().dtype());
  }
  const int64_t rows = tensors[0].shape().rank() == 0 ? 1 : tensors[0].shape()[0];
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, rows));
  const std::vector<Node*> placeholders = graph.placeholders();
  if (placeholders.size() != inputs.size()) {
    return absl::InvalidArgumentError("another number of inputs");
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (shapes.shape(placeholders[i]->outputs()[0]) != tensors[i].shape()) {
      return absl::InvalidArgumentError("an input of another shape");
    }
  }
  MASE_ASSIGN_OR_RETURN(const auto executor,
                        Executor::Create(graph, {.execution = is_onnx ? Execution::kSimulated
                                                                      : Execution::kInteger}));
  MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kInference, rows, inputs));
  const auto write = [&](const std::string& path, int result) {
    return WriteNpy(
        path, Tensor::FromValues<float>(executor->output_shape(result), executor->output(result)));
  };
  for (size_t i = 0; i < nodes.size(); ++i) {
    MASE_RETURN_IF_ERROR(
        write(absl::StrCat(words[1], ".", nodes[i], ".npy"), static_cast<int>(i) + 1));
  }
  return write(words[1], 0);
}

}  // namespace
}  // namespace mase

int main(int argc, char** argv) {
  if (argc == 2 && absl::string_view(argv[1]) == "--ops") {
    return std::printf("%s", mase::OnnxReference().c_str()), 0;
  }
  if (argc != 2) return std::fprintf(stderr, "usage: run_onnx CASES\n"), 2;
  const auto cases = mase::ReadFile(argv[1], int64_t{1} << 26);
  if (!cases.ok()) return std::fprintf(stderr, "%s\n", cases.status().ToString().c_str()), 2;
  for (const absl::string_view line : absl::StrSplit(*cases, '\n', absl::SkipEmpty())) {
    const absl::Status status = mase::RunCase(absl::StrSplit(line, ' '));
    std::string why(status.message());
    why = absl::StrReplaceAll(why, {{"\n", " "}});
    std::printf("%s%s\n", status.ok() ? "ok" : "refused: ", why.c_str());
    std::fflush(stdout);
  }
  return 0;
}
