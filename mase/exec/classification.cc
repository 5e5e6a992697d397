#include "mase/exec/classification.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace mase {
namespace {

double Quotient(int64_t a, int64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

bool IsAbove(const float* scores, int64_t a, int64_t b) {
  return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

// The place of an output among a row's, from 0: how many have a higher score, or the same and a
// lower number.
int64_t PlaceOf(absl::Span<const float> scores, int64_t output) {
  int64_t place = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(scores.size()); ++i) {
    place += i != output && IsAbove(scores.data(), i, output);
  }
  return place;
}

// A share as a whole number of 31 bits with the same order. Shares up to a half are told apart as
// float32 are; those above by what is missing to 1, as finely.
uint32_t Rank(float share) { return std::bit_cast<uint32_t>(share); }
uint32_t RankOfRest(float rest) {
  return 2 * std::bit_cast<uint32_t>(0.5F) - std::bit_cast<uint32_t>(std::min(rest, 0.5F));
}

// Ascending, three times 11 bits.
void RadixSort(std::vector<uint32_t>& values) {
  constexpr int kBits = 11, kSize = 1 << kBits;
  std::vector<uint32_t> other(values.size());
  for (int shift = 0; shift < 32; shift += kBits) {
    std::array<size_t, kSize> begin{};
    for (const uint32_t value : values) ++begin[value >> shift & (kSize - 1)];
    size_t sum = 0;
    for (size_t& count : begin) sum += std::exchange(count, sum);
    for (const uint32_t value : values) other[begin[value >> shift & (kSize - 1)]++] = value;
    values.swap(other);
  }
}

// The area under the ROC curve: the share of pairs (row of the class, other row) in which the first
// has the higher rank, equal ones counting half. Unset without such a pair.
std::optional<double> RocAuc(std::vector<uint32_t> ranks) {
  RadixSort(ranks);
  uint64_t positives = 0, negatives = 0, halves = 0;
  for (size_t i = 0; i < ranks.size();) {
    uint64_t same_positives = 0, same_negatives = 0;
    const uint32_t rank = ranks[i] >> 1;
    for (; i < ranks.size() && ranks[i] >> 1 == rank; ++i) {
      ++((ranks[i] & 1) != 0 ? same_positives : same_negatives);
    }
    halves += same_positives * (2 * negatives + same_negatives);
    positives += same_positives;
    negatives += same_negatives;
  }
  if (positives == 0 || negatives == 0) return std::nullopt;
  return static_cast<double>(halves) /
         (2 * static_cast<double>(positives) * static_cast<double>(negatives));
}

void SetAverages(Classification& figures) {
  int64_t occurring = 0;
  ClassAverage macro, weighted;
  const auto add = [](const ClassFigures& figures, double weight, ClassAverage& average) {
    average.precision += weight * figures.precision();
    average.recall += weight * figures.recall();
    average.f1 += weight * figures.f1();
  };
  for (const ClassFigures& one : figures.classes) {
    if (one.rows == 0 && one.predicted == 0) continue;
    ++occurring;
    add(one, 1, macro);
    add(one, static_cast<double>(one.rows), weighted);
  }
  const auto divide = [](ClassAverage average, int64_t by) {
    const double n = static_cast<double>(std::max<int64_t>(by, 1));
    return ClassAverage{average.precision / n, average.recall / n, average.f1 / n};
  };
  figures.macro = divide(macro, occurring);
  figures.weighted = divide(weighted, figures.rows);
}

}  // namespace

int64_t TopClass(absl::Span<const float> scores) {
  int64_t top = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) return -1;
    if (scores[i] > scores[top]) top = static_cast<int64_t>(i);
  }
  return top;
}

double ClassFigures::precision() const { return Quotient(correct, predicted); }
double ClassFigures::recall() const { return Quotient(correct, rows); }
double ClassFigures::f1() const { return Quotient(2 * correct, rows + predicted); }

int64_t Classification::largest() const {
  int64_t largest = 0;
  for (int64_t i = 1; i < static_cast<int64_t>(classes.size()); ++i) {
    if (classes[i].rows > classes[largest].rows) largest = i;
  }
  return largest;
}

double Classification::largest_share() const {
  return classes.empty() ? 0 : Quotient(classes[largest()].rows, rows);
}

