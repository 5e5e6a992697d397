#include "mase/search_command.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/matchers.h"

namespace mase {

using ::nlohmann::json;

std::string Contents(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }

json ReadJson(const std::string& path) { return json::parse(Contents(path)); }

std::string LabFile() { return Runfile("testdata/configs/jsc_tiny_search.toml"); }

CommandResult Search(const std::string& folder, const std::string& config,
                     std::vector<std::string> more) {
  std::vector<std::string> words = {"search", "--config=" + config, "--run_dir=out",
                                    "--set=dataset.rows=4000"};
  words.insert(words.end(), more.begin(), more.end());
  return RunCommand("mase/ch", words, folder);
}

std::map<std::string, int> States(const json& log) {
  std::map<std::string, int> states;
  for (const auto& [number, trial] : log.items()) ++states[trial["state"].get<std::string>()];
  return states;
}

std::string WriteConfig(const std::string& folder, const std::string& tables) {
  const std::string path = folder + "/search.toml";
  std::ofstream(path) << "model = \"jsc-tiny\"\nload_name = \""
                      << Runfile("testdata/checkpoints/jsc-tiny.safetensors")
                      << "\"\ndataset = \"jsc-sim\"\nbatch_size = 256\n"
                      << tables;
  return path;
}

std::string NotWider(int times) {
  return absl::StrCat(
      "--set=search.search_space.constraints=['seq_blocks_2/config/channel_multiplier <= ", times,
      "', 'seq_blocks_4/config/channel_multiplier <= ", times, "']");
}

}  // namespace mase
