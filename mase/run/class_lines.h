// What stands beside an accuracy on the terminal, and in the report.
#ifndef MASE_RUN_CLASS_LINES_H_
#define MASE_RUN_CLASS_LINES_H_

#include <string>
#include <vector>

#include "mase/exec/class_counts.h"
#include "proto/report.pb.h"

namespace mase {

// One line, two where the accuracy misleads, of at most 80 characters each:
//
//   largest class 'g': 0.950 of the rows
//   right by class: 'g' 95 of 95, 'q' 0 of 5
std::string ClassLines(const ClassCounts& counts, const std::vector<std::string>& names);

// Replaces the report's classes by these.
void ReportClasses(const ClassCounts& counts, const std::vector<std::string>& names,
                   RunReport& report);

}  // namespace mase

#endif  // MASE_RUN_CLASS_LINES_H_
