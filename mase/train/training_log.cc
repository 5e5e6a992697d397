#include "mase/train/training_log.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "mase/base/files.h"
#include "mase/base/folder.h"
#include "mase/base/limits.h"
#include "mase/base/recorded.h"
#include "mase/base/status_macros.h"
#include "mase/interop/svg_curves.h"
#include "mase/interop/tensorboard.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Scalars = std::vector<std::pair<std::string, float>>;

constexpr char kMetricsFile[] = "metrics.jsonl";
constexpr char kHistoryHeader[] =
    "epoch,lr,train_loss,val_loss,val_acc,val_correct,val_total,seconds";

double SystemWallTime() { return absl::ToDoubleSeconds(RecordedTime() - absl::UnixEpoch()); }

// JSON knows no NaN and no infinity.
std::string JsonNumber(double value) {
  return std::isfinite(value) ? ShortestNumber(value) : "null";
}

std::string MetricsLine(int64_t step, int64_t epoch, double time,
                        absl::Span<const std::pair<std::string, float>> scalars) {
  std::string line =
      absl::StrCat("{\"step\": ", step, ", \"epoch\": ", epoch, ", \"time\": ", JsonNumber(time));
  for (const auto& [tag, value] : scalars) {
    absl::StrAppend(&line, ", \"", tag, "\": ", JsonNumber(value));
  }
  return line + "}\n";
}

std::string Event(int64_t step, int64_t epoch, double time,
                  absl::Span<const std::pair<std::string, float>> scalars) {
  Scalars with_epoch(scalars.begin(), scalars.end());
  with_epoch.emplace_back("epoch", static_cast<float>(epoch));
  return ScalarRecord(step, time, with_epoch);
}

std::string HistoryLine(const EpochRecord& r) {
  return absl::StrJoin(
      {absl::StrCat(r.epoch), ShortestNumber(r.rate), ShortestNumber(r.train_loss),
       ShortestNumber(r.val_loss), ShortestNumber(r.val_acc), absl::StrCat(r.val_correct),
       absl::StrCat(r.val_total), absl::StrCat(std::round(r.seconds * 1000) / 1000)},
      ",");
}

bool ParseHistoryLine(absl::string_view line, EpochRecord* r) {
  const std::vector<absl::string_view> cells = absl::StrSplit(line, ',');
  return cells.size() == 8 && absl::SimpleAtoi(cells[0], &r->epoch) &&
         absl::SimpleAtod(cells[1], &r->rate) && absl::SimpleAtod(cells[2], &r->train_loss) &&
         absl::SimpleAtod(cells[3], &r->val_loss) && absl::SimpleAtod(cells[4], &r->val_acc) &&
         absl::SimpleAtoi(cells[5], &r->val_correct) && absl::SimpleAtoi(cells[6], &r->val_total) &&
         absl::SimpleAtod(cells[7], &r->seconds);
}

// The event file that an earlier part of the run began, or a name for a new one.
std::string ChooseEventFile(const TrainingLog::Options& options) {
  const auto entries = EntriesOf(options.directory);
  for (const auto& entry : entries.value_or(std::vector<std::filesystem::path>())) {
    std::string name = entry.filename().string();
    if (absl::StartsWith(name, "events.out.tfevents.")) return name;
  }
  return EventFileName(options.wall_time());
}

// The contents of a file that need not be there.
absl::StatusOr<std::string> ReadIfThere(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, limits::kMaxDataFileBytes);
  if (text.status().code() == absl::StatusCode::kNotFound) return std::string();
  return text;
}

}  // namespace

std::string ShortestNumber(double value) {
  if (std::isnan(value)) return "nan";  // Never "-nan".
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end.ptr);
}

absl::StatusOr<std::vector<EpochRecord>> ReadHistory(absl::string_view directory) {
  const std::string path = absl::StrCat(directory, "/", kHistoryFile);
  MASE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, limits::kMaxDataFileBytes));
  std::vector<EpochRecord> history;
  int64_t line_number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (++line_number == 1 && line == kHistoryHeader) continue;
    EpochRecord record;
    if (!ParseHistoryLine(line, &record)) {
      return absl::DataLossError(absl::StrCat(path, ":", line_number, ": not a line of history"));
    }
    history.push_back(record);
  }
  return history;
}

absl::StatusOr<TrainingLog> TrainingLog::Open(const Options& options) {
  Options complete = options;
  if (!complete.wall_time) complete.wall_time = SystemWallTime;
  TrainingLog log(complete, ChooseEventFile(complete));
  MASE_RETURN_IF_ERROR(log.ReplayMetrics());
  MASE_RETURN_IF_ERROR(log.TakeOverHistory());
  log.metrics_.open(log.Path(kMetricsFile), std::ios::app | std::ios::binary);
  if (!log.metrics_) return FileError(log.Path(kMetricsFile), "open", errno);
  log.events_.open(log.Path(log.event_file_), std::ios::app | std::ios::binary);
  if (!log.events_) return FileError(log.Path(log.event_file_), "open", errno);
  return log;
}

