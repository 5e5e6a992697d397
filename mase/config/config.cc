#include "mase/config/config.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/config/json.h"
#include "mase/config/text_proto.h"
#include "mase/config/toml.h"

namespace mase {
namespace {

absl::StatusOr<ConfigValue> ParseByName(absl::string_view text, absl::string_view name,
                                        const PassOptionsResolver& resolve_pass) {
  if (absl::EndsWith(name, ".toml")) return ParseToml(text, name);
  if (absl::EndsWith(name, ".json")) return ParseJson(text, name);
  for (const char* ending : {".textproto", ".pbtxt", ".txtpb"}) {
    if (absl::EndsWith(name, ending)) return ParseTextProto(text, name, resolve_pass);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": a settings file must end in .toml, .json or .textproto"));
}

// {a: {b: {c: value}}} for the keys of a path.
ConfigValue Nested(std::vector<std::string> keys, ConfigValue value) {
  std::reverse(keys.begin(), keys.end());
  for (std::string& key : keys) {
    value = {ValueTable{{std::move(key), Position(), std::move(value)}}, Position()};
  }
  return value;
}

// Nobody sees the lines of a text that a program made.
void ForgetPositions(ConfigValue& root) {
  std::vector<ConfigValue*> left = {&root};
  while (!left.empty()) {
    ConfigValue& value = *left.back();
    left.pop_back();
    value.position = Position();
    if (ValueList* list = std::get_if<ValueList>(&value.data); list != nullptr) {
      for (ConfigValue& item : *list) left.push_back(&item);
    }
    if (ValueTable* table = std::get_if<ValueTable>(&value.data); table != nullptr) {
      for (Member& member : *table) {
        member.position = Position();
        left.push_back(&member.value);
      }
    }
  }
}

}  // namespace

ConfigBuilder::ConfigBuilder(const ConfigRequest& request)
    : request_(request), merger_(request.resolve_pass) {
  if (!request.read_passes) merger_.SkipPasses();
  if (!request.read_search) merger_.SkipSearch();
}

absl::Status ConfigBuilder::AddFile(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::filesystem::path file, UserPath(path));
  MASE_ASSIGN_OR_RETURN(const std::string text,
                        ReadFile(file.string(), limits::kMaxConfigFileBytes));
  return AddText(text, path, file.parent_path().string());
}

absl::Status ConfigBuilder::AddText(absl::string_view text, absl::string_view name,
                                    absl::string_view folder) {
  MASE_ASSIGN_OR_RETURN(const ConfigValue table, ParseByName(text, name, request_.resolve_pass));
  return merger_.Merge(table, {Level::kFile, std::string(name), std::string(folder)});
}

absl::Status ConfigBuilder::AddJson(absl::string_view json, absl::string_view name) {
  MASE_ASSIGN_OR_RETURN(ConfigValue table, ParseJson(json, name));
  ForgetPositions(table);
  return merger_.Merge(table, {Level::kSet, std::string(name), ""});
}

absl::Status ConfigBuilder::AddSet(absl::string_view assignment) {
  const std::string name = absl::StrCat("--set ", assignment);
  const absl::StatusOr<Assignment> parsed = ParseAssignment(assignment);
  if (!parsed.ok()) {
    return absl::Status(parsed.status().code(),
                        absl::StrCat(name, ": ", parsed.status().message()));
  }
  const ConfigValue table = Nested(parsed->keys, {RawText{parsed->text}, Position()});
  return merger_.Merge(table, {Level::kSet, name, ""});
}

absl::Status ConfigBuilder::AddFlag(absl::string_view flag, absl::string_view key,
                                    absl::string_view text) {
  absl::StatusOr<Assignment> path = ParseAssignment(absl::StrCat(key, "=", text));
  if (!path.ok()) return Annotate(path.status(), flag);
  const ConfigValue table = Nested(std::move(path->keys), {RawText{std::string(text)}, Position()});
  return merger_.Merge(table, {Level::kFlag, std::string(flag), ""});
}

LoadedConfig ConfigBuilder::Build() {
  return {merger_.Finish(), merger_.record(), merger_.notes()};
}

absl::StatusOr<LoadedConfig> LoadConfig(const Arguments& arguments, const ConfigRequest& request) {
  ConfigBuilder builder(request);
  if (!arguments.config.empty()) MASE_RETURN_IF_ERROR(builder.AddFile(arguments.config));
  for (const Arguments::Text& text : arguments.texts) {
    MASE_RETURN_IF_ERROR(builder.AddJson(text.json, text.name));
  }
  for (const std::string& assignment : arguments.sets) {
    MASE_RETURN_IF_ERROR(builder.AddSet(assignment));
  }
  constexpr const char* kPositionals[] = {"model", "dataset"};
  for (size_t i = 0; i < arguments.positionals.size(); ++i) {
    if (i >= std::size(kPositionals)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", arguments.positionals[i], "': want no more than MODEL and DATASET"));
    }
    MASE_RETURN_IF_ERROR(
        builder.AddFlag(kPositionals[i], kPositionals[i], arguments.positionals[i]));
  }
  for (const Arguments::Setting& given : arguments.settings) {
    MASE_RETURN_IF_ERROR(builder.AddFlag(given.flag, given.key, given.text));
  }
  LoadedConfig loaded = builder.Build();
  loaded.notes.insert(loaded.notes.end(), arguments.notes.begin(), arguments.notes.end());
  return loaded;
}

}  // namespace mase
