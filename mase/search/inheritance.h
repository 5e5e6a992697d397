// Inherited weights: the net of a trial starts from what training made of an earlier one's.
//
// Trials keep their trained nets in a folder of the run directory, a checkpoint each. A trial's
// parent is chosen as it begins and stands among its attributes, so that its training can be done
// again: a function of its point, the finished trials and the checkpoints that are there.
#ifndef MASE_SEARCH_INHERITANCE_H_
#define MASE_SEARCH_INHERITANCE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/sampler/trial.h"

namespace mase {

// The attribute of a trial that holds its parent's number.
inline constexpr char kParent[] = "parent";

// Where the trained net of a trial is kept: "DIRECTORY/weights/12.safetensors".
std::string TrainedNetPath(absl::string_view directory, int64_t number);

// Makes the checkpoint `path` the trained net of a trial, in place of one that is there.
// Unavailable or another error of the file system, naming the file.
absl::Status KeepTrainedNet(absl::string_view path, absl::string_view directory, int64_t number);

// Notes in trial.attributes which of the complete trials of `finished` it inherits from: of those
// whose trained nets are in `directory` the one that has the most choices in common, of several the
// newest, whose weights were trained longest. No trial has one: no attribute.
void ChooseParent(const TrialHistory& finished, absl::string_view directory, Trial& trial);

// The number that ChooseParent noted.
std::optional<int64_t> ParentOf(const Trial& trial);

}  // namespace mase

#endif  // MASE_SEARCH_INHERITANCE_H_
