#include "mase/data/delimited.h"

#include <omp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <system_error>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/data/dialect.h"

namespace mase {
namespace {

constexpr absl::string_view kBlanks = " \t";

// Takes a separator and what stands before it off `line`. True if there was one.
bool SkipSeparator(absl::string_view& line, char separator) {
  if (separator == ' ') {
    line.remove_prefix(std::min(line.find_first_of(kBlanks), line.size()));
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    return !line.empty();
  }
  const size_t at = line.find(separator);
  line.remove_prefix(at == absl::string_view::npos ? line.size() : at + 1);
  return at != absl::string_view::npos;
}

// A finite float32 from all of `cell`. By way of double where float's own range is left, so that
// 1e-60 is 0 and 1e60 is refused.
bool ParseFinite(absl::string_view cell, char decimal, float& value) {
  if (decimal != '.') {
    double wide = 0;
    if (!ParseNumber(cell, decimal, wide)) return false;
    value = static_cast<float>(wide);
    return std::isfinite(value);
  }
  if (!cell.empty() && cell[0] == '+') cell.remove_prefix(1);
  const char* end = cell.data() + cell.size();
  std::from_chars_result result = std::from_chars(cell.data(), end, value);
  if (result.ec == std::errc::result_out_of_range) {
    double wide = 0;
    result = std::from_chars(cell.data(), end, wide);
    value = static_cast<float>(wide);
  }
  return result.ec == std::errc() && result.ptr == end && std::isfinite(value);
}

// Numbers the distinct class texts of a stretch of lines in order of appearance.
class ClassTexts {
 public:
  int64_t IndexOf(absl::string_view text, int64_t line) {
    if (last_ < static_cast<int64_t>(texts.size()) && texts[last_] == text) return last_;
    const auto [entry, inserted] = index_.try_emplace(std::string(text), texts.size());
    if (inserted) {
      texts.emplace_back(text);
      lines.push_back(line);
    }
    return last_ = entry->second;
  }

  std::vector<std::string> texts;
  std::vector<int64_t> lines;

