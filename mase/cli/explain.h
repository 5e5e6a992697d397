// Which setting, from which line of which file, decided what.
#ifndef MASE_CLI_EXPLAIN_H_
#define MASE_CLI_EXPLAIN_H_

#include <string>
#include <vector>

#include "mase/config/config.h"
#include "mase/pipeline/pipeline.h"
#include "nlohmann/json.hpp"

namespace mase {

// A setting that was given, by the level that holds.
struct GivenSetting {
  std::string setting, value;
  std::string place;  // "testdata/jsc.toml:12:8", "--set".
};

// The settings at a path and below it, all for ""; not those that have their default.
std::vector<GivenSetting> GivenBelow(const SettingsRecord& record, const std::string& path);

// As lines with setting, value and place. Of a file its name alone is shown, and below where it is.
std::string GivenText(const std::vector<GivenSetting>& given);

// [{"setting": ..., "value": ..., "from": ...}, ...]
nlohmann::ordered_json GivenJson(const std::vector<GivenSetting>& given);

// The text of a JSON document; bytes that are no UTF-8 are replaced.
std::string DumpJson(const nlohmann::ordered_json& json);

// Writes down, for every pass that runs, what it decided about each node, and under each node the
// settings that decided (in front of all nodes where the pass names none), in 80 columns:
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
  // [{"pass": ..., "label": ..., "changed": ..., "settings": as GivenJson, "nodes": [{"node": ...,
  // "op": ..., "decision":
  // ..., "reason": ..., "settings": as GivenJson}, ...]}, ...]
  const nlohmann::ordered_json& json() const { return json_; }

 private:
  const SettingsRecord& record_;
  std::string text_;
  nlohmann::ordered_json json_ = nlohmann::ordered_json::array();
};

}  // namespace mase

#endif  // MASE_CLI_EXPLAIN_H_
