#include "mase/search/study.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "mase/base/files.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/config/complete.h"
#include "mase/search/database.h"
#include "mase/search/heartbeat.h"
#include "mase/search/study_rows.h"
#include "mase/search/study_store.h"
#include "mase/search/study_tables.h"

namespace mase {
namespace {

using Id = TrialId;
using Row = TrialRow;

constexpr size_t kMostPending = 256;  // Results that are collected.
constexpr int64_t kNoTarget = std::numeric_limits<int64_t>::max();

class DatabaseStudy final : public Study {
 public:
  DatabaseStudy(StorageSettings settings, StudySpec spec, std::unique_ptr<Database> database)
      : Study(std::move(spec)),
        settings_(std::move(settings)),
        database_(std::move(database)),
        store_(spec_, settings_, *database_) {
    alone_ = database_->url().kind == DatabaseUrl::Kind::kMemory;
    if (!alone_) {
      heart_.emplace(settings_.url(), absl::Seconds(settings_.heartbeat_interval()));
    }
  }

  ~DatabaseStudy() override { Flush().IgnoreError(); }

  absl::Status OpenStudy() {
    MASE_RETURN_IF_ERROR(PrepareTables(*database_));
    return database_->Transact([this](soci::session& sql) { return store_.MakeOrCheck(sql); });
  }

  const std::vector<std::string>& beside() const { return store_.beside(); }

  absl::Span<const Trial> running() const override { return running_; }
  int64_t begun() const override {
    return static_cast<int64_t>(history_.size() + running_.size()) - died_;
  }
  size_t running_elsewhere() const override { return running_.size() - ids_.size(); }
  absl::StatusOr<std::vector<Trial>> Begin(int64_t count) override {
    return Take(kNoTarget, count, /*only_queued=*/false);
  }
  absl::StatusOr<std::vector<Trial>> BeginOf(int64_t target, int64_t count,
                                             bool only_queued) override {
    return Take(target, count, only_queued);
  }
  absl::StatusOr<bool> Choose(const Trial& trial) override;
  absl::Status Report(int64_t number, int64_t step, double value) override;
  absl::Status Finish(Trial trial) override;
  absl::Status GiveBack(absl::Span<const int64_t> numbers) override;
  absl::Status FailOthers() override;
  absl::Status Enqueue(Point point) override;
  absl::Status Refresh() override;
  absl::Status Flush() override;

 private:
  // What others did since it was last looked for: their rows, and the last row there is.
  struct News {
    Id last = 0;
    std::vector<Row> rows;
  };

  absl::Status ReadOthers(soci::session& sql, News& news);
  void Learn(News news);
  int64_t Counted(const News& news) const;  // What begun() is once they are learnt.
  absl::StatusOr<std::vector<Trial>> Take(int64_t target, int64_t count, bool only_queued);
  absl::StatusOr<Trial*> FindOwn(int64_t number);
  absl::Status MaybeFlush();
  // Fails trials of others that show no sign of life, or, `at_once`, all of them.
  absl::Status FailDead(bool at_once);

  const StorageSettings settings_;
  const std::unique_ptr<Database> database_;
  StudyStore store_;
  bool alone_ = false;  // Nobody else is at the study.