bool Classification::AccuracyMisleads() const {
  bool forgotten = false;
  for (const ClassFigures& one : classes) forgotten |= one.rows > 0 && one.predicted == 0;
  return forgotten || (!classes.empty() && correct <= classes[largest()].rows);
}

ClassificationTally::ClassificationTally(absl::Span<const int64_t> labels, const Options& options)
    : labels_(labels),
      options_(options),
      keeps_scores_(options.classes > 0 &&
                    static_cast<int64_t>(labels.size()) <= kMaxRocScores / options.classes) {
  so_far_.classes.resize(options.classes);
  if (options.classes <= kMaxConfusionClasses) {
    so_far_.confusion.resize(options.classes * options.classes);
  }
  so_far_.top_k = options.top_k;
  if (keeps_scores_) {
    ranks_.resize(options.classes);
    for (std::vector<uint32_t>& ranks : ranks_) ranks.reserve(labels.size());
  }
}

void ClassificationTally::Add(int64_t first_row, absl::Span<const float> scores, int64_t outputs) {
  const int64_t rows = static_cast<int64_t>(scores.size()) / outputs;
  const int64_t end = first_row + rows;
  so_far_.right.resize(std::max(static_cast<int64_t>(so_far_.right.size()), (end + 7) / 8));
  exponentials_.resize(outputs);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t row = first_row + i;
    const int64_t label = row < static_cast<int64_t>(labels_.size()) ? labels_[row] : -1;
    if (label < 0 || label >= options_.classes) continue;
    const int64_t correct = so_far_.correct;
    AddRow(label, scores.subspan(i * outputs, outputs));
    if (so_far_.correct > correct) so_far_.right[row / 8] |= 1 << row % 8;
  }
}

void ClassificationTally::AddRow(int64_t label, absl::Span<const float> scores) {
  ++so_far_.rows;
  ++so_far_.classes[label].rows;
  const int64_t top = TopClass(scores);
  if (top < 0) {
    ++so_far_.undecided;
    return;
  }
  const bool correct = top == label;
  so_far_.correct += correct;
  if (top < options_.classes) {
    ++so_far_.classes[top].predicted;
    so_far_.classes[top].correct += correct;
    if (!so_far_.confusion.empty()) ++so_far_.confusion[label * options_.classes + top];
  }
  if (options_.top_k > 0) so_far_.top_k_correct += PlaceOf(scores, label) < options_.top_k;

  // The softmax, and what the highest lacks to 1, which 1 - confidence would lose the digits of.
  float rest = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    // Equal scores may both be infinite.
    exponentials_[i] = scores[i] == scores[top] ? 1 : std::exp(scores[i] - scores[top]);
    if (static_cast<int64_t>(i) != top) rest += exponentials_[i];
  }
  const float sum = 1 + rest;
  const double confidence = 1 / static_cast<double>(sum);
  const int bin = static_cast<int>(std::ceil(confidence * kCalibrationBins)) - 1;
  Bin& in = bins_[std::clamp(bin, 0, kCalibrationBins - 1)];
  ++in.rows;
  in.correct += correct;
  in.confidence += confidence;
  if (!keeps_scores_) return;
  for (int64_t i = 0; i < std::min<int64_t>(options_.classes, scores.size()); ++i) {
    const uint32_t rank =
        i == top && rest / sum < 0.5F ? RankOfRest(rest / sum) : Rank(exponentials_[i] / sum);
    ranks_[i].push_back(rank << 1 | (i == label ? 1 : 0));
  }
}

Classification ClassificationTally::Finish() const {
  Classification figures = so_far_;
  SetAverages(figures);
  int64_t rows = 0;
  double error = 0;
  for (const Bin& bin : bins_) {
    rows += bin.rows;
    error += std::abs(static_cast<double>(bin.correct) - bin.confidence);
  }
  if (rows > 0) figures.calibration_error = error / static_cast<double>(rows);
  double sum = 0;
  int64_t classes = 0;
  for (const std::vector<uint32_t>& ranks : ranks_) {
    const std::optional<double> area = RocAuc(ranks);
    sum += area.value_or(0);
    classes += area.has_value();
  }
  if (classes > 0) figures.roc_auc = sum / static_cast<double>(classes);
  return figures;
}

}  // namespace mase
