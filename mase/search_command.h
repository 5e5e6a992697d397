// Searches as a user runs them, for tests: `ch search` in a folder, and what it leaves there.
#ifndef MASE_SEARCH_COMMAND_H_
#define MASE_SEARCH_COMMAND_H_

#include <map>
#include <string>
#include <vector>

#include "mase/testing/command.h"
#include "nlohmann/json.hpp"

namespace mase {

// Metrics that a search wants and takes no time to measure.
inline constexpr char kMetrics[] =
    "[search.strategy.metrics]\naccuracy.scale = 1.0\npacked_bytes.scale = 1.0\n";

// Tables that do not go unseen: how the search ends, and what it says.
struct BadSearch {
  std::string tables;
  int exit_code;
  std::string message;
};

// A file of these contents; one that is JSON.
std::string Contents(const std::string& path);
nlohmann::json ReadJson(const std::string& path);

// MASE's file of lab 3.
std::string LabFile();

// `ch search` of a settings file into `folder`/out, on 4,000 rows.
CommandResult Search(const std::string& folder, const std::string& config,
                     std::vector<std::string> more = {});

// Trials of a log.json by their state.
std::map<std::string, int> States(const nlohmann::json& log);

// A file of its own with these tables behind a net and data.
std::string WriteConfig(const std::string& folder, const std::string& tables);

// Of jsc_widths_search.toml the nets whose layers are at most so many times as wide.
std::string NotWider(int times);

}  // namespace mase

#endif  // MASE_SEARCH_COMMAND_H_
