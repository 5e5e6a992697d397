// What a classifier's scores say of it beyond loss and accuracy, gathered batch by batch: the
// confusion matrix, precision, recall and F1 of each class and their averages, top-k accuracy,
// calibration error, ROC AUC. One accuracy hides all that: where 95 % of the rows are of one class,
// a net that always says that class is right in 95 %.
//
//   ClassificationTally tally(labels, {.classes = 5, .top_k = 2});
//   Evaluate(executor, features, labels, batch_size, [&](int64_t first_row, auto scores) {
//     tally.Add(first_row, scores, outputs);
//     return absl::OkStatus();
//   });
//   const Classification figures = tally.Finish();
//
// Rows are added in their order and all sums run in that order, so that neither the size of the
// batches nor the number of threads changes a bit.
#ifndef MASE_EXEC_CLASSIFICATION_H_
#define MASE_EXEC_CLASSIFICATION_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace mase {

// The class of the highest of a row's scores, the first of equals; -1 where a score is NaN.
int64_t TopClass(absl::Span<const float> scores);

// One class. A quotient of 0 by 0 is 0, as scikit-learn has it with zero_division=0; so the F1 of a
// class that is never predicted is 0.
struct ClassFigures {
  int64_t rows = 0;       // Of this class: scikit-learn's support.
  int64_t predicted = 0;  // That the net takes for this class.
  int64_t correct = 0;    // Both.

  double precision() const;  // correct / predicted
  double recall() const;     // correct / rows
  double f1() const;         // 2 correct / (rows + predicted)
};

// Of precision, recall and F1 over classes.
struct ClassAverage {
  double precision = 0, recall = 0, f1 = 0;
};

struct Classification {
  int64_t rows = 0;       // Those that have a class; all below is about them alone.
  int64_t correct = 0;    // The highest score is that of the row's class, ties to the lowest class.
  int64_t undecided = 0;  // Rows with a NaN among their scores: they are predicted as no class.
  std::vector<ClassFigures> classes;

  // [classes, classes], row-major: confusion[t * classes + p] rows of class t were taken for class
  // p. Empty above kMaxConfusionClasses classes.
  std::vector<int64_t> confusion;

  // Over the classes that occur in labels or predictions, as scikit-learn's classification_report
  // has them: all alike; by their rows.
  ClassAverage macro, weighted;

  // Rows whose class has one of the k highest scores, ties to the lowest class. (scikit-learn's
  // top_k_accuracy_score breaks ties the other way.) 0 of k = 0 if none was asked for.
  int64_t top_k = 0, top_k_correct = 0;

  // The expected calibration error (Naeini et al. 2015, Guo et al. 2017). A row's confidence is the
  // softmax of its highest score; the bins are (i / 15, (i + 1) / 15]:
  //   sum over bins of  rows of the bin / rows * | its accuracy - its mean confidence |
  // Rows with a NaN are left out.
  double calibration_error = 0;

  // The area under the ROC curve, one class against the rest by the softmax of its score, equal
  // scores counting half: scikit-learn's roc_auc_score(multi_class="ovr", average="macro"), but the
  // mean is over the classes that have rows as well as others have (where scikit-learn gives up).
  // Unset where no class does, or above kMaxRocScores scores, which it would have to keep. Rows
  // with a NaN are left out.
  std::optional<double> roc_auc;

  // One bit a row added, lowest bit of the first byte first: set where it is right. Two nets are
  // compared on the same rows by these (mase/exec/interval.h).
  std::vector<uint8_t> right;

  // The class with most rows, the first of equals, and its share of the rows; 0 of none.
  int64_t largest() const;
  double largest_share() const;

  // The accuracy says less than it seems to: no better than always saying the largest class, or
  // there are classes with rows that are never predicted.
  bool AccuracyMisleads() const;
};

inline constexpr int64_t kMaxConfusionClasses = 1024;
inline constexpr int64_t kMaxRocScores = int64_t{1} << 26;
inline constexpr int kCalibrationBins = 15;

class ClassificationTally {
 public:
  struct Options {
    int64_t classes = 0;
    int64_t top_k = 0;
  };

  // Of the labels of all rows, which must stay where they are; rows with a label outside of
  // 0..classes-1 and those behind the last label have no class.
  ClassificationTally(absl::Span<const int64_t> labels, const Options& options);

  // Adds what the net says of the rows from `first_row` on: scores [rows, outputs], as the sink of
  // Evaluate gets them. `outputs`, the same each time, may be more than the classes; who is taken
  // for one of those beyond is taken for no class. Batches come in the order of their rows.
  void Add(int64_t first_row, absl::Span<const float> scores, int64_t outputs);

  Classification Finish() const;

 private:
  struct Bin {
    int64_t rows = 0, correct = 0;
    double confidence = 0;
  };

  void AddRow(int64_t label, absl::Span<const float> scores);

  const absl::Span<const int64_t> labels_;
  const Options options_;
  const bool keeps_scores_;
  Classification so_far_;
  std::array<Bin, kCalibrationBins> bins_;
  // By class: the softmax of each row's score as a number with the same order, its lowest bit set
  // where the row is of the class.
  std::vector<std::vector<uint32_t>> ranks_;
  std::vector<float> exponentials_;
};

}  // namespace mase

#endif  // MASE_EXEC_CLASSIFICATION_H_