// Writes metrics.jsonl again without what is dropped, and the event file from it: the text is the
// log, the events are its copy.
absl::Status TrainingLog::ReplayMetrics() {
  const std::string path = Path(kMetricsFile);
  MASE_ASSIGN_OR_RETURN(const std::string before, ReadIfThere(path));
  std::string metrics;
  std::string events = EventFileHeader(options_.wall_time());
  int64_t line_number = 0;
  for (const absl::string_view line : absl::StrSplit(before, '\n')) {
    ++line_number;
    if (line.data() + line.size() == before.data() + before.size()) break;  // No end of line: cut.
    const auto parsed = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
    if (!parsed.is_object() || !parsed.contains("step") || !parsed.contains("epoch") ||
        !parsed.contains("time")) {
      return absl::DataLossError(absl::StrCat(path, ":", line_number, ": not a line of metrics"));
    }
    Scalars scalars;
    int64_t step = 0, epoch = 0;
    double time = 0;
    for (const auto& [key, value] : parsed.items()) {
      const double number =
          value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
      if (key == "step") {
        step = static_cast<int64_t>(number);
      } else if (key == "epoch") {
        epoch = static_cast<int64_t>(number);
      } else if (key == "time") {
        time = number;
      } else {
        scalars.emplace_back(key, static_cast<float>(number));
      }
    }
    if (step >= options_.step) continue;
    absl::StrAppend(&metrics, line, "\n");
    events += Event(step, epoch, time, scalars);
  }
  if (metrics.empty() && options_.step > 0) lost_ = absl::StrCat(path, " has no line");
  MASE_RETURN_IF_ERROR(WriteFileAtomically(path, metrics));
  return WriteFileAtomically(Path(event_file_), events);
}

absl::Status TrainingLog::TakeOverHistory() {
  absl::StatusOr<std::vector<EpochRecord>> before = ReadHistory(options_.directory);
  if (!before.ok() && !absl::IsNotFound(before.status())) return before.status();
  if (before.ok()) {
    for (const EpochRecord& record : *before) {
      if (record.epoch < options_.epoch) history_.push_back(record);
    }
  }
  if (static_cast<int64_t>(history_.size()) < options_.epoch) {
    lost_ = absl::StrCat(Path(kHistoryFile), " has ", history_.size(), " of the ", options_.epoch,
                         " epochs that have ended");
  }
  return WriteHistory();
}

void TrainingLog::Write(int64_t step, int64_t epoch,
                        absl::Span<const std::pair<std::string, float>> scalars) {
  const double time = options_.wall_time();
  metrics_ << MetricsLine(step, epoch, time, scalars);
  events_ << Event(step, epoch, time, scalars);
}

absl::Status TrainingLog::WriteEpoch(const EpochRecord& record) {
  history_.push_back(record);
  return WriteHistory();
}

absl::Status TrainingLog::WriteHistory() const {
  std::string text = absl::StrCat(kHistoryHeader, "\n");
  for (const EpochRecord& record : history_) absl::StrAppend(&text, HistoryLine(record), "\n");
  return WriteFileAtomically(Path(kHistoryFile), text);
}

absl::Status TrainingLog::Flush() {
  if (!metrics_.flush()) return FileError(Path(kMetricsFile), "write", errno);
  if (!events_.flush()) return FileError(Path(event_file_), "write", errno);
  return absl::OkStatus();
}

absl::Status TrainingLog::WriteCurves() {
  Curve train{"training", {}}, validation{"validation", {}}, accuracy{"validation", {}},
      rate{"", {}};
  for (const EpochRecord& r : history_) {
    const double epoch = static_cast<double>(r.epoch);
    train.points.emplace_back(epoch, r.train_loss);
    validation.points.emplace_back(epoch, r.val_loss);
    accuracy.points.emplace_back(epoch, r.val_acc);
    rate.points.emplace_back(epoch, r.rate);
  }
  const auto picture = [this](const std::string& what, std::vector<Curve> curves) {
    return CurvesAsSvg({.title = absl::StrCat(options_.name, ": ", what),
                        .x_label = "epoch",
                        .y_label = what,
                        .whole_x = true,
                        .curves = std::move(curves)});
  };
  const std::pair<std::string, std::string> pictures[] = {
      {"loss.svg", picture("loss", {train, validation})},
      {"accuracy.svg", picture("accuracy", {accuracy})},
      {"learning_rate.svg", picture("learning rate", {rate})},
  };
  for (const auto& [name, text] : pictures) {
    MASE_RETURN_IF_ERROR(WriteFileAtomically(Path(name), text));
    curve_files_.push_back(name);
  }
  return absl::OkStatus();
}

std::vector<std::string> TrainingLog::Files() const {
  std::vector<std::string> files = {kHistoryFile, kMetricsFile, event_file_};
  files.insert(files.end(), curve_files_.begin(), curve_files_.end());
  return files;
}

std::string TrainingLog::Path(absl::string_view name) const {
  return absl::StrCat(options_.directory, "/", name);
}

}  // namespace mase
