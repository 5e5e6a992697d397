// Test-only: a reporter that keeps what it is told.
#ifndef MASE_RUN_RECORDING_REPORTER_H_
#define MASE_RUN_RECORDING_REPORTER_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/run/reporter.h"

namespace mase {

class RecordingReporter : public Reporter {
 public:
  void Message(LogLevel level, absl::string_view message) override {
    (level >= LogLevel::kWarning ? warnings : messages).emplace_back(message);
  }
  void Print(absl::string_view text) override { absl::StrAppend(&printed, text); }
  void Show(const Table& table, absl::string_view whole) override {
    tables.push_back(table);
    wholes.emplace_back(whole);
  }

  std::vector<std::string> messages, warnings;
  std::string printed;
  std::vector<Table> tables;
  std::vector<std::string> wholes;  // Of the tables.
};

}  // namespace mase

#endif  // MASE_RUN_RECORDING_REPORTER_H_
