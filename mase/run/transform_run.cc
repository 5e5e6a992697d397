#include "mase/run/transform_run.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/model/checkpoint.h"
#include "mase/run/execution.h"
#include "mase/run/run_directory.h"
#include "mase/run/run_passes.h"
#include "mase/run/session.h"

namespace mase {
namespace {

std::string MetricsTable(const Evaluation& before, const Evaluation& after) {
  Table table({{"Metric"},
               {"Original", "", 6},
               {"Transformed", "", 6},
               {.name = "Change", .decimals = 6, .signs = true}});
  const auto add = [&](const char* name, double x, double y) { table.AddRow({name, x, y, y - x}); };
  add("accuracy", before.accuracy, after.accuracy);
  add("loss", before.loss, after.loss);
  return table.Boxed();
}

// What of a checkpoint is codes, and what with a number format is not, and why.
std::string DescribeStored(const StoredTensors& stored) {
  std::string text =
      absl::StrCat("Stored as codes: ", stored.coded, " tensors, ", WithCommas(stored.values),
                   " values in ", WithCommas(stored.bytes), " bytes\n");
  for (const auto& [tensor, why] : stored.left) {
    absl::StrAppend(&text, "  ", tensor, " stays float32: ", why, "\n");
  }
  return text;
}

absl::Status WriteResults(const RunConfig& config, const Graph& transformed, const Session& session,
                          RunDirectory& directory) {
  MASE_ASSIGN_OR_RETURN(const std::string checkpoint, directory.Reserve(kTransformedCheckpoint));
  std::map<std::string, std::string> facts = {
      {"mase.action", "transform"},
      {"mase.seed", absl::StrCat(config.seed())},
      {"mase.data", session.report.data().description()},
  };
  if (session.recipe.has_value()) facts[kRecipeFact] = RecipeText(*session.recipe);
  if (config.transform().store() == "quantized") {
    MASE_ASSIGN_OR_RETURN(const StoredTensors stored, EncodeTensors(transformed));
    session.reporter().Print(DescribeStored(stored));
    MASE_RETURN_IF_ERROR(SaveCheckpoint(checkpoint, transformed, facts, stored));
  } else {
    MASE_RETURN_IF_ERROR(SaveCheckpoint(checkpoint, transformed, facts));
  }
  return absl::OkStatus();
}

absl::Status Transform(const RunConfig& config, const Pipeline& pipeline, Session& session,
                       RunDirectory& directory) {
  const Split split = SplitByName(config.evaluation().split());
  Transformed transformed;
  const absl::Status ran =
      RunPasses(config, pipeline, session, config.evaluation().enabled(), transformed, &directory);
  // A pass that fails for what it found has files that say what.
  MASE_RETURN_IF_ERROR(transformed.WriteFiles(directory));
  MASE_RETURN_IF_ERROR(ran);
  if (config.evaluation().enabled()) {
    MASE_ASSIGN_OR_RETURN(const std::string caption, session.dataset.Caption(split));
    session.report.mutable_data()->set_description(caption);
    (*session.report.mutable_data()->mutable_rows())[std::string(SplitName(split))] =
        static_cast<uint32_t>(transformed.after.samples);
    const bool untrained = session.report.model().untrained();
    session.reporter().Print(absl::StrCat("Data set '", session.dataset.name(), "': ", caption,
                                          untrained ? "; weights untrained" : "", "\n",
                                          MetricsTable(transformed.before, transformed.after),
                                          transformed.classes));
  }
  MASE_RETURN_IF_ERROR(WriteResults(config, transformed.graph, session, directory));
  MASE_RETURN_IF_ERROR(CheckMeasured(transformed.before, "original", split));
  MASE_RETURN_IF_ERROR(CheckMeasured(transformed.after, "transformed", split));
  if (!session.dataset.Has(split)) return CheckNothingRequired(config);
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  return ReportExecution(config, ExecutorOptionsOf(config, session.environment), transformed.graph,
                         data.features, session);
}

absl::StatusOr<RunResult> Run(const RunConfig& config, const RunReport& begun,
                              const RunEnvironment& environment) {
  if (config.passes().empty()) {
    return absl::InvalidArgumentError(
        "nothing to do: no passes; expected configuration via --config with a [passes.NAME] "
        "table");
  }
  MASE_ASSIGN_OR_RETURN(const Pipeline pipeline, CreatePasses(config, environment));
  MASE_RETURN_IF_ERROR(CheckOutputs(config, /*new_directory=*/true));
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, begun, environment));
  if (AsksForBfloat16(config)) {
    WarnAndReport("trainer_precision bf16 is of training and tests; transform computes in float32",
                  session);
  }
  MASE_ASSIGN_OR_RETURN(
      RunDirectory directory,
      RunDirectory::Create(config, "transform", session.graph.name(), session.dataset.name()));
  MASE_RETURN_IF_ERROR(directory.WriteSettings(config));
  absl::Status ended = Transform(config, pipeline, session, directory);
  if (ended.ok()) ended = SayInterrupted(environment.CheckInterrupt(), "when all was measured");
  if (absl::IsCancelled(ended)) {
    ended = absl::CancelledError(absl::StrCat(ended.message(), "; ", directory.path(),
                                              " has what was found before. A transform begins "
                                              "anew, in another directory"));
  }
  return CompleteRun(ended, "Transformation is completed", directory, session);
}

}  // namespace

RunResult TransformRun(const RunConfig& config, const RunReport& begun,
                       const RunEnvironment& environment) {
  return ResultOf([&] { return Run(config, begun, environment); }, begun, environment);
}

}  // namespace mase
