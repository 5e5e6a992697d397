#include "mase/metric/metric.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "mase/base/open_table.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

using Definitions = std::vector<const MetricDefinition*>;

OpenTable<Definitions>& Table() {
  static auto* const table = new OpenTable<Definitions>(Definitions());
  return *table;
}

// Those that every run measures (mase/run/measure.cc); top-k accuracies are told by their form.
constexpr absl::string_view kMeasuredAnyway[] = {
    "accuracy",        "loss",        "precision",         "recall", "f1", "weighted_precision",
    "weighted_recall", "weighted_f1", "calibration_error", "roc_auc"};

bool IsName(absl::string_view name) {
  return !name.empty() && absl::ascii_islower(name.front()) && absl::c_all_of(name, [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
  });
}

}  // namespace

Metric::~Metric() = default;

absl::Status CheckMetric(const MetricDefinition& definition) {
  const std::string& name = definition.name;
  if (!IsName(name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "metric '", name, "': want a name of small letters, digits and _, as in macro_f1"));
  }
  if (definition.create == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("metric ", name, ": nothing makes it"));
  }
  if (absl::c_linear_search(kMeasuredAnyway, name) || FindMetric(name) != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat("there is a metric ", name, " already"));
  }
  return absl::OkStatus();
}

absl::Status RegisterMetric(MetricDefinition definition) {
  MASE_RETURN_IF_ERROR(CheckMetric(definition));
  Table().Grow([&](Definitions& all) {
    all.push_back(new MetricDefinition(std::move(definition)));
    std::sort(all.begin(), all.end(),
              [](const auto* a, const auto* b) { return a->name < b->name; });
  });
  return absl::OkStatus();
}

const MetricDefinition* FindMetric(absl::string_view name) {
  for (const MetricDefinition* each : OwnMetrics()) {
    if (each->name == name) return each;
  }
  return nullptr;
}

absl::Span<const MetricDefinition* const> OwnMetrics() { return Table().get(); }

}  // namespace mase
