// What a build of Bazel did, from the file that --build_event_json_file makes it write.
//
//   MASE_ASSIGN_OR_RETURN(const BuildSummary build, ReadBuildEvents("events.json"));
//   std::cout << build.Markdown();
//
// https://bazel.build/remote/bep tells the events. Fields that another version of Bazel calls
// otherwise are missing in the summary; nothing of a file is trusted.
#ifndef MASE_RUN_BUILD_EVENTS_H_
#define MASE_RUN_BUILD_EVENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/base/table.h"

namespace mase {

struct BuildSummary {
  std::string title;  // "bazel test: TESTS_FAILED"
  Table facts;        // "what", "value": when, how long, targets, actions, where results are from.
  Table failed;       // What failed, and why: targets, actions, tests.
  Table pipelines;    // Targets of the rules of //mase/bazel.
  Table tests;        // Each test: status, shards, how many runs were cached, seconds.

  // Those tables that have rows, in this order.
  std::vector<const Table*> tables() const;
  std::string Text(const Table::Room& room) const;
  std::string Markdown() const;
};

// The errors of ReadFile; ResourceExhausted for a file of more than 256 MiB, a million
// events or an event of 16 MiB; DataLoss, with the line, for one that is no JSON object or nests
// more than 64 deep. A file that ends within an event, as that of a build that was killed does, is
// summed up as far as it goes; DataLoss if it has no event at all.
absl::StatusOr<BuildSummary> ReadBuildEvents(absl::string_view path);

// The same of the file's text; `name` stands for it in messages.
absl::StatusOr<BuildSummary> SumUpBuildEvents(absl::string_view text, absl::string_view name);

}  // namespace mase

#endif  // MASE_RUN_BUILD_EVENTS_H_
