// What actions share that run the passes of their settings on a net.
#ifndef MASE_CLI_PASS_ACTION_H_
#define MASE_CLI_PASS_ACTION_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mase/cli/main.h"
#include "mase/cli/run_directory.h"
#include "mase/cli/session.h"
#include "mase/exec/evaluation.h"
#include "mase/graph/graph.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin_loader.h"
#include "proto/config.pb.h"
#include "proto/flags.pb.h"

namespace mase {

// Stages of a report's metrics: the net before and after the passes.
inline constexpr char kOriginal[] = "original";
inline constexpr char kTransformed[] = "transformed";

// What passes made of a session's net.
struct Transformed {
  Graph graph;
  Evaluation before, after;  // Of no samples, if nobody asked for them.
  std::string classes;       // Lines on how the classes fared after (class_lines.h).
  std::vector<std::pair<std::string, std::string>> files;  // Relative path and contents.

  // Writes `files` into the run directory.
  absl::Status WriteFiles(RunDirectory& directory) const;
};

// An action with the flags of PassFlags (proto/flags.proto).
// Plugins are opened when the settings name one of their passes; settings without passes open none.
class PassAction : public Action {
 public:
  google::protobuf::Message* own_flags() override { return &flags_; }
  absl::StatusOr<bool> Prepare() override;
  // Builds the passes and runs them without data on the net, for what they decide of each node.
  // Errors are those of reading the settings; a pass that fails is where the text ends.
  absl::Status Explain(const LoadedConfig& settings, const RunReport& begun) override;
  ConfigRequest config_request() const override;

 protected:
  // All passes of the settings, created; the errors are BuildPipeline's.
  absl::StatusOr<Pipeline> CreatePasses(const RunConfig& config) const;

  // Runs them on a copy of the session's net, which they can measure on evaluation.split and which
  // is measured so before and after if `evaluate`. The report gets the passes, their warnings, the
  // plugins' versions, the figures and how the classes fared after. Writes nothing. Errors of
  // RunPipeline and Evaluate.
  absl::StatusOr<Transformed> RunPasses(const RunConfig& config, const Pipeline& pipeline,
                                        Session& session, bool evaluate) const;

 private:
  // Runs the pass of a reproducer (mase/pipeline/reproducer.h), on its data, and writes nothing.
  absl::Status Reproduce(const std::string& path);

  std::unique_ptr<PluginLoader> loader_;
  PassFlags flags_;
};

}  // namespace mase

#endif  // MASE_CLI_PASS_ACTION_H_
