// What a report says of how a net was computed, as tables: on the terminal and on a run's page.
#ifndef MASE_RUN_EXECUTION_TABLES_H_
#define MASE_RUN_EXECUTION_TABLES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/base/table.h"
#include "proto/report.pb.h"

namespace mase {

// The layers of a chain, which is one kernel, are rows behind it that begin so and have no time.
inline constexpr absl::string_view kPartOfChain = "part: ";

// "1 row", "1,024 rows".
std::string RowsText(int64_t rows);

// A row for each kernel that ran: its nodes; what it computes, and whose loops on which instruction
// set; element types, with the bits of the smallest accumulator; time. The title has the rows of a
// call, where the report knows them.
Table ExecutionTable(const RunReport& report);

// Those that did not run on codes, and why.
Table NodesNotOnCodes(const RunReport& report);

// How many nodes ran on codes, a sentence; "" where nothing is known of nodes.
std::string NodesVerdict(const RunReport& report);

// How far integers are from the simulation, a sentence; "" where nothing was compared.
std::string DifferenceVerdict(const RunReport& report);

// Of a call of one row and of a batch, in each way, and a sentence each that says which of them is
// the fastest.
Table TimingTable(const RunReport& report);
std::vector<std::string> TimingVerdicts(const RunReport& report);

}  // namespace mase

#endif  // MASE_RUN_EXECUTION_TABLES_H_
