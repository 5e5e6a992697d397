#include "mase/cli/instrument_flags.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/pipeline/instruments.h"
#include "mase/pipeline/reproducer.h"

DEFINE_string(print_after, "", "Print the graph after these passes: a,b.");
DEFINE_bool(verify_each, false, "Verify the graph after every pass, changed or not.");
DEFINE_int32(max_passes, -1, "Run only so many passes, to find the one that goes wrong.");
DEFINE_bool(timing, false, "Print how long each pass took.");

namespace mase {

absl::StatusOr<std::vector<std::unique_ptr<Instrumentation>>> FlaggedInstruments(
    const Pipeline& pipeline, const RunConfig& config, const std::vector<std::string>& plugins) {
  const ShowText show = [](absl::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
  };
  std::vector<std::unique_ptr<Instrumentation>> instruments;
  if (FLAGS_max_passes >= 0) instruments.push_back(RunFirstPasses(FLAGS_max_passes, show));
  MASE_ASSIGN_OR_RETURN(const std::string fallback, UserPath("mase_output"));
  const std::string project = config.has_project_dir() ? config.project_dir() : fallback;
  instruments.push_back(WriteReproducers(config, plugins, absl::StrCat(project, "/reproducers")));
  if (FLAGS_verify_each) instruments.push_back(VerifyEachPass());
  const std::vector<std::string> names = absl::StrSplit(FLAGS_print_after, ',', absl::SkipEmpty());
  MASE_ASSIGN_OR_RETURN(auto printer, PrintGraphAfter(names, pipeline, show));
  instruments.push_back(std::move(printer));
  if (FLAGS_timing) instruments.push_back(ShowTimes(show));
  return instruments;
}

}  // namespace mase
