#include "mase/run/sweep_points.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/crc32c.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/data/delimited.h"

namespace mase {
namespace {

constexpr size_t kLongestName = 80;

// Settings that are not the runs' own, and why.
struct NotSwept {
  absl::string_view setting, why;
};
constexpr absl::string_view kWrites = "the sweep chooses where its runs write";
constexpr absl::string_view kShared =
    "it is that of the program, in which all runs are; give it beside --sweep";
constexpr absl::string_view kOneFile = "it is one file of all runs; give it beside --sweep";
constexpr NotSwept kNotSwept[] = {
    {"config", kWrites},      {"project", kWrites},      {"project_dir", kWrites},
    {"resume", kWrites},      {"run_dir", kWrites},      {"goals.junit", kOneFile},
    {"junit", kOneFile},      {"max_memory", kShared},   {"log_level", kShared},
    {"no_warnings", kShared}, {"plugins", kShared},      {"plugin_dirs", kShared},
    {"isolation", kShared},   {"pass_timeout", kShared},
};

absl::Status CheckSetting(const std::string& setting) {
  if (setting.empty()) return absl::InvalidArgumentError("a setting without a name");
  for (const NotSwept& each : kNotSwept) {
    if (setting != each.setting) continue;
    return absl::InvalidArgumentError(absl::StrCat("'", setting, "' cannot be swept: ", each.why));
  }
  return absl::OkStatus();
}

// `text` cut at each `separator` that is in no quotes and no brackets.
std::vector<std::string> SplitOutside(absl::string_view text, char separator) {
  std::vector<std::string> parts = {""};
  char quote = 0;
  int depth = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{' || c == '(') {
      ++depth;
    } else if (c == ']' || c == '}' || c == ')') {
      --depth;
    } else if (c == separator && depth <= 0) {
      parts.emplace_back();
      continue;
    }
    parts.back() += c;
  }
  for (std::string& part : parts) part = std::string(absl::StripAsciiWhitespace(part));
  return parts;
}

absl::StatusOr<std::vector<std::string>> LinesOf(const std::string& file) {
  MASE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, limits::kMaxConfigFileBytes));
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (!line.empty() && line[0] != '#') lines.emplace_back(line);
  }
  return lines;
}

