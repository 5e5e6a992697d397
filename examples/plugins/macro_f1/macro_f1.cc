// Example plugin: a metric from outside, the mean of the classes' F1. It stands in summary.json and
// in `ch report` beside accuracy and loss, and a goal can name it:
//
//   $SDK/bin/ch test jsc-tiny jsc --plugins=./macro_f1.so --goal='macro_f1 >= 0.5'
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "mase/metric/metric.h"
#include "mase/plugin/plugin.h"

namespace macro_f1 {

class MacroF1 final : public mase::Metric {
 public:
  explicit MacroF1(int64_t classes)
      : classes_(classes), right_(classes), taken_(classes), are_(classes) {}

  void Add(absl::Span<const float> scores, absl::Span<const int64_t> labels) override {
    for (size_t row = 0; row < labels.size(); ++row) {
      const float* of_row = scores.data() + row * classes_;
      int64_t best = 0;  // Of equals the first, as accuracy has it.
      for (int64_t i = 1; i < classes_; ++i) best = of_row[i] > of_row[best] ? i : best;
      ++taken_[best];
      ++are_[labels[row]];
      if (best == labels[row]) ++right_[best];
    }
  }

  // F1 = 2 right / (taken for it + are it); of classes that are nowhere 0, as scikit-learn has it.
  double Finish() const override {
    double sum = 0;
    for (int64_t i = 0; i < classes_; ++i) {
      if (taken_[i] + are_[i] > 0) sum += 2.0 * right_[i] / (taken_[i] + are_[i]);
    }
    return sum / static_cast<double>(classes_);
  }

 private:
  const int64_t classes_;
  std::vector<int64_t> right_, taken_, are_;
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddMetric({.name = "macro_f1",
                              .summary = "Mean of the classes' F1.",
                              .create = [](int64_t classes) -> std::unique_ptr<mase::Metric> {
                                return std::make_unique<MacroF1>(classes);
                              }});
}

}  // namespace macro_f1

MASE_DEFINE_PLUGIN("macro_f1", "1.0.0", macro_f1::Register, .owner = "MASE in C++",
                   .status = "stable")
