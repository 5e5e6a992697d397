#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/table.h"
#include "mase/config/config.h"
#include "mase/config/schema.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

using google::protobuf::FieldDescriptor;

constexpr char kUnset[] = "None";

int Index(Level level) { return static_cast<int>(level); }

// The highest level that gave something; null if none did.
const Given* Winner(const GivenByLevel& given) {
  for (int level = kLevelCount - 1; level >= 0; --level) {
    if (given[level]) return &*given[level];
  }
  return nullptr;
}

std::string TextOf(const absl::optional<Given>& given) { return given ? given->text : ""; }

// What holds: the winner, and where that unset the setting, its default.
std::string Effective(const GivenByLevel& given) {
  const Given* winner = Winner(given);
  if (winner != nullptr && winner->text != kUnset) return winner->text;
  const auto& fallback = given[Index(Level::kDefault)];
  return fallback ? fallback->text : kUnset;
}

std::string PathText(const std::vector<const FieldDescriptor*>& path) {
  std::string text;
  for (const FieldDescriptor* field : path) {
    absl::StrAppend(&text, text.empty() ? "" : ".", field->name());
  }
  return text;
}

// MASE's name where the setting has one, else its path.
std::string ShownName(const std::vector<const FieldDescriptor*>& path) {
  const FieldDescriptor& leaf = *path.back();
  if (path.size() == 2 && leaf.options().GetExtension(scalar_key)) return path[0]->name();
  const auto& aliases = leaf.options().GetExtension(setting).alias();
  return path.size() > 1 && aliases.size() > 0 ? aliases.Get(0) : PathText(path);
}

bool IsPlain(const FieldDescriptor& field) {
  return !field.is_repeated() && field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE;
}

}  // namespace

Table SettingsTable(const SettingsRecord& record, ShownSettings shown) {
  bool has_file = false;
  for (const auto& [path, given] : record) has_file |= given[Index(Level::kFile)].has_value();
  std::vector<Column> columns = {{"Name"}};
  for (const char* name : {"Default", "Config. File", "Manual Override", "Effective"}) {
    columns.push_back({.name = name, .align = Align::kCenter});
  }
  if (!has_file) columns.erase(columns.begin() + 2);
  Table table("settings", shown == ShownSettings::kAll ? "" : "Settings other than the defaults",
              std::move(columns));
  for (const auto& path : LeafPaths(*RunConfig::descriptor())) {
    if (!IsPlain(*path.back())) continue;
    const auto found = record.find(PathText(path));
    const bool listed = path.back()->options().HasExtension(setting) &&
                        !path.back()->options().GetExtension(setting).help().empty();
    if (!listed && found == record.end()) continue;
    const GivenByLevel given = found == record.end() ? GivenByLevel() : found->second;
    const auto& fallback = given[Index(Level::kDefault)];
    const auto& file = given[Index(Level::kFile)];
    const auto& manual = given[Index(given[Index(Level::kFlag)] ? Level::kFlag : Level::kSet)];

    if (shown == ShownSettings::kChanged &&
        Effective(given) == (fallback ? fallback->text : kUnset))
      continue;
    std::vector<Cell> row = {ShownName(path), fallback ? fallback->text : kUnset};
    if (has_file) row.push_back(TextOf(file));
    row.push_back(TextOf(manual));
    row.push_back(Effective(given));
    table.AddRow(std::move(row));
    if (file || manual) table.Dim(table.num_rows() - 1, 1);
    if (has_file && manual) table.Dim(table.num_rows() - 1, 2);
  }
  return table;
}

Table OriginsTable(const SettingsRecord& record) {
  Table table("settings", "", {{"Setting"}, {.name = "Value", .align = Align::kLeft}, {"From"}});
  for (const auto& [path, given] : record) {
    const Given* winner = Winner(given);
    if (winner != nullptr) table.AddRow({path, Effective(given), winner->where});
  }
  return table;
}

}  // namespace mase
