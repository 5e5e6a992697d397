// Plugin `@NAME@`: a metric, the share of rows whose class is among the two likeliest.
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "mase/metric/metric.h"
#include "mase/plugin/plugin.h"

namespace @NAME@ {

class @CLASS@ final : public mase::Metric {
 public:
  explicit @CLASS@(int64_t classes) : classes_(classes) {}

  void Add(absl::Span<const float> scores, absl::Span<const int64_t> labels) override {
    for (size_t row = 0; row < labels.size(); ++row) {
      const float* of_row = scores.data() + row * classes_;
      int64_t likelier = 0;
      for (int64_t i = 0; i < classes_; ++i) likelier += of_row[i] > of_row[labels[row]];
      found_ += likelier < 2;
      ++rows_;
    }
  }

  double Finish() const override { return rows_ == 0 ? 0 : static_cast<double>(found_) / rows_; }

 private:
  const int64_t classes_;
  int64_t found_ = 0, rows_ = 0;
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddMetric({.name = "@NAME@",
                              .summary = "Share of rows whose class is among the two likeliest.",
                              .create = [](int64_t classes) -> std::unique_ptr<mase::Metric> {
                                return std::make_unique<@CLASS@>(classes);
                              }});
}

}  // namespace @NAME@

// Who answers for it, and whether users may rely on it: `ch plugins describe` prints both.
MASE_DEFINE_PLUGIN("@NAME@", "1.0.0", @NAME@::Register, .owner = "", .status = "experimental")
