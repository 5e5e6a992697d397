#include "mase/cli/pass_action.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/cli/explain.h"
#include "mase/cli/instrument_flags.h"
#include "mase/cli/log.h"
#include "mase/pipeline/reproducer.h"
#include "mase/run/run_passes.h"
#include "mase/run/session.h"

namespace mase {
namespace {

Table PassTable(const PluginLoader& loader) {
  Table table({{"Pass"}, {"Kind"}, {"What it does"}, {.name = "Also known as", .rank = 1}});
  for (const auto& [pass, plugin] : loader.List()) {
    table.AddRow({pass->name(), pass->kind(), pass->summary(), absl::StrJoin(pass->alias(), ", ")});
  }
  return table;
}

}  // namespace

RunEnvironment PassAction::environment() {
  return {.reporter = reporter(),
          .passes = loader_.get(),
          .instruments =
              [this](const Pipeline& pipeline, const RunConfig& config) {
                return FlaggedInstruments(flags_, pipeline, config, reporter());
              },
          .watch_interrupt = watch_interrupt()};
}

absl::StatusOr<bool> PassAction::Prepare() {
  std::optional<RunConfig> recorded;
  if (!flags_.reproduce().empty()) {
    MASE_ASSIGN_OR_RETURN(const Reproduction again, ReadReproducer(flags_.reproduce()));
    recorded.emplace(again.settings).clear_plugins();  // Reproduce opens them, as they are now.
  }
  MASE_ASSIGN_OR_RETURN(loader_, OpenPlugins(arguments(), flags_.plugins(),
                                             recorded.has_value() ? &*recorded : nullptr));
  if (flags_.list_passes()) {
    const Table table = PassTable(*loader_);
    reporter().Show(table, "");
    reporter().PrintJson(absl::StrCat(table.Json(), "\n"));
  }
  if (flags_.reproduce().empty()) return flags_.list_passes();
  MASE_RETURN_IF_ERROR(Reproduce(flags_.reproduce(), name(), environment()));
  return true;
}

ConfigRequest PassAction::config_request() const {
  return {[this](absl::string_view pass) -> absl::StatusOr<const google::protobuf::Descriptor*> {
            MASE_ASSIGN_OR_RETURN(const PassInfo* info, loader_->LookUp(pass));
            return info->options->GetDescriptor();
          },
          /*read_passes=*/true};
}

absl::Status PassAction::Explain(const LoadedConfig& settings, const RunReport& begun) {
  const RunConfig& config = settings.config;
  const RunEnvironment around = environment();
  MASE_ASSIGN_OR_RETURN(const Pipeline pipeline, CreatePasses(config, around));
  // Of the outputs those that are named: it explains a run from a folder that cannot be written to.
  MASE_RETURN_IF_ERROR(
      CheckOutputs(config, /*new_directory=*/config.has_run_dir() && !config.has_resume()));
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, begun, around));
  const std::vector<GivenSetting> given = GivenBelow(settings.record, "");
  reporter().Print(absl::StrCat("\n", GivenText(given), "\nNet ", session.graph.name(), ": ",
                                session.graph.node_count(), " nodes, ",
                                session.graph.parameter_count(), " parameters. Data set ",
                                session.dataset.name(), ".\n"));
  Explainer explainer(settings.record);
  PassHost host;  // No data, nothing shown, nothing written.
  const absl::Status status =
      RunPipeline(pipeline, session.graph, host, &session.report, {&explainer});
  reporter().Print(explainer.text());
  const nlohmann::ordered_json json = {{"action", begun.action()},
                                       {"settings", GivenJson(given)},
                                       {"model",
                                        {{"name", session.graph.name()},
                                         {"nodes", session.graph.node_count()},
                                         {"parameters", session.graph.parameter_count()}}},
                                       {"data", session.dataset.name()},
                                       {"passes", explainer.json()},
                                       {"stopped", std::string(status.message())}};
  reporter().PrintJson(absl::StrCat(DumpJson(json), "\n"));
  if (status.ok()) return status;
  reporter().Print(
      WrapLines(absl::StrCat("\n", status.message(),
                             "\nThis and what comes after it cannot be told without running it."),
                80, 2));
  return absl::OkStatus();
}

}  // namespace mase
