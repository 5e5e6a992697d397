#include "mase/run/open_model.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/data/hdf5.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/keras_weights.h"
#include "mase/model/zoo.h"
#include "mase/onnx/import.h"
#include "mase/run/run_directory.h"

namespace mase {
namespace {

// The request for a net of this name that fits the data.
ModelRequest Request(const std::string& name, const RunConfig& config, const DatasetInfo& data) {
  return {name, data.sample_shape, static_cast<int64_t>(data.class_names.size()),
          config.batch_size(), config.seed()};
}

// Passes that fold tensors into others leave more than this part of a net's numbers.
constexpr int64_t kMostFolded = 4;

constexpr int kMostNamesShown = 24;

// A net may be in a file, as PyTorch prints it, as a layer list or as Keras's JSON.
absl::StatusOr<std::string> ModelText(const std::string& name) {
  const bool is_file =
      absl::EndsWith(name, ".py") || absl::EndsWith(name, ".txt") || absl::EndsWith(name, ".json");
  if (!is_file) {
    const absl::StatusOr<std::string> path = UserPath(name);
    std::error_code error;
    if (!absl::StrContains(name, '.') || !path.ok() ||
        !std::filesystem::is_regular_file(*path, error)) {
      return name;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "model ", Quoted(name), " is a file; a saved net is read by\n  --load=", name));
  }
  MASE_ASSIGN_OR_RETURN(const std::string path, UserPath(name));
  MASE_ASSIGN_OR_RETURN(std::string text, ReadFile(path, limits::kMaxConfigFileBytes));
  absl::StripAsciiWhitespace(&text);
  return text;
}

// A few of many names.
std::string Some(absl::Span<const std::string> names) {
  constexpr size_t kShown = 8;
  if (names.size() <= kShown) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.subspan(0, kShown), ", "), ", and ",
                      names.size() - kShown, " more");
}

// Takes the checkpoint's weights and says how the names went together.
absl::Status Bind(const OpenedCheckpoint& opened, Graph& graph, Reporter& reporter) {
  absl::StatusOr<BindReport> report = BindTensors(opened.checkpoint.contents, graph);
  if (!report.ok()) return Annotate(report.status(), opened.path);
  reporter.Info(absl::StrCat("Loaded ", opened.path, ": ", report->matched.size(),
                             " tensors matched, ", report->optional_missing.size(), " missing, ",
                             report->extra.size(), " extra"));
  for (const std::string& note : report->notes) reporter.Info(absl::StrCat("  ", note));
  if (!report->renamed.empty()) {
    Table table({{"In the file"}, {"In the net"}, {"Shape"}});
    for (const auto& [found, wanted] : report->renamed) {
      if (table.num_rows() == kMostNamesShown) break;
      table.AddRow({found, wanted, graph.FindTensor(wanted)->value.shape().ToString()});
    }
    const int more = static_cast<int>(report->renamed.size()) - table.num_rows();
    if (more > 0) table.AddRow({absl::StrCat("and ", more, " more"), "", ""});
    reporter.Show(table, "");
  }
  if (!report->optional_missing.empty()) {
    reporter.Info(absl::StrCat("  missing (optional): ", Some(report->optional_missing)));
  }
  if (!report->extra.empty())
    reporter.Info(absl::StrCat("  extra (unused): ", Some(report->extra)));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<OpenedCheckpoint>> OpenCheckpoint(const ModelConfig& model,
                                                               Reporter& reporter) {
  if (!model.has_load_name()) return std::nullopt;
  OpenedCheckpoint opened;
  MASE_ASSIGN_OR_RETURN(opened.path, CheckpointOfRun(model.load_name()));
  if (opened.path != model.load_name()) {
    reporter.Info(absl::StrCat(model.load_name(), " is a run: its best net is ", opened.path));
  }
  if (IsOnnxPath(opened.path)) {
    ImportOptions options;
    if (model.has_output()) options.output = model.output();
    MASE_ASSIGN_OR_RETURN(ImportedNet net, ImportOnnx(opened.path, options));
    for (const std::string& note : net.notes) {
      reporter.Info(absl::StrCat(opened.path, ": ", note));
    }
    opened.checkpoint.graph = std::move(net.graph);
    return opened;
  }
  if (model.has_output()) {
    return absl::InvalidArgumentError(absl::StrCat("output '", model.output(),
                                                   "' is for ONNX files; ", opened.path,
                                                   " is a checkpoint, which has one result"));
  }
  // Here and not in LoadCheckpoint, by which programs that only predict would carry the library.
  constexpr int64_t kHeadBytes = 64;
  MASE_ASSIGN_OR_RETURN(const std::string head, ReadHead(opened.path, kHeadBytes));
  if (IsHdf5(head)) {
    MASE_ASSIGN_OR_RETURN(opened.checkpoint.contents, ReadKerasWeights(opened.path));
    return opened;
  }
  if (absl::EndsWith(opened.path, ".keras")) {
    MASE_ASSIGN_OR_RETURN(KerasArchive archive, ReadKerasArchive(opened.path));
    opened.checkpoint.contents = std::move(archive.weights);
    opened.net = std::move(archive.net);
    return opened;
  }
  MASE_ASSIGN_OR_RETURN(opened.checkpoint, LoadCheckpoint(opened.path));
  return opened;
}

absl::StatusOr<Graph> OpenModel(const RunConfig& config, const DatasetInfo& data,
                                const std::optional<OpenedCheckpoint>& opened,
                                TorchGenerator& generator, Reporter& reporter) {
  const std::string& name = config.model().name();
  if (opened.has_value() && opened->checkpoint.graph.has_value() &&
      (name.empty() || name == opened->checkpoint.graph->name())) {
    Graph graph = opened->checkpoint.graph->Clone();
    reporter.Info(absl::StrCat("Loaded ", opened->path, ": graph '", graph.name(), "' with ",
                               graph.tensors().size(), " tensors"));
    MASE_RETURN_IF_ERROR(InferShapes(graph, config.batch_size()));
    // A PyTorch loop builds its net before it loads weights, and draws batches from what that
    // left. Nets that are not ours to build leave the generator as it is. A name is what the file
    // says: it may stand for a net about as large as the one in the file (passes fold tensors), no
    // larger.
    ModelRequest request = Request(graph.name(), config, data);
    request.max_elements = kMostFolded * (graph.parameter_count() + graph.buffer_count() + 1024);
    (void)BuildModel(request, &generator);
    return graph;
  }
  const bool builds_loaded = name.empty() && opened.has_value() && !opened->net.empty();
  if (name.empty() && !builds_loaded) {
    return absl::InvalidArgumentError(
        opened.has_value() ? absl::StrCat(opened->path, " holds no graph: name the model too")
                           : "No model and/or dataset provided! These are required.");
  }
  const std::string& shown = builds_loaded ? opened->path : name;
  reporter.Info(absl::StrCat("Initialising model ", Quoted(shown), "..."));
  std::string text = builds_loaded ? opened->net : "";
  if (!builds_loaded) {
    MASE_ASSIGN_OR_RETURN(text, ModelText(name));
  }
  absl::StatusOr<Graph> built = BuildModel(Request(text, config, data), &generator);
  if (!built.ok() && builds_loaded && absl::IsUnimplemented(built.status())) {
    return Annotate(built.status(), absl::StrCat(shown, ": name the net as a list of layers, too"));
  }
  MASE_RETURN_IF_ERROR(built.status());
  Graph graph = *std::move(built);
  if (opened.has_value()) MASE_RETURN_IF_ERROR(Bind(*opened, graph, reporter));
  return graph;
}

}  // namespace mase
