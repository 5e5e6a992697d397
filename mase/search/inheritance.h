// Inherited weights: the net of a trial starts from what training made of an earlier one's.
//
// Trials keep their trained nets in a folder of the run directory, a checkpoint each; those of the
// kMostTrainedNets newest complete trials are kept, and of these later ones inherit. A trial's
// parent is chosen as it begins and stands among its attributes, so that its training can be done
// again: a function of its point, the finished trials and the checkpoints that are there.
#ifndef MASE_SEARCH_INHERITANCE_H_
#define MASE_SEARCH_INHERITANCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/sampler/trial.h"

namespace mase {

inline constexpr size_t kMostTrainedNets = 64;

// The attribute of a trial that holds its parent's number.
inline constexpr char kParent[] = "parent";

// Where the trained net of a trial is kept: "DIRECTORY/weights/12.safetensors".
std::string TrainedNetPath(absl::string_view directory, int64_t number);

// Makes the checkpoint `path` the trained net of a trial, in place of one that is there.
// Unavailable or another error of the file system, naming the file.
absl::Status KeepTrainedNet(absl::string_view path, absl::string_view directory, int64_t number);

// Notes in trial.attributes which of the newest complete trials of `finished` it inherits from: of
// those whose trained nets are in `directory` the one that has the most choices in common, of
// several the newest, whose weights were trained longest. No trial has one: no attribute.
void ChooseParent(const TrialHistory& finished, absl::string_view directory, Trial& trial);

// Deletes the trained nets of which no trial will inherit any more: those of trials that are not
// among the newest complete ones, or did not end as such, but for the parents `in_use`, of trials
// that run. What cannot be deleted stays.
void DropTrainedNets(const TrialHistory& finished, const std::multiset<int64_t>& in_use,
                     absl::string_view directory);

// The number that ChooseParent noted.
std::optional<int64_t> ParentOf(const Trial& trial);

}  // namespace mase

#endif  // MASE_SEARCH_INHERITANCE_H_
