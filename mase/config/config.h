// All settings of a run, from defaults, a file, --set and flags, as one RunConfig.
// docs/config.md is the users' manual.
#ifndef MASE_CONFIG_CONFIG_H_
#define MASE_CONFIG_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/base/table.h"
#include "mase/config/arguments.h"
#include "mase/config/merge.h"
#include "proto/config.pb.h"

namespace mase {

struct LoadedConfig {
  RunConfig config;
  SettingsRecord record;           // Where each setting came from.
  std::vector<std::string> notes;  // For the user: keys and flags that were ignored.
};

// How one run asks for its settings.
struct ConfigRequest {
  // Finds the options of a pass, which may mean to open its plugin.
  PassOptionsResolver resolve_pass;

  // Actions that run no passes leave them unread, whatever they are.
  bool read_passes = true;

  // The same of the section [search], which one action alone has a use for.
  bool read_search = false;
};

// Defaults < file < --set < flags and positionals (MODEL, DATASET), wherever they
// stand on the command line. An error is a line for each
// wrong key or value of a source, which starts with the place.
absl::StatusOr<LoadedConfig> LoadConfig(const Arguments& arguments, const ConfigRequest& request);

// The same for texts in memory, step by step. Levels must come in their order:
// texts, then sets, then flags.
class ConfigBuilder {
 public:
  explicit ConfigBuilder(const ConfigRequest& request);

  // Reads the file by the ending of its name: .toml, .json; .textproto, .pbtxt and
  // .txtpb. `path` is the user's.
  absl::Status AddFile(absl::string_view path);

  // `name` stands for the file in messages and tells the format by its ending;
  // relative paths in the text are completed with `folder`.
  absl::Status AddText(absl::string_view text, absl::string_view name, absl::string_view folder);

  // A JSON object that a program made, on the level of AddSet; `name` stands for it in messages,
  // which give no lines. Relative paths are the caller's.
  absl::Status AddJson(absl::string_view json, absl::string_view name);

  // "a.b.c=value"; keys may be quoted. The value is TOML, or a bare word.
  absl::Status AddSet(absl::string_view assignment);

  // A key or alias of the top level, or a path as in AddSet; `flag` is what the user typed.
  absl::Status AddFlag(absl::string_view flag, absl::string_view key, absl::string_view text);

  LoadedConfig Build();

 private:
  const ConfigRequest request_;
  Merger merger_;
};

enum class ShownSettings {
  kChanged,  // Those whose value is not the default.
  kAll,      // MASE's table.
};

// The plain settings, one row for each with what each level gave. Values that lost are grey.
Table SettingsTable(const SettingsRecord& record, ShownSettings shown);

// Every setting that was given or has a default, its value, and where it is from.
Table OriginsTable(const SettingsRecord& record);

}  // namespace mase

#endif  // MASE_CONFIG_CONFIG_H_
