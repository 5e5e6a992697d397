// The tables in which Optuna keeps studies, schema 12 (Optuna 3 to 5), and the texts in their
// cells.
#ifndef MASE_SEARCH_STUDY_TABLES_H_
#define MASE_SEARCH_STUDY_TABLES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/trial.h"
#include "mase/search/database.h"

namespace mase {

// Makes the tables where there are none. InvalidArgument, and nothing is changed, where there
// are tables of another schema or a file that holds something else.
absl::Status PrepareTables(Database& database);

// "COMPLETE" and so on.
absl::string_view StateText(TrialState state);
// Failed for what is no state.
TrialState StateOf(absl::string_view text);

// {"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 9}}
std::string DistributionJson(const SearchParameter& parameter);
// Whether that text, by whoever wrote it, describes the parameter.
bool IsDistributionOf(const SearchParameter& parameter, absl::string_view json);

// Local time, "2026-11-28 22:28:50.905833".
std::string TimeText(absl::Time time);
// InfinitePast for what is no time.
absl::Time TimeOf(absl::string_view text);

// How a number stands in a value cell beside its type: FINITE, INF_POS, INF_NEG, NAN.
absl::string_view ValueType(double value);
// The number of a cell: `value` counts where the type is FINITE.
double ValueOf(absl::string_view type, double value);

// The values of a point by name, as they are outside: {"width": 8, "name": "integer"}.
std::string FixedParamsJson(const ParameterSpace& space, absl::Span<const double> point);
// A point of those values; parameters that are not there are NaN. InvalidArgument for values that
// the space does not have, and for names that it does not have.
absl::StatusOr<Point> PointOfFixedParams(const ParameterSpace& space, absl::string_view json);

}  // namespace mase

#endif  // MASE_SEARCH_STUDY_TABLES_H_