 private:
  absl::flat_hash_map<std::string, int64_t> index_;
  int64_t last_ = 0;
};

// One stretch of whole lines, with what the scan and then the parse of it found.
struct Chunk {
  absl::string_view text;
  int64_t lines = 0;
  int64_t rows = 0;
  int64_t first_line = 0;
  int64_t first_row = 0;
  ClassTexts classes;
  absl::Status status;
};

std::vector<Chunk> CutAtLineEnds(absl::string_view text) {
  constexpr size_t kWorthAThread = 1 << 20;
  const size_t count = std::min<size_t>(omp_get_max_threads(), text.size() / kWorthAThread + 1);
  std::vector<Chunk> chunks(count);
  for (size_t i = 0; i < count; ++i) {
    size_t size = text.size() / (count - i);
    const size_t end = text.find('\n', size);
    size = i + 1 == count || end == absl::string_view::npos ? text.size() : end + 1;
    chunks[i].text = text.substr(0, size);
    text.remove_prefix(size);
  }
  return chunks;
}

void CountRows(Chunk& chunk, char comment) {
  absl::string_view rest = chunk.text;
  while (!rest.empty()) {
    ++chunk.lines;
    if (IsRow(NextLine(rest), comment)) ++chunk.rows;
  }
}

absl::Status RowError(const DelimitedBody& body, int64_t line, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(body.path, ":", line, ": ", problem));
}

// Parses one line into `features` and returns the index of its class.
absl::StatusOr<int64_t> ParseRow(const DelimitedBody& body, absl::string_view line, int64_t number,
                                 float* features, ClassTexts& classes, std::string& scratch) {
  const size_t cells = body.columns.names.size();
  if (body.separator == ' ') line = absl::StripAsciiWhitespace(line);
  int64_t label = 0;
  bool more = true;
  for (size_t i = 0; i < cells; ++i) {
    if (!more) {
      return RowError(body, number, absl::StrCat(i, " cells, the header has ", cells));
    }
    const int feature = body.feature_of_column[i];
    if (feature >= 0 && body.decimal == '.') {
      // Nearly every cell is a bare number with a separator behind it.
      const char* end = line.data() + line.size();
      const auto [stop, error] = std::from_chars(line.data(), end, features[feature]);
      if (error == std::errc() && stop != end && *stop == body.separator &&
          std::isfinite(features[feature])) {
        line.remove_prefix(stop + 1 - line.data());
        continue;
      }
    }
    absl::string_view cell;
    more = NextCell(line, body.separator, cell, scratch);
    if (feature >= 0 && !ParseFinite(cell, body.decimal, features[feature])) {
      return RowError(body, number,
                      absl::StrCat("column '", body.columns.names[i], "': '", cell,
                                   "' is not a finite number"));
    }
    if (static_cast<int>(i) == body.label_column) {
      if (cell.empty()) {
        return RowError(body, number,
                        absl::StrCat("no class in column '", body.columns.names[i], "'"));
      }
      double value;
      if (body.decimal != '.' && ParseNumber(cell, body.decimal, value)) {
        scratch = std::string(cell);
        std::replace(scratch.begin(), scratch.end(), body.decimal, '.');
        cell = scratch;
      }
      label = classes.IndexOf(cell, number);
    }
  }
  if (more) return RowError(body, number, absl::StrCat("more cells than the header's ", cells));
  return label;
}

void ParseChunk(const DelimitedBody& body, int64_t features, float* feature_rows, int64_t* labels,
                Chunk& chunk) {
  std::string scratch;
  absl::string_view rest = chunk.text;
  float* row = feature_rows + chunk.first_row * features;
  int64_t* label = labels == nullptr ? nullptr : labels + chunk.first_row;
  for (int64_t number = chunk.first_line; !rest.empty(); ++number) {
    const absl::string_view line = NextLine(rest);
    if (!IsRow(line, body.comment)) continue;
    const auto index = ParseRow(body, line, number, row, chunk.classes, scratch);
    if (!index.ok()) {
      chunk.status = index.status();
      return;
    }
    if (label != nullptr) *label++ = *index;
    row += features;
  }
}

// Renumbers a chunk's labels by the order of first appearance in the whole file.
void MergeClasses(const Chunk& chunk, absl::Span<int64_t> labels, ClassTexts& all) {
  std::vector<int64_t> index;
  for (size_t i = 0; i < chunk.classes.texts.size(); ++i) {
    index.push_back(all.IndexOf(chunk.classes.texts[i], chunk.classes.lines[i]));
  }
  for (int64_t& label : labels.subspan(chunk.first_row, chunk.rows)) label = index[label];
}

// Goes through the file from its start; each block's stretches come with their lines and rows
// counted. `use` says whether to go on.
absl::Status ForEachBlock(const DelimitedBody& body, LineBlocks& lines,
                          const std::function<absl::StatusOr<bool>(std::vector<Chunk>&)>& use) {
  MASE_RETURN_IF_ERROR(lines.Rewind());
  int64_t line = body.first_line, row = 0;
  for (size_t header = body.header_bytes;; header = 0) {
    MASE_ASSIGN_OR_RETURN(absl::string_view text, lines.Next());
    if (text.empty()) return absl::OkStatus();
    text.remove_prefix(std::min(header, text.size()));
    std::vector<Chunk> chunks = CutAtLineEnds(text);
    const int count = static_cast<int>(chunks.size());
#pragma omp parallel for schedule(static, 1) if (count > 1)
    for (int i = 0; i < count; ++i) CountRows(chunks[i], body.comment);
    for (Chunk& chunk : chunks) {
      chunk.first_line = std::exchange(line, line + chunk.lines);
      chunk.first_row = std::exchange(row, row + chunk.rows);
    }
    MASE_ASSIGN_OR_RETURN(const bool more, use(chunks));
    if (!more) return absl::OkStatus();
  }
}

}  // namespace

