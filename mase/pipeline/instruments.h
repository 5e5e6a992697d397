// The instruments that come with the tool, each behind a flag of its own.
#ifndef MASE_PIPELINE_INSTRUMENTS_H_
#define MASE_PIPELINE_INSTRUMENTS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/pipeline/instrumentation.h"
#include "mase/pipeline/pipeline.h"

namespace mase {

// Takes text for the user, which ends with a newline.
using ShowText = std::function<void(absl::string_view)>;

// --print_after=a,b: shows the graph after these passes, by name, alias or label. NotFound for a
// name that is not in the pipeline, with the nearest one.
absl::StatusOr<std::unique_ptr<Instrumentation>> PrintGraphAfter(
    const std::vector<std::string>& names, const Pipeline& pipeline, ShowText show);

// --verify_each: VerifyGraph before the first pass and after every one, also after passes that
// changed nothing. Internal, naming the pass.
std::unique_ptr<Instrumentation> VerifyEachPass();

// --max_passes=N: the first N passes run, needed ones included, and the others are passed over.
// Halving N finds the pass after which a net is wrong. Shows which pass was the last.
std::unique_ptr<Instrumentation> RunFirstPasses(int count, ShowText show);

// --timing: shows after the last pass how long each took and how long verifying it, those that ran
// because another needs them under that one.
std::unique_ptr<Instrumentation> ShowTimes(ShowText show);

}  // namespace mase

#endif  // MASE_PIPELINE_INSTRUMENTS_H_
