#include "mase/cli/export_action.h"

#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/cli/plugin_flags.h"
#include "mase/export_c/export_c.h"
#include "mase/onnx/export.h"
#include "mase/onnx/import.h"
#include "mase/run/open_model.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

// Refuses to write over what is there, before any work.
absl::Status CheckFree(const std::string& path, const ExportFlags& flags) {
  struct stat found;
  if (flags.overwrite() || lstat(path.c_str(), &found) != 0) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat(path, " exists; --overwrite replaces it, or give another --out"));
}

template <OnnxForm kForm>
absl::Status WriteOnnxFile(const Graph& graph, const ExportFlags& flags, Reporter& reporter) {
  const std::string& out = flags.out();
  if (!IsOnnxPath(out)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out=", out, ": want a name that ends in .onnx, as readers ask for"));
  }
  MASE_RETURN_IF_ERROR(CheckFree(out, flags));
  const OnnxTarget target = {kForm, flags.has_opset() ? flags.opset() : OnnxTarget().opset};
  MASE_ASSIGN_OR_RETURN(const ExportedNet net, ExportOnnx(graph, target));
  if (kForm != OnnxForm::kFloat && net.rounded == 0) {
    return absl::FailedPreconditionError(
        "the net rounds nothing: quantize it first (ch transform), or write it as onnx");
  }
  for (const std::string& note : net.notes) reporter.Warn(note);
  const std::string what = absl::StrCat(out, ": ", graph.node_count(), " nodes, ", net.rounded,
                                        " rounded operands, ", net.bytes.size(), " bytes");
  if (flags.dry_run()) {
    reporter.Info(absl::StrCat("Would write ", what));
    return absl::OkStatus();
  }
  MASE_ASSIGN_OR_RETURN(const double difference, WriteOnnx(out, graph, kForm, net));
  reporter.Info(absl::StrCat("Wrote ", what));
  reporter.Info(absl::StrFormat(
      "Read back: largest difference %.1e of the largest result, on 16 rows of random numbers",
      difference));
  return absl::OkStatus();
}

// NAME.h, NAME.c and NAME_test.c into the folder `out`, which is called NAME.
absl::Status WriteCFolder(const Graph& graph, const ExportFlags& flags, Reporter& reporter) {
  const std::string folder(absl::StripSuffix(flags.out(), "/"));
  const std::string name = folder.substr(folder.rfind('/') + 1);
  const auto path = [&](absl::string_view end) { return absl::StrCat(folder, "/", name, end); };
  for (const absl::string_view end : {".h", ".c", "_test.c"}) {
    MASE_RETURN_IF_ERROR(CheckFree(path(end), flags));
  }
  if (flags.has_opset()) return absl::InvalidArgumentError("--opset is for ONNX files");
  MASE_ASSIGN_OR_RETURN(const CProgram program, ExportC(graph, name));
  Table memory("memory", "What it needs besides its code", {{"memory"}, {"bytes"}});
  memory.AddRow({"flash: tables of constants", program.constant_bytes});
  memory.AddRow({"RAM that is kept", int64_t{0}});
  memory.AddRow({"stack: buffers between layers", program.stack_bytes});
  reporter.Show(memory, "");
  const std::string files =
      absl::StrCat(folder, "/", name, ".h, ", name, ".c and ", name, "_test.c");
  if (flags.dry_run()) {
    reporter.Info(absl::StrCat("Would write ", files));
    return absl::OkStatus();
  }
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) return FileError(folder, "make", errno);
  MASE_RETURN_IF_ERROR(WriteNamedFile(path(".h"), program.header));
  MASE_RETURN_IF_ERROR(WriteNamedFile(path(".c"), program.source));
  MASE_RETURN_IF_ERROR(WriteNamedFile(path("_test.c"), program.test));
  reporter.Info(absl::StrCat("Wrote ", files));
  reporter.Info(absl::StrCat(name, "(x, y) takes a row of ", program.inputs,
                             " numbers as the net reads them and gives ", program.outputs));
  if (program.on_codes) {
    reporter.Info(absl::StrCat(name, "_codes(c, y) is the part of it without floats"));
  }
  reporter.Info(absl::StrCat("Try it: cc -std=c99 -O3 -o ", name, "_test ", folder, "/*.c && ./",
                             name, "_test"));
  return absl::OkStatus();
}

struct FormEntry {
  absl::string_view name;
  absl::Status (*write)(const Graph& graph, const ExportFlags& flags, Reporter& reporter);
};
constexpr FormEntry kForms[] = {
    {"onnx", WriteOnnxFile<OnnxForm::kFloat>},
    {"qdq", WriteOnnxFile<OnnxForm::kQdq>},
    {"qoperator", WriteOnnxFile<OnnxForm::kQOperator>},
    {"qonnx", WriteOnnxFile<OnnxForm::kQonnx>},
    {"c", WriteCFolder},
};

absl::StatusOr<const FormEntry*> FindForm(const std::string& name) {
  std::vector<std::string> names;
  for (const FormEntry& entry : kForms) {
    if (entry.name == name) return &entry;
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
    return "onnx|qdq|qoperator|qonnx|c --load=CHECKPOINT --out=FILE [flags]";
  }
  absl::string_view summary() const override {
    return "write a net as an ONNX file or as C99, and compare";
  }
  absl::string_view examples() const override {
    return "ch export onnx --load=best.safetensors --out=net.onnx\n"
           "ch export qdq --load=mase_output/quantized --out=net.onnx\n"
           "ch export qoperator --load=mase_output/quantized --out=net.onnx --overwrite\n"
           "ch export qonnx --load=transformed.safetensors --out=net.onnx\n"
           "ch export c --load=mase_output/quantized --out=net\n";
  }
  google::protobuf::Message* own_flags() override { return &flags_; }

  absl::StatusOr<bool> Prepare() override {
    MASE_ASSIGN_OR_RETURN(loader_, OpenPlugins(arguments(), flags_.plugins()));
    return false;
  }

  // The forms heed dry_run themselves.
  absl::Status Explain(const LoadedConfig& settings, const RunReport& begun) override {
    return Run(settings, begun);
  }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    MASE_ASSIGN_OR_RETURN(const FormEntry* form, FindForm(form_));
    if (flags_.out().empty()) return absl::InvalidArgumentError("export wants --out=FILE");
    MASE_ASSIGN_OR_RETURN(const auto opened, OpenCheckpoint(settings.config.model(), reporter()));
    if (!opened.has_value() || !opened->checkpoint.graph.has_value()) {
      return absl::InvalidArgumentError(
          "export wants --load=CHECKPOINT: a file with a net, or a run's directory");
    }
    MASE_RETURN_IF_ERROR(form->write(*opened->checkpoint.graph, flags_, reporter()));
    RunResult run = {.report = begun};
    return Finish(run);
  }

 private:
  const std::string form_;
  ExportFlags flags_;
  std::unique_ptr<PluginLoader> loader_;  // Of the net's formats and ops.
};

}  // namespace

std::unique_ptr<Action> MakeExportAction(const std::string& form) {
  return std::make_unique<ExportAction>(form);
}

}  // namespace mase