absl::string_view NextLine(absl::string_view& text) {
  const void* end = std::memchr(text.data(), '\n', text.size());
  const size_t size = end != nullptr ? static_cast<const char*>(end) - text.data() : text.size();
  absl::string_view line = text.substr(0, size);
  text.remove_prefix(std::min(size + 1, text.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool IsRow(absl::string_view line, char comment) {
  return !line.empty() && (comment == '\0' || line[0] != comment) &&
         !absl::StripAsciiWhitespace(line).empty();
}

bool NextCell(absl::string_view& line, char separator, absl::string_view& cell,
              std::string& scratch) {
  const size_t start = line.find_first_not_of(separator == '\t' ? " " : kBlanks);
  const char quote = start == absl::string_view::npos ? '\0' : line[start];
  if (quote == '"' || quote == '\'') {
    scratch.clear();
    size_t at = start + 1;
    for (; at < line.size(); ++at) {
      if (line[at] == quote) {
        if (quote == '\'' || at + 1 >= line.size() || line[at + 1] != quote) break;
        ++at;
      }
      scratch.push_back(line[at]);
    }
    line.remove_prefix(std::min(at + 1, line.size()));
    cell = scratch;
    return SkipSeparator(line, separator);
  }
  if (separator == ' ') {
    line.remove_prefix(std::min(start, line.size()));
    cell = line.substr(0, line.find_first_of(kBlanks));
    return SkipSeparator(line, separator);
  }
  const size_t at = line.find(separator);
  cell = absl::StripAsciiWhitespace(line.substr(0, at));
  line.remove_prefix(at == absl::string_view::npos ? line.size() : at + 1);
  return at != absl::string_view::npos;
}

absl::Status ParseDelimited(const DelimitedBody& body, LineBlocks& lines, DataTable& table) {
  int64_t rows = 0;
  MASE_RETURN_IF_ERROR(ForEachBlock(body, lines, [&](std::vector<Chunk>& chunks) {
    rows = chunks.back().first_row + chunks.back().rows;
    return true;
  }));
  if (rows == 0) return absl::InvalidArgumentError(absl::StrCat(body.path, ": no rows"));
  const int64_t features =
      *std::max_element(body.feature_of_column.begin(), body.feature_of_column.end()) + 1;
  const bool labelled = body.label_column >= 0;
  MASE_ASSIGN_OR_RETURN(table.features, Tensor::Create(DType::kFloat32, {rows, features}));
  MASE_ASSIGN_OR_RETURN(table.labels, Tensor::Create(DType::kInt64, {labelled ? rows : 0}));
  float* const feature_rows = table.features.mutable_data<float>().data();
  const absl::Span<int64_t> labels = table.labels.mutable_data<int64_t>();
  ClassTexts classes;
  const auto parse = [&](std::vector<Chunk>& chunks) -> absl::StatusOr<bool> {
    if (chunks.back().first_row + chunks.back().rows > rows) {
      return absl::UnavailableError(absl::StrCat(body.path, ": changed while it was read"));
    }
    const int count = static_cast<int>(chunks.size());
#pragma omp parallel for schedule(static, 1) if (count > 1)
    for (int i = 0; i < count; ++i) {
      ParseChunk(body, features, feature_rows, labelled ? labels.data() : nullptr, chunks[i]);
    }
    for (const Chunk& chunk : chunks) {
      MASE_RETURN_IF_ERROR(chunk.status);
      if (labelled) MergeClasses(chunk, labels, classes);
    }
    return static_cast<int64_t>(classes.texts.size()) <= limits::kMaxClasses;
  };
  MASE_RETURN_IF_ERROR(ForEachBlock(body, lines, parse));
  table.class_texts = std::move(classes.texts);
  for (int64_t line : classes.lines) {
    table.class_places.push_back(absl::StrCat(body.path, ":", line));
  }
  return absl::OkStatus();
}

}  // namespace mase
