// summary.json: a RunReport as text. proto/report.proto says what it promises.
#ifndef MASE_RUN_REPORT_JSON_H_
#define MASE_RUN_REPORT_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

// Unset fields are there, too: empty, 0, or null where unset is not the same as zero. Bytes that
// are no UTF-8 are replaced. The same report gives the same bytes.
std::string ReportJson(const RunReport& report);

// Reads what ReportJson wrote into `file`, of this or another version: unknown keys are skipped.
// DataLoss, with file, line and column, if it is no such text.
absl::StatusOr<RunReport> ParseReportJson(absl::string_view json, absl::string_view file);

// Puts the effective settings into the report. Only fields that are set; options of passes have
// their type as "@type".
void SetSettings(const RunConfig& config, RunReport& report);

}  // namespace mase

#endif  // MASE_RUN_REPORT_JSON_H_
