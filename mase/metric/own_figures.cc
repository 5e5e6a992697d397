#include "mase/metric/own_figures.h"

#include "absl/strings/str_cat.h"
#include "mase/base/call_foreign.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

std::string Whose(const MetricDefinition& definition) {
  return absl::StrCat("metric ", definition.name);
}

}  // namespace

absl::Status OwnFigures::Add(absl::Span<const float> scores, int64_t classes,
                             absl::Span<const int64_t> labels) {
  for (size_t i = 0; i < metrics_.size(); ++i) {
    const std::string whose = Whose(*metrics_[i]);
    MASE_RETURN_IF_ERROR(CallForeign(whose, [&] {
      if (i == made_.size()) made_.push_back(metrics_[i]->create(classes));
      if (made_[i] == nullptr) return absl::InternalError(absl::StrCat(whose, " was made as null"));
      made_[i]->Add(scores, labels);
      return absl::OkStatus();
    }));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<std::string, double>>> OwnFigures::Finish() const {
  std::vector<std::pair<std::string, double>> figures;
  for (size_t i = 0; i < made_.size(); ++i) {
    MASE_ASSIGN_OR_RETURN(const double figure,
                          CallForeign(Whose(*metrics_[i]), [&]() -> absl::StatusOr<double> {
                            return made_[i]->Finish();
                          }));
    figures.emplace_back(metrics_[i]->name, figure);
  }
  return figures;
}

}  // namespace mase
