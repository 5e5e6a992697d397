#include "mase/onnx/reference.h"

#include "absl/strings/str_cat.h"
#include "mase/onnx/onnx_ops.h"

namespace mase {

std::string OnnxReference() {
  std::string text =
      "# ONNX ops that can be read\n\n"
      "What becomes of each op of an ONNX file of opset 7 to 21, by [ops of ours](../ops.md), and "
      "what of it is\nnot read. A file with another op is refused, with the node's name. Written "
      "by\n"
      "`bazel-bin/mase/onnx/run_onnx --ops`; a test compares.\n\n"
      "| op | becomes | only |\n| --- | --- | --- |\n";
  for (const OnnxOp& op : AllOnnxOps()) {
    const std::string domain = op.domain.empty() ? "" : absl::StrCat(" (", op.domain, ")");
    absl::StrAppend(&text, "| `", op.name, "`", domain, " | ", op.becomes, " | ", op.limits,
                    " |\n");
  }
  return text;
}

}  // namespace mase
