// What a net said of each row, as a file of the user's.
#ifndef MASE_RUN_PREDICTIONS_H_
#define MASE_RUN_PREDICTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

struct Predictions {
  int64_t outputs = 0;               // Of a row: as many scores.
  std::vector<float> scores;         // [rows, outputs], as the net gives them (no soft-max).
  absl::Span<const int64_t> labels;  // [rows]; below 0 where a row has no class, empty if none has.
  std::vector<std::string> class_names;
  int64_t top_k = 0;  // How many of the best outputs a line of .csv lists besides.
};

// The endings that WritePredictions knows. InvalidArgument, listing them, for another.
absl::Status CheckPredictionsPath(absl::string_view path);

// By the ending of `path`:
//
//   .npy  float32 [rows, outputs], for numpy.load
//   .csv  row,predicted,predicted_name,true,true_name,score_NAME...: one line per row, numbers from
//         0. Scores have the digits that their float32 needs. `true` and `true_name` are empty for
//         a row without a class; `predicted` and its name where a score is NaN. With top_k there
//         are top1_name,top1_share,top2_name,... in front of the scores: the best outputs, ties to
//         the lowest, and the softmax of their scores; empty where a score is NaN.
//
// Errors of CheckPredictionsPath and WriteFileAtomically.
absl::Status WritePredictions(const std::string& path, const Predictions& predictions);

}  // namespace mase

#endif  // MASE_RUN_PREDICTIONS_H_
