// Table as part of a report (proto/report.proto), and back.
//
// A report keeps name, title, columns and cells; not alignments, ranks, signs and grey cells. As in
// JSON, numbers that are not finite come back empty, and whole numbers above 2^53 are rounded.
#ifndef MASE_BASE_TABLE_REPORT_H_
#define MASE_BASE_TABLE_REPORT_H_

#include "absl/status/statusor.h"
#include "mase/base/table.h"
#include "proto/report.pb.h"

namespace mase {

TableReport ReportOf(const Table& table);

// A column is of whole numbers if all its numbers are and no decimals are set. DataLoss, naming the
// table, if a row has not as many cells as there are columns, a cell is a list or an object, or
// there is no column.
absl::StatusOr<Table> TableOf(const TableReport& report);

}  // namespace mase

#endif  // MASE_BASE_TABLE_REPORT_H_
