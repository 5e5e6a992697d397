// Which setting, from which line of which file, decided what.
#ifndef MASE_CLI_EXPLAIN_H_
#define MASE_CLI_EXPLAIN_H_

#include <string>

#include "mase/base/table.h"
#include "mase/config/config.h"
#include "mase/pipeline/pipeline.h"

namespace mase {

// The settings that were given, as a table of path, value and place; not those that have their
// default.
Table GivenTable(const SettingsRecord& record);

// Writes down, for every pass that runs, what it decided about each node, and under each node the
// settings that decided:
//
//   quantize
//     seq_blocks_2 (linear) quantized: integer data_in 8/4, weight 8/4, bias 8/4
//       passes.quantize.linear.config.name = integer     jsc.toml:12:8
//       passes.quantize.linear.config.data_in.width = 8  jsc.toml:13:17
class Explainer final : public Instrumentation {
 public:
  // `record` must outlive it.
  explicit Explainer(const SettingsRecord& record) : record_(record) {}

  absl::Status AfterPass(const RunningPass& pass, const Graph& graph, const PassReport& report,
                         absl::Duration verify) override;

  const std::string& text() const { return text_; }

 private:
  // The settings at this path and below it.
  std::string Below(const std::string& path) const;

  const SettingsRecord& record_;
  std::string text_;
};

}  // namespace mase

#endif  // MASE_CLI_EXPLAIN_H_