absl::Status CheckSettings(const std::vector<std::string>& settings) {
  if (settings.empty()) {
    return absl::InvalidArgumentError("nothing is swept; want --sweep SETTING=V1,V2,...");
  }
  for (size_t i = 0; i < settings.size(); ++i) {
    MASE_RETURN_IF_ERROR(CheckSetting(settings[i]));
    if (std::count(settings.begin(), settings.begin() + static_cast<int64_t>(i), settings[i]) > 0) {
      return absl::InvalidArgumentError(absl::StrCat("'", settings[i], "' is swept twice"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SweepPoints> PointsOf(const std::vector<SweepAxis>& axes) {
  SweepPoints points;
  for (const SweepAxis& axis : axes) points.settings.push_back(axis.setting);
  MASE_RETURN_IF_ERROR(CheckSettings(points.settings));
  return points;
}

}  // namespace

absl::StatusOr<SweepAxis> ParseSweepAxis(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  // A quoted key may have a '='.
  const std::vector<std::string> sides = SplitOutside(text, '=');
  if (sides.size() < 2 || sides[0].empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--sweep ", text, ": want SETTING=V1,V2,..., such as batch_size=64,256"));
  }
  SweepAxis axis = {sides[0]};
  MASE_RETURN_IF_ERROR(CheckSetting(axis.setting));
  const absl::string_view values =
      absl::StripAsciiWhitespace(text.substr(text.find('=', sides[0].size()) + 1));
  if (!values.empty() && values[0] == '@') {
    MASE_ASSIGN_OR_RETURN(axis.file, UserPath(values.substr(1)));
    MASE_ASSIGN_OR_RETURN(axis.values, LinesOf(axis.file));
  } else {
    axis.values = SplitOutside(values, ';');
    if (axis.values.size() == 1) axis.values = SplitOutside(values, ',');
  }
  if (axis.values.empty() || absl::c_linear_search(axis.values, "")) {
    return absl::InvalidArgumentError(absl::StrCat("--sweep ", text, ": a value is empty"));
  }
  return axis;
}

absl::StatusOr<SweepPoints> GridOf(const std::vector<SweepAxis>& axes) {
  MASE_ASSIGN_OR_RETURN(SweepPoints points, PointsOf(axes));
  points.points = {{}};
  for (const SweepAxis& axis : axes) {
    const int64_t size = static_cast<int64_t>(points.points.size());
    if (size > kMaxSweepPoints / static_cast<int64_t>(axis.values.size())) {
      return absl::InvalidArgumentError(
          absl::StrCat("the sweep has more than ", kMaxSweepPoints, " points"));
    }
    std::vector<std::vector<std::string>> longer;
    for (const std::vector<std::string>& point : points.points) {
      for (const std::string& value : axis.values) {
        longer.push_back(point);
        longer.back().push_back(value);
      }
    }
    points.points = std::move(longer);
  }
  return points;
}

absl::StatusOr<SweepPoints> ZipOf(const std::vector<SweepAxis>& axes) {
  MASE_ASSIGN_OR_RETURN(SweepPoints points, PointsOf(axes));
  for (const SweepAxis& axis : axes) {
    if (axis.values.size() == axes[0].values.size()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--zip wants as many values of each setting; ", axes[0].setting, " has ",
                     axes[0].values.size(), ", ", axis.setting, " has ", axis.values.size()));
  }
  for (size_t i = 0; i < axes[0].values.size(); ++i) {
    std::vector<std::string>& point = points.points.emplace_back();
    for (const SweepAxis& axis : axes) point.push_back(axis.values[i]);
  }
  return points;
}

absl::StatusOr<SweepPoints> ReadPointList(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string file, UserPath(path));
  MASE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, limits::kMaxConfigFileBytes));
  SweepPoints points;
  absl::string_view rest = text;
  for (int64_t number = 1; !rest.empty(); ++number) {
    absl::string_view line = NextLine(rest);
    if (!IsRow(line, '#')) continue;
    std::vector<std::string> cells;
    bool more = true;
    while (more) {
      absl::string_view cell;
      std::string scratch;
      more = NextCell(line, ',', cell, scratch);
      cells.emplace_back(absl::StripAsciiWhitespace(cell));
    }
    if (points.settings.empty()) {
      points.settings = std::move(cells);
      if (const absl::Status valid = CheckSettings(points.settings); !valid.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", valid.message()));
      }
      continue;
    }
    if (cells.size() != points.settings.size()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", cells.size(),
                                                     " values for ", points.settings.size(),
                                                     " settings"));
    }
    points.points.push_back(std::move(cells));
    if (static_cast<int64_t>(points.points.size()) > kMaxSweepPoints) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": more than ", kMaxSweepPoints, " points"));
    }
  }
  if (points.points.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": no points; want a line of settings, then a line of their values for each run"));
  }
  return points;
}

absl::Status KeepShard(absl::string_view shard, SweepPoints& points) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(shard, '/');
  size_t part = 0, count = 0;
  const bool read = absl::SimpleAtoi(parts.first, &part) && absl::SimpleAtoi(parts.second, &count);
  if (!read || part < 1 || part > count) {
    return absl::InvalidArgumentError(
        absl::StrCat("--shard=", shard, ": want PART/PARTS, as 1/4, ... 4/4"));
  }
  if (part > points.points.size()) {
    return absl::InvalidArgumentError(absl::StrCat("--shard=", shard, ": there are only ",
                                                   points.points.size(), " runs to share"));
  }
  std::vector<std::vector<std::string>> kept;
  for (size_t i = part - 1; i < points.points.size(); i += count) {
    kept.push_back(std::move(points.points[i]));
  }
  points.points = std::move(kept);
  return absl::OkStatus();
}

std::string PointName(const SweepPoints& points, size_t point) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < points.settings.size(); ++i) {
    parts.push_back(absl::StrCat(points.settings[i], "=", points.points[point][i]));
  }
  const std::string exact = absl::StrJoin(parts, ",");
  std::string name;
  for (const char c : exact) {
    const bool plain =
        absl::ascii_isalnum(c) || absl::string_view("=,._+-").find(c) != absl::string_view::npos;
    name += plain ? c : '-';
  }
  if (name == exact && name.size() <= kLongestName && name[0] != '.' && name[0] != '-') {
    return name;
  }
  const std::string checksum = absl::StrFormat("-%08x", Crc32c(exact));
  name.resize(std::min(name.size(), kLongestName - checksum.size()));
  if (name[0] == '.' || name[0] == '-') name[0] = '_';
  return name + checksum;
}

}  // namespace mase
