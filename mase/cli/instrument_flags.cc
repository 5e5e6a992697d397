#include "mase/cli/instrument_flags.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/pipeline/instruments.h"
#include "mase/pipeline/reproducer.h"

namespace mase {

absl::StatusOr<Instruments> FlaggedInstruments(const PassFlags& flags, const Pipeline& pipeline,
                                               const RunConfig& config, Reporter& reporter) {
  const ShowText show = [&reporter](absl::string_view text) { reporter.Print(text); };
  MASE_ASSIGN_OR_RETURN(const std::string fallback, UserPath("mase_output"));
  const std::string project = config.has_project_dir() ? config.project_dir() : fallback;
  MASE_ASSIGN_OR_RETURN(
      auto printer,
      PrintGraphAfter({flags.print_after().begin(), flags.print_after().end()}, pipeline, show));

  Instruments instruments;
  if (flags.has_max_passes()) instruments.push_back(RunFirstPasses(flags.max_passes(), show));
  instruments.push_back(WriteReproducers(config, absl::StrCat(project, "/reproducers")));
  if (flags.verify_each()) instruments.push_back(VerifyEachPass());
  instruments.push_back(std::move(printer));
  if (flags.timing()) instruments.push_back(ShowTimes(show));
  return instruments;
}

}  // namespace mase
