#include "mase/exec/class_counts.h"

#include <algorithm>
#include <cmath>

namespace mase {

int64_t TopClass(absl::Span<const float> scores) {
  int64_t top = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) return -1;
    if (scores[i] > scores[top]) top = static_cast<int64_t>(i);
  }
  return top;
}

ClassCounts::ClassCounts(absl::Span<const int64_t> labels, int64_t classes)
    : labels_(labels), counts_(classes) {
  for (const int64_t label : labels) {
    if (label >= 0 && label < classes) ++counts_[label].rows;
  }
  for (int64_t i = 1; i < classes; ++i) {
    if (counts_[i].rows > counts_[largest_].rows) largest_ = i;
  }
}

void ClassCounts::Add(int64_t first_row, absl::Span<const float> scores, int64_t outputs) {
  const int64_t classes = static_cast<int64_t>(counts_.size());
  const int64_t rows = static_cast<int64_t>(scores.size()) / outputs;
  const int64_t labelled = static_cast<int64_t>(labels_.size());
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t top = TopClass(scores.subspan(i * outputs, outputs));
    if (top < 0) ++undecided_;
    if (top < 0 || top >= classes) continue;
    ++counts_[top].predicted;
    const int64_t row = first_row + i;
    counts_[top].correct += row < labelled && labels_[row] == top;
  }
}

double ClassCounts::largest_share() const {
  int64_t rows = 0;
  for (const ClassCount& count : counts_) rows += count.rows;
  return rows == 0 ? 0 : static_cast<double>(counts_[largest_].rows) / static_cast<double>(rows);
}

bool ClassCounts::AccuracyMisleads() const {
  int64_t correct = 0;
  bool forgotten = false;
  for (const ClassCount& count : counts_) {
    correct += count.correct;
    forgotten |= count.rows > 0 && count.predicted == 0;
  }
  return forgotten || (!counts_.empty() && correct <= counts_[largest_].rows);
}

}  // namespace mase
