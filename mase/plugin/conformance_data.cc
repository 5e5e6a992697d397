// Metrics and readers of data.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "mase/base/quote.h"
#include "mase/plugin/conformance_checks.h"

namespace mase {

absl::Status MetricIsSound(const MetricDefinition& definition) {
  constexpr int64_t kClasses = 3, kMetricRows = 60;
  const std::vector<float> scores = RandomFloats(kMetricRows * kClasses, 17, 1);
  std::vector<int64_t> labels(kMetricRows);
  for (int64_t i = 0; i < kMetricRows; ++i) labels[i] = i * 7 % kClasses;
  std::optional<double> first;
  for (const int64_t batch : {kMetricRows, int64_t{1}, int64_t{7}}) {
    const std::unique_ptr<Metric> metric = definition.create(kClasses);
    if (metric == nullptr) return Wrong("create gives none");
    for (int64_t row = 0; row < kMetricRows; row += batch) {
      const int64_t rows = std::min(batch, kMetricRows - row);
      metric->Add(absl::MakeConstSpan(scores).subspan(row * kClasses, rows * kClasses),
                  absl::MakeConstSpan(labels).subspan(row, rows));
    }
    const double value = metric->Finish();
    if (!std::isfinite(value)) return Wrong("it is ", value, " for ", kMetricRows, " rows");
    if (first.has_value() && std::fabs(*first - value) > 1e-9 * (1 + std::fabs(value))) {
      return Wrong("it is ", *first, " for rows in one batch, and ", value, " for batches of ",
                   batch);
    }
    first = value;
  }
  // NaN among the scores, and one class, bring nothing down.
  const std::unique_ptr<Metric> metric = definition.create(1);
  const float score = std::numeric_limits<float>::quiet_NaN();
  const int64_t label = 0;
  metric->Add({&score, 1}, {&label, 1});
  metric->Finish();
  return absl::OkStatus();
}

absl::Status ReaderIsSound(const DataReader& reader) {
  for (const char* known : {"", "a,b,c\n1,2,3\n", "@relation x\n", "\x93NUMPY", "\x89HDF\r\n\x1a\n",
                            "PK\x03\x04", "\x1f\x8b", "\x89PNG\r\n"}) {
    if (reader.recognizes(known)) {
      return Wrong("it takes a file that begins with ", Quoted(known), " for one of its own");
    }
  }
  Mt19937 random(23);
  for (int i = 0; i < 1000; ++i) {
    std::string head(random.Next32() % 64, '\0');
    for (char& c : head) c = static_cast<char>(random.Next32());
    reader.recognizes(head);
  }
  const auto missing = reader.read("/no/such/folder/file");
  return missing.ok() ? Wrong("it reads a file that is not there") : absl::OkStatus();
}

}  // namespace mase
