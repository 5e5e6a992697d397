#include "mase/cli/transform_action.h"

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/cli/pass_action.h"
#include "mase/cli/run_directory.h"
#include "mase/cli/session.h"
#include "mase/model/checkpoint.h"

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

class TransformAction : public PassAction {
 public:
  absl::string_view name() const override { return "transform"; }
  absl::string_view summary() const override {
    return "run the passes of a config on a net; measure it before and after";
  }
  absl::string_view examples() const override {
    return "./bazelw run //mase:transform -- --config=testdata/configs/jsc_tiny_integer.toml\n"
           "./bazelw run //mase:transform -- --config=testdata/configs/jsc_tiny_integer.toml "
           "--calibrate=compare\n"
           "./bazelw run //mase:transform -- jsc-toy jsc --config=my.toml --load=best.safetensors\n"
           "./bazelw run //mase:transform -- --config=my.toml "
           "--set passes.quantize.linear.config.weight_width=4\n"
           "./bazelw run //mase:transform -- \"BN, ReLU, Linear 32, ReLU, Linear 5\" jsc "
           "--config=my.toml --run_dir=out\n"
           "./bazelw run //mase:transform -- --list_passes --plugins=my_pass.so\n";
  }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    const RunConfig& config = settings.config;
    if (config.passes().empty()) {
      return absl::InvalidArgumentError(
          "nothing to do: no passes; expected configuration via --config with a [passes.NAME] "
          "table");
    }
    MASE_ASSIGN_OR_RETURN(Pipeline pipeline, CreatePasses(config));
    MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, begun));
    MASE_ASSIGN_OR_RETURN(
        RunDirectory directory,
        RunDirectory::Create(config, name(), session.graph.name(), session.dataset.name()));
    return CompleteRun(Transform(config, pipeline, session, directory),
                       "Transformation is completed", directory, session);
  }

 private:
  absl::Status Transform(const RunConfig& config, Pipeline& pipeline, Session& session,
                         RunDirectory& directory) {
    const Split split = SplitByName(config.evaluation().split());
    MASE_ASSIGN_OR_RETURN(const Transformed transformed,
                          RunPasses(config, pipeline, session, config.evaluation().enabled()));
    MASE_RETURN_IF_ERROR(transformed.WriteFiles(directory));
    if (config.evaluation().enabled()) {
      MASE_ASSIGN_OR_RETURN(const std::string caption, session.dataset.Caption(split));
      session.report.mutable_data()->set_description(caption);
      (*session.report.mutable_data()->mutable_rows())[std::string(SplitName(split))] =
          static_cast<uint32_t>(transformed.after.samples);
      const bool untrained = session.report.model().untrained();
      std::printf("Data set '%s': %s%s\n%s%s", session.dataset.name().c_str(), caption.c_str(),
                  untrained ? "; weights untrained" : "",
                  MetricsTable(transformed.before, transformed.after).c_str(),
                  transformed.classes.c_str());
    }
    MASE_RETURN_IF_ERROR(WriteResults(config, transformed.graph, session, directory));
    MASE_RETURN_IF_ERROR(CheckMeasured(transformed.before, "original", split));
    return CheckMeasured(transformed.after, "transformed", split);
  }

  absl::Status WriteResults(const RunConfig& config, const Graph& transformed,
                            const Session& session, RunDirectory& directory) {
    MASE_ASSIGN_OR_RETURN(const std::string checkpoint, directory.Reserve(kTransformedCheckpoint));
    std::map<std::string, std::string> facts = {
        {"mase.action", "transform"},
        {"mase.seed", absl::StrCat(config.seed())},
        {"mase.data", session.report.data().description()},
    };
    if (session.recipe.has_value()) facts[kRecipeFact] = RecipeText(*session.recipe);
    MASE_RETURN_IF_ERROR(SaveCheckpoint(checkpoint, transformed, facts));
    return directory.WriteSettings(config);
  }
};

}  // namespace

std::unique_ptr<Action> MakeTransformAction() { return std::make_unique<TransformAction>(); }

}  // namespace mase
