// Which runs a sweep has: settings, and the values that they take together.
//
//   MASE_ASSIGN_OR_RETURN(SweepAxis sizes, ParseSweepAxis("batch_size=64,256"));
//   MASE_ASSIGN_OR_RETURN(SweepAxis rates, ParseSweepAxis("learning_rate=1e-3,1e-4"));
//   MASE_ASSIGN_OR_RETURN(SweepPoints points, GridOf({sizes, rates}));    // Four points.
//   PointName(points, 0);                             // "batch_size=64,learning_rate=1e-3"
#ifndef MASE_RUN_SWEEP_POINTS_H_
#define MASE_RUN_SWEEP_POINTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

inline constexpr int64_t kMaxSweepPoints = 100'000;

// One setting and the values that it takes.
struct SweepAxis {
  std::string setting;  // As --set has it: "batch_size", "passes.quantize.linear.data_in_width".
  std::vector<std::string> values;
  std::string file;  // That they are from; "" where they were given.
};

// Reads SETTING=V1,V2,... A comma between brackets or quotes belongs to a value; where there is a
// ';', values stand between those instead, so that they may have commas (lists of layers). @FILE is
// a value a line of that file, without blank lines and those that begin with '#'.
//
// InvalidArgument: no such text, no value, or a setting that a sweep uses itself (run_dir, project,
// project_dir, resume); the errors of ReadFile.
absl::StatusOr<SweepAxis> ParseSweepAxis(absl::string_view text);

// Runs as rows: of each the value of each setting.
struct SweepPoints {
  std::vector<std::string> settings;
  std::vector<std::vector<std::string>> points;
};

// All combinations, the last axis turning fastest. InvalidArgument: no axis, a setting twice, more
// than kMaxSweepPoints.
absl::StatusOr<SweepPoints> GridOf(const std::vector<SweepAxis>& axes);

// First values together, second values together, ... InvalidArgument also if the axes have not as
// many values each.
absl::StatusOr<SweepPoints> ZipOf(const std::vector<SweepAxis>& axes);

// A CSV file with a column a setting and a line a run; lines that begin with '#' are skipped.
// InvalidArgument, with file and line, if it is none; the errors of ReadFile.
absl::StatusOr<SweepPoints> ReadPointList(absl::string_view path);

// Leaves of the points those of one part of several, "2/4": of every four the second.
// InvalidArgument for another text, or a part that has no point.
absl::Status KeepShard(absl::string_view shard, SweepPoints& points);

// The folder of one run: settings and values as far as a file name can have them, at most 80
// characters, with a checksum where something is left out. Different points have different names.
std::string PointName(const SweepPoints& points, size_t point);

}  // namespace mase

#endif  // MASE_RUN_SWEEP_POINTS_H_
