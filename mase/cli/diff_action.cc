#include "mase/cli/diff_action.h"

#include <cstdio>
#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/cli/log.h"
#include "mase/cli/main.h"
#include "mase/cli/plugin_flags.h"
#include "mase/config/arguments.h"
#include "mase/config/config.h"
#include "mase/config/own_flags.h"
#include "mase/graph/graph_diff.h"
#include "mase/model/checkpoint.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/quantize/diff_table.h"
#include "mase/run/run.h"
#include "mase/run/run_directory.h"
#include "mase/run/run_passes.h"
#include "mase/run/session.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

constexpr char kUsage[] = R"(diff: what differs between two nets, node by node

Usage: ch diff A B [flags]

A and B are checkpoints, run directories (their best nets) or settings files
(.toml, .json, .textproto: the net that their passes make). Flags that are
settings, such as --set, hold for both files.

Examples:
  ch diff runs/train-0001 runs/transform-0001
  ch diff best.safetensors testdata/configs/jsc_tiny_integer.toml --exit_code

  --exit_code   end with 1 where the nets differ
  --json        print the tables as one JSON document
)";

bool IsSettingsFile(absl::string_view path) {
  for (const char* ending : {".toml", ".json", ".textproto", ".pbtxt", ".txtpb"}) {
    if (absl::EndsWith(path, ending)) return true;
  }
  return false;
}

// The net that the passes of a settings file make.
absl::StatusOr<Graph> NetOfSettings(const std::string& path, Arguments arguments) {
  arguments.positionals.clear();
  arguments.config = path;
  MASE_ASSIGN_OR_RETURN(const std::unique_ptr<PluginLoader> loader, OpenPlugins(arguments, {}));
  const auto options_of =
      [&](absl::string_view pass) -> absl::StatusOr<const google::protobuf::Descriptor*> {
    MASE_ASSIGN_OR_RETURN(const PassInfo* info, loader->LookUp(pass));
    return info->options->GetDescriptor();
  };
  MASE_ASSIGN_OR_RETURN(const LoadedConfig settings,
                        LoadConfig(arguments, {options_of, /*read_passes=*/true}));
  Reporter quiet;
  const RunEnvironment environment = {.reporter = quiet, .passes = loader.get()};
  MASE_ASSIGN_OR_RETURN(const Pipeline pipeline, CreatePasses(settings.config, environment));
  MASE_ASSIGN_OR_RETURN(Session session,
                        OpenSession(settings.config, BeginReport("diff"), environment));
  Transformed transformed;
  MASE_RETURN_IF_ERROR(
      RunPasses(settings.config, pipeline, session, /*evaluate=*/false, transformed, nullptr));
  return std::move(transformed.graph);
}

// A net without nodes where the file has tensors alone.
absl::StatusOr<Graph> NetOfCheckpoint(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const std::string file, CheckpointOfRun(path));
  MASE_ASSIGN_OR_RETURN(Checkpoint checkpoint, LoadCheckpoint(file));
  if (checkpoint.graph.has_value()) return *std::move(checkpoint.graph);
  Log(LogLevel::kWarning,
      absl::StrCat(file, " holds tensors, but no graph: tensors alone are compared"));
  Graph tensors(file);
  for (const NamedTensor& tensor : checkpoint.contents.tensors) {
    tensors.SetTensor(tensor.name, tensor.value, /*buffer=*/false);
  }
  return tensors;
}

absl::StatusOr<Graph> OpenNet(const std::string& path, const Arguments& arguments) {
  absl::StatusOr<Graph> net =
      IsSettingsFile(path) ? NetOfSettings(path, arguments) : NetOfCheckpoint(path);
  if (!net.ok()) {
    const bool named = absl::StrContains(net.status().message(), path);
    return named ? net.status() : Annotate(net.status(), path);
  }
  // The batch that a file happened to be written with is no part of a net.
  for (Node* node : net->placeholders()) {
    std::vector<int64_t> shape = node->attributes().Ints("shape");
    if (shape.empty()) continue;
    shape[0] = 1;
    MASE_RETURN_IF_ERROR(net->SetAttribute(node, "shape", std::move(shape)));
  }
  return net;
}

// The tensors of a graph alone.
Graph TensorsOf(const Graph& graph) {
  Graph tensors(graph.name());
  for (const GraphTensor& tensor : graph.tensors()) {
    tensors.SetTensor(tensor.name, tensor.value, /*buffer=*/false);
  }
  return tensors;
}

void Print(const GraphDiff& diff, const DiffFlags& flags) {
  if (flags.json()) {
    std::printf("{\"equal\": %s, \"nodes\": %s, \"tensors\": %s}\n",
                diff.equal() ? "true" : "false", NodeDiffTable(diff).Json().c_str(),
                TensorDiffTable(diff).Json().c_str());
    return;
  }
  const Table::Room room = StandardOutputRoom();
  if (!diff.nodes.empty()) std::printf("%s\n", NodeDiffTable(diff).Text(room).c_str());
  if (!diff.tensors.empty()) std::printf("%s\n", TensorDiffTable(diff).Text(room).c_str());
  std::printf("%s\n", DiffSentence(diff).c_str());
}

// Whether the nets differ.
absl::StatusOr<bool> Diff(const Arguments& arguments, const DiffFlags& flags) {
  if (arguments.positionals.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("diff compares two nets, not ", arguments.positionals.size(),
                     ": `ch diff A B`, each a checkpoint, a run directory or a settings file"));
  }
  MASE_RETURN_IF_ERROR(RefuseOutputs(arguments, "diff"));
  const bool has_settings = absl::c_any_of(arguments.positionals, IsSettingsFile);
  if (!has_settings && !(arguments.settings.empty() && arguments.sets.empty())) {
    const std::string& given =
        arguments.settings.empty() ? arguments.sets[0] : arguments.settings[0].flag;
    return absl::InvalidArgumentError(absl::StrCat(
        given, " is a setting, and neither of the two nets is made of a settings file"));
  }
  MASE_ASSIGN_OR_RETURN(Graph first, OpenNet(arguments.positionals[0], arguments));
  MASE_ASSIGN_OR_RETURN(Graph second, OpenNet(arguments.positionals[1], arguments));
  if ((first.node_count() == 0) != (second.node_count() == 0)) {
    first = TensorsOf(first);
    second = TensorsOf(second);
  }
  const GraphDiff diff = CompareGraphs(first, second);
  Print(diff, flags);
  return !diff.equal();
}

absl::StatusOr<int> Run(const std::vector<std::string>& words) {
  DiffFlags flags;
  std::vector<ProcessFlag> own = FlagsOf(*DiffFlags::descriptor());
  own.push_back({"help", true, "Print this text."});
  MASE_ASSIGN_OR_RETURN(const Arguments arguments, ParseArguments(words, own));
  for (const auto& [name, value] : arguments.process) {
    if (name == "help") return std::printf("%s", kUsage), 0;
    MASE_RETURN_IF_ERROR(SetFlag(name, value, flags));
  }
  MASE_ASSIGN_OR_RETURN(const bool differ, Diff(arguments, flags));
  return differ && flags.exit_code() ? 1 : 0;
}

}  // namespace

int RunDiff(std::vector<std::string> words) {
  words.erase(words.begin());  // "diff"
  const absl::StatusOr<int> code = Run(words);
  absl::Status status = code.status();
  if (status.ok()) status = FinishPrinting();
  if (status.ok()) return *code;
  Log(LogLevel::kError, status.message());
  return ExitCode(status);
}

}  // namespace mase
