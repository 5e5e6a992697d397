#include "mase/cli/export_action.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/onnx/export.h"
#include "mase/run/open_model.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

struct FormEntry {
  absl::string_view name;
  OnnxForm form;
};
constexpr FormEntry kForms[] = {
    {"onnx", OnnxForm::kFloat},
    {"qdq", OnnxForm::kQdq},
    {"qonnx", OnnxForm::kQonnx},
};

absl::StatusOr<OnnxForm> FindForm(const std::string& name) {
  std::vector<std::string> names;
  for (const FormEntry& entry : kForms) {
    if (entry.name == name) return entry.form;
    names.emplace_back(entry.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name.empty() ? "export wants a form" : absl::StrCat("no form '", name, "'"),
                   Suggest(name, names), ": ch export ", absl::StrJoin(names, "|"),
                   " --load=CHECKPOINT --out=FILE"));
}

class ExportAction : public Action {
 public:
  explicit ExportAction(std::string form) : form_(std::move(form)) {}

  absl::string_view name() const override { return "export"; }
  absl::string_view usage() const override {
    return "onnx|qdq|qonnx --load=CHECKPOINT --out=FILE [flags]";
  }
  absl::string_view summary() const override {
    return "write a net as an ONNX file, read it back and compare";
  }
  absl::string_view examples() const override {
    return "ch export onnx --load=best.safetensors --out=net.onnx\n"
           "ch export qdq --load=mase_output/quantized --out=net.onnx\n"
           "ch export qonnx --load=transformed.safetensors --out=net.onnx\n";
  }
  google::protobuf::Message* own_flags() override { return &flags_; }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    MASE_ASSIGN_OR_RETURN(const OnnxForm form, FindForm(form_));
    if (flags_.out().empty()) return absl::InvalidArgumentError("export wants --out=FILE");
    MASE_ASSIGN_OR_RETURN(const auto opened, OpenCheckpoint(settings.config.model(), reporter()));
    if (!opened.has_value() || !opened->checkpoint.graph.has_value()) {
      return absl::InvalidArgumentError(
          "export wants --load=CHECKPOINT: a file with a net, or a run's directory");
    }
    const Graph& graph = *opened->checkpoint.graph;
    MASE_ASSIGN_OR_RETURN(const ExportedNet net, ExportOnnx(graph, form));
    MASE_ASSIGN_OR_RETURN(const double difference, WriteOnnx(flags_.out(), graph, form, net));
    for (const std::string& note : net.notes) reporter().Warn(note);
    reporter().Info(absl::StrCat("Wrote ", flags_.out(), ": ", graph.node_count(), " nodes, ",
                                 net.rounded, " rounded operands, ", net.bytes.size(), " bytes"));
    reporter().Info(absl::StrFormat(
        "Read back: largest difference %.1e of the largest result, on 16 rows of random numbers",
        difference));
    RunResult run = {.report = begun};
    return Finish(run);
  }

 private:
  const std::string form_;
  ExportFlags flags_;
};

}  // namespace

std::unique_ptr<Action> MakeExportAction(const std::string& form) {
  return std::make_unique<ExportAction>(form);
}

}  // namespace mase
