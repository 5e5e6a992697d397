// Runs nets of ONNX files on arrays, for comparison with other runtimes:
//
//   run_onnx CASES
//   run_onnx --ops          prints docs/reference/onnx.md
//
// A line of the file CASES is MODEL OUT IN...: an ONNX file, the .npy file to write its result to,
// and one for each input, in the order of the graph. For each line one line is printed: "ok", or
// "refused: " and why.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/npy.h"
#include "mase/onnx/import.h"
#include "mase/onnx/reference.h"

namespace mase {
namespace {

absl::Status RunCase(const std::vector<std::string>& words) {
  if (words.size() < 3) return absl::InvalidArgumentError("want MODEL OUT IN...");
  MASE_ASSIGN_OR_RETURN(const ImportedNet net, ImportOnnx(words[0]));
  std::vector<Tensor> tensors;
  std::vector<InputData> inputs;
  for (size_t i = 2; i < words.size(); ++i) {
    MASE_ASSIGN_OR_RETURN(Tensor tensor, ReadNpy(words[i]));
    tensors.push_back(std::move(tensor));
    inputs.emplace_back(tensors.back().raw_data(), tensors.back().dtype());
  }
  const int64_t rows = tensors[0].shape().rank() == 0 ? 1 : tensors[0].shape()[0];
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(net.graph, rows));
  const std::vector<Node*> placeholders = net.graph.placeholders();
  if (placeholders.size() != inputs.size()) {
    return absl::InvalidArgumentError("another number of inputs");
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (shapes.shape(placeholders[i]->outputs()[0]) != tensors[i].shape()) {
      return absl::InvalidArgumentError("an input of another shape");
    }
  }
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(net.graph));
  MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kInference, rows, inputs));
  return WriteNpy(words[1],
                  Tensor::FromValues<float>(executor->output_shape(), executor->output()));
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
