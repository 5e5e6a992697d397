// The steps that runs share: data, model, checkpoint, report.
#ifndef MASE_RUN_SESSION_H_
#define MASE_RUN_SESSION_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "mase/base/random.h"
#include "mase/data/dataset.h"
#include "mase/data/recipe.h"
#include "mase/exec/evaluation.h"
#include "mase/graph/graph.h"
#include "mase/run/page/page.h"
#include "mase/run/run.h"
#include "mase/run/run_directory.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

// RunReport.status of a run that a pass ended.
inline constexpr char kCrashed[] = "crashed";

// A run's data and net.
struct Session {
  const RunEnvironment& environment;
  absl::Time began;  // For the report.
  Dataset dataset;
  Graph graph;
  TorchGenerator generator{0};  // As building the net left it, or would have where it was loaded.
  RunReport report;             // Action, seed, model, data and versions are filled in.
  std::optional<DataRecipe> recipe;  // What a checkpoint of the net is to carry.
  std::string junit;                 // The file that the goals are to be written to; "": none.
  bool html = false;                 // Is the run to write a page?
  std::string picture;               // Of the graph, for the page: SVG.
  PageSections sections;             // Of the action's own, for the page; may be null.

  Reporter& reporter() const { return environment.reporter; }
};

// Whether training and tests round the operands of products to bfloat16 (docs/training.md).
bool AsksForBfloat16(const RunConfig& config);

// Whether what a run is to write besides its results can be written: InvalidArgument or NotFound
// for the file of the goals, as CheckFilesOf; `new_directory`: also as RunDirectory::CheckFree.
absl::Status CheckOutputs(const RunConfig& config, bool new_directory, NamedFiles more = {});

// What can be known to be wrong with data set, checkpoint and net of a run before any row is read:
// the errors of OpenSession but those of reading.
absl::Status CheckNet(const RunConfig& config, absl::string_view action,
                      const RunEnvironment& environment);

// Opens the data set and builds or loads the net, saying so, and fills in the report, which is
// `begun` at first. Nothing is written. InvalidArgument if model or data set is missing in the
// settings; else the errors of ReadGoals, OpenData, OpenCheckpoint and OpenModel.
absl::StatusOr<Session> OpenSession(const RunConfig& config, const RunReport& begun,
                                    const RunEnvironment& environment);
// The session keeps a reference to its environment.
absl::StatusOr<Session> OpenSession(const RunConfig& config, const RunReport& begun,
                                    RunEnvironment&& environment) = delete;

// The split's samples, after checking that they fit the net's input and classes.
absl::StatusOr<SplitData> OpenSplit(const Session& session, Split split);

// A warning to the reporter, and in the report.
void WarnAndReport(const std::string& warning, Session& session);

// What a user must know of figures of these rows besides: that the weights were never trained, that
// the net was trained on some of the rows. To the reporter and the report's warnings.
void WarnOfFigures(Split split, const SplitData& data, Session& session);

// The split of a name that the settings allow.
Split SplitByName(absl::string_view name);

// OutOfRange, "the transformed net's loss is nan on the test split: ...", if the figures mean
// nothing. `whose` is "transformed".
absl::Status CheckMeasured(const Evaluation& evaluation, absl::string_view whose, Split split);

// The last step of a run that ended so: compares with the goals, writes the page if one is
// asked for, the goals' own file and summary.json, then says `done` ("Training is completed") and
// which files there are. The result has the first error; Aborted where all went well but a goal was
// missed.
RunResult CompleteRun(const absl::Status& ended, absl::string_view done, RunDirectory& directory,
                      Session& session);

}  // namespace mase

#endif  // MASE_RUN_SESSION_H_