  std::vector<Trial> running_;            // The first ids_.size() are this worker's.
  absl::flat_hash_map<int64_t, Id> ids_;  // Of this worker's running trials, by number.
  std::set<Id> open_;                     // Rows of others that are not finished.
  std::map<Id, Row> waiting_;             // Rows in the queue.
  Id last_ = 0;                           // Rows up to this one are known.
  int64_t died_ = 0;                      // Of the history, with their workers.
  StudyResults pending_;
  absl::Time flushed_ = absl::InfinitePast();
  absl::Time looked_for_stale_ = absl::InfinitePast();
  absl::optional<Heart> heart_;  // Last: its thread ends first.
};

absl::Status DatabaseStudy::ReadOthers(soci::session& sql, News& news) {
  news = {.last = last_};
  std::vector<Row> found;
  MASE_ASSIGN_OR_RETURN(found, store_.Read(sql, last_, {open_.begin(), open_.end()}));
  // This worker knows its own trials.
  for (Row& row : found) {
    news.last = std::max(news.last, row.id);
    if (!ids_.contains(row.trial.number) && history_.Find(row.trial.number) == nullptr) {
      news.rows.push_back(std::move(row));
    }
  }
  return store_.ReadDetails(sql, news.rows);
}

absl::Status DatabaseStudy::Refresh() {
  MASE_RETURN_IF_ERROR(Flush());
  News news;
  MASE_RETURN_IF_ERROR(
      database_->Transact([&](soci::session& sql) { return ReadOthers(sql, news); }));
  Learn(std::move(news));
  return absl::OkStatus();
}

void DatabaseStudy::Learn(News news) {
  last_ = news.last;
  running_.resize(ids_.size());
  open_.clear();
  waiting_.clear();
  for (Row& row : news.rows) {
    if (IsFinished(row.trial.state)) {
      died_ += DiedWithItsWorker(row.trial);
      history_.Add(std::move(row.trial));
      continue;
    }
    open_.insert(row.id);
    if (row.trial.state == TrialState::kRunning) {
      running_.push_back(std::move(row.trial));
    } else {
      waiting_.emplace(row.id, std::move(row));
    }
  }
}

int64_t DatabaseStudy::Counted(const News& news) const {
  const int64_t known = static_cast<int64_t>(history_.size() + ids_.size()) - died_;
  return known + absl::c_count_if(news.rows, [](const Row& row) {
           return row.trial.state != TrialState::kWaiting && !DiedWithItsWorker(row.trial);
         });
}

absl::Status DatabaseStudy::FailDead(bool at_once) {
  if (open_.empty()) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(database_->Transact([&](soci::session& sql) {
    store_.Lock(sql);
    store_.FailStale(sql, {open_.begin(), open_.end()}, at_once);
    return absl::OkStatus();
  }));
  return Refresh();
}

absl::Status DatabaseStudy::FailOthers() {
  alone_ = true;
  MASE_RETURN_IF_ERROR(Refresh());
  return FailDead(/*at_once=*/true);
}

absl::StatusOr<std::vector<Trial>> DatabaseStudy::Take(int64_t target, int64_t count,
                                                       bool only_queued) {
  MASE_RETURN_IF_ERROR(Refresh());
  // Trials of the dead are looked for a few times in a grace period.
  const absl::Duration grace = absl::Seconds(settings_.grace_period());
  if (!open_.empty() && absl::Now() - looked_for_stale_ > grace / 4) {
    looked_for_stale_ = absl::Now();
    MASE_RETURN_IF_ERROR(FailDead(/*at_once=*/false));
  }
  if ((only_queued && waiting_.empty()) || begun() >= target) return std::vector<Trial>();
  std::vector<Row> begun;
  News news;
  MASE_RETURN_IF_ERROR(database_->Transact([&](soci::session& sql) -> absl::Status {
    begun.clear();
    store_.Lock(sql);
    // Whoever has the lock sees what those before it took.
    if (!alone_) MASE_RETURN_IF_ERROR(ReadOthers(sql, news));
    const int64_t wanted = std::min(count, target - (alone_ ? this->begun() : Counted(news)));
    const absl::Time now = absl::Now();
    for (const auto& [id, row] : waiting_) {
      if (static_cast<int64_t>(begun.size()) >= wanted) break;
      absl::optional<Row> taken = store_.TakeWaiting(sql, row, now);
      if (taken.has_value()) begun.push_back(*std::move(taken));
    }
    const int64_t more = only_queued ? 0 : wanted - static_cast<int64_t>(begun.size());
    for (Row& row : store_.InsertRunning(sql, more, now)) begun.push_back(std::move(row));
    for (Row& row : begun) {
      row.trial.state = TrialState::kRunning;
      row.trial.start = now;
    }
    store_.WriteBegun(sql, begun);
    return absl::OkStatus();
  }));
  if (!alone_) Learn(std::move(news));
  std::vector<Trial> trials;
  for (Row& row : begun) {
    waiting_.erase(row.id);
    open_.erase(row.id);
    if (heart_.has_value()) heart_->Begin(row.id);
    running_.insert(running_.begin() + static_cast<int64_t>(ids_.size()), row.trial);
    ids_[row.trial.number] = row.id;
    trials.push_back(std::move(row.trial));
  }
  return trials;
}

absl::StatusOr<Trial*> DatabaseStudy::FindOwn(int64_t number) {
  for (size_t i = 0; i < ids_.size(); ++i) {
    if (running_[i].number == number) return &running_[i];
  }
  return absl::FailedPreconditionError(
      absl::StrCat("trial ", number, " is not running, or not this worker's"));
}

absl::StatusOr<bool> DatabaseStudy::Choose(const Trial& trial) {
  MASE_RETURN_IF_ERROR(spec_.space.Check(trial.point));
  MASE_ASSIGN_OR_RETURN(Trial * own, FindOwn(trial.number));
  if (alone_) {
    own->point = trial.point;
    pending_.points.emplace_back(ids_[trial.number], trial.point);
    MASE_RETURN_IF_ERROR(MaybeFlush());
    return true;
  }
  // Whoever has the lock sees what those before it chose.
  MASE_RETURN_IF_ERROR(Flush());
  const Point key = PointKey(trial.point);
  News news;
  bool taken = false;
  MASE_RETURN_IF_ERROR(database_->Transact([&](soci::session& sql) -> absl::Status {
    store_.Lock(sql);
    MASE_RETURN_IF_ERROR(ReadOthers(sql, news));
    taken = absl::c_any_of(news.rows, [&key](const Row& row) {
      return row.trial.state != TrialState::kWaiting && PointKey(row.trial.point) == key &&
             !DiedWithItsWorker(row.trial);
    });
    if (taken) return absl::OkStatus();
    store_.WritePoints(sql, {{ids_[trial.number], trial.point}});
    return absl::OkStatus();
  }));
  if (!taken) own->point = trial.point;
  Learn(std::move(news));
  return !taken;
}

absl::Status DatabaseStudy::Report(int64_t number, int64_t step, double value) {
  MASE_ASSIGN_OR_RETURN(Trial * own, FindOwn(number));
  own->intermediate[step] = value;
  pending_.steps.emplace_back(ids_[number], std::make_pair(static_cast<Id>(step), value));
  return MaybeFlush();
}

absl::Status DatabaseStudy::Finish(Trial trial) {
  MASE_ASSIGN_OR_RETURN(Trial * own, FindOwn(trial.number));
  if (trial.state == TrialState::kComplete) {
    MASE_RETURN_IF_ERROR(spec_.space.Check(trial.point));
    if (trial.values.size() != spec_.directions.size() ||
        absl::c_any_of(trial.values, [](double value) { return std::isnan(value); })) {
      return absl::InvalidArgumentError(absl::StrCat(
          "trial ", trial.number, " has the values ", absl::StrJoin(trial.values, ", "),
          ": a number for each of ", absl::StrJoin(spec_.metric_names, ", "), " is wanted"));
    }
  } else {
    trial.values.clear();
  }
  if (trial.start == absl::InfinitePast()) trial.start = own->start;
  if (trial.complete == absl::InfinitePast()) trial.complete = absl::Now();
  if (!trial.point.empty() && own->point.empty()) {
    pending_.points.emplace_back(ids_[trial.number], trial.point);
  }
  trial.intermediate.merge(own->intermediate);
  pending_.ended.emplace_back(ids_[trial.number], trial);
  ids_.erase(trial.number);
  running_.erase(running_.begin() + (own - running_.data()));
  history_.Add(std::move(trial));
  return MaybeFlush();
}

absl::Status DatabaseStudy::GiveBack(absl::Span<const int64_t> numbers) {
  MASE_RETURN_IF_ERROR(Flush());
  std::vector<Id> ids;
  std::vector<std::pair<Id, Point>> points;
  for (const int64_t number : numbers) {
    MASE_ASSIGN_OR_RETURN(const Trial* own, FindOwn(number));
    ids.push_back(ids_[number]);
    if (!own->point.empty()) points.emplace_back(ids_[number], own->point);
  }
  if (ids.empty()) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(database_->Transact([&](soci::session& sql) {
    store_.GiveBack(sql, ids, points);
    return absl::OkStatus();
  }));
  for (const int64_t number : numbers) {
    MASE_ASSIGN_OR_RETURN(const Trial* own, FindOwn(number));
    running_.erase(running_.begin() + (own - running_.data()));
    if (heart_.has_value()) heart_->End(ids_[number]);
    open_.insert(ids_[number]);
    ids_.erase(number);
  }
  return absl::OkStatus();
}

absl::Status DatabaseStudy::Enqueue(Point point) {
  MASE_RETURN_IF_ERROR(spec_.space.Check(point));
  return database_->Transact([&](soci::session& sql) {
    store_.Lock(sql);
    store_.Enqueue(sql, point);
    return absl::OkStatus();
  });
}

absl::Status DatabaseStudy::MaybeFlush() {
  if (pending_.size() < kMostPending && absl::Now() - flushed_ < kFlushAfter) {
    return absl::OkStatus();
  }
  return Flush();
}

absl::Status DatabaseStudy::Flush() {
  if (pending_.size() == 0) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(
      database_->Transact([&](soci::session& sql) { return store_.Write(sql, pending_); }));
  if (heart_.has_value()) {
    for (const auto& [id, trial] : pending_.ended) heart_->End(id);
  }
  pending_ = {};
  flushed_ = absl::Now();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Study>> Study::Open(StorageSettings settings, StudySpec spec,
                                                   Say say, const std::atomic<bool>* interrupted) {
  MASE_RETURN_IF_ERROR(CompleteMessage(settings));
  MASE_ASSIGN_OR_RETURN(const DatabaseUrl url, ParseDatabaseUrl(settings.url()));
  // SQLite would make an empty one.
  if (struct stat info; spec.is_there && url.kind == DatabaseUrl::Kind::kSqlite &&
                        stat(url.file.c_str(), &info) != 0) {
    return Annotate(FileError(url.file, "open", errno), "the storage of the study");
  }
  MASE_ASSIGN_OR_RETURN(
      std::unique_ptr<Database> database,
      Database::Open(settings.url(), absl::Seconds(settings.timeout()), say, interrupted));
  auto study =
      std::make_unique<DatabaseStudy>(std::move(settings), std::move(spec), std::move(database));
  MASE_RETURN_IF_ERROR(study->OpenStudy());
  if (say != nullptr && !study->beside().empty()) {
    say(absl::StrCat(url.text, ": made the study ", Quoted(study->spec().name), " beside ",
                     absl::StrJoin(study->beside(), ", "),
                     "; if one of these was meant, name it with --project"));
  }
  MASE_RETURN_IF_ERROR(study->Refresh());
  return study;
}

}  // namespace mase
