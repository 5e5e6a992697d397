#include "mase/search/study.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "mase/base/status_macros.h"
#include "mase/config/complete.h"
#include "mase/sampler/draws.h"
#include "mase/search/database.h"
#include "mase/search/heartbeat.h"
#include "mase/search/study_rows.h"
#include "mase/search/study_tables.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using soci::into;
using soci::use;
using Id = TrialId;
using Row = TrialRow;

constexpr size_t kMostPending = 256;  // Results that are collected.
constexpr char kErrorKey[] = "error";
constexpr char kWorkerDied[] = "\"its worker died\"";

class DatabaseStudy final : public Study {
 public:
  DatabaseStudy(StorageSettings settings, StudySpec spec, std::unique_ptr<Database> database)
      : Study(std::move(spec)),
        settings_(std::move(settings)),
        database_(std::move(database)),
        reader_(absl::StrCat(database_->url().text, ": study '", spec_.name, "'"), spec_.space,
                spec_.directions.size()) {
    alone_ = database_->url().kind == DatabaseUrl::Kind::kMemory;
    if (!alone_) {
      heart_.emplace(settings_.url(), absl::Seconds(settings_.heartbeat_interval()));
    }
  }

  ~DatabaseStudy() override { Flush().IgnoreError(); }

  absl::Status OpenStudy();

  absl::Span<const Trial> running() const override { return running_; }
  size_t running_elsewhere() const override { return running_.size() - ids_.size(); }
  absl::StatusOr<std::vector<Trial>> Begin(int64_t count) override {
    return Take(count, /*only_queued=*/false);
  }
  absl::StatusOr<std::vector<Trial>> BeginQueued(int64_t count) override {
    return Take(count, /*only_queued=*/true);
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
  struct Pending {
    std::vector<std::pair<Id, Point>> points;
    std::vector<std::pair<Id, std::pair<Id, double>>> steps;
    std::vector<std::pair<Id, Trial>> ended;
    size_t size() const { return points.size() + steps.size() + ended.size(); }
  };

  // What others did since it was last looked for: their rows, and the last row there is.
  struct News {
    Id last = 0;
    std::vector<Row> rows;
  };

  absl::Status ReadOthers(soci::session& sql, News& news);
  void Learn(News news);
  absl::StatusOr<std::vector<Trial>> Take(int64_t count, bool only_queued);
  void Lock(soci::session& sql) const;
  absl::StatusOr<Trial*> FindOwn(int64_t number);
  absl::Status MaybeFlush();
  absl::Status Write(soci::session& sql);
  // Fails trials of others that show no sign of life, or, `at_once`, all of them.
  absl::Status FailDead(bool at_once);
  void FailStale(soci::session& sql, bool at_once);
  int64_t NextNumber(soci::session& sql) const;
  Id Insert(soci::session& sql, int64_t number, TrialState state, absl::Time start) const;
  absl::StatusOr<Point> FixedPoint(const Row& row) const;

  const StorageSettings settings_;
  const std::unique_ptr<Database> database_;
  TrialReader reader_;
  Id study_ = 0;
  bool alone_ = false;  // Nobody else is at the study.

  std::vector<Trial> running_;            // The first ids_.size() are this worker's.
  absl::flat_hash_map<int64_t, Id> ids_;  // Of this worker's running trials, by number.
  std::set<Id> open_;                     // Rows of others that are not finished.
  std::map<Id, Row> waiting_;             // Rows in the queue.
  Id last_ = 0;                           // Rows up to this one are known.
  Pending pending_;
  absl::Time flushed_ = absl::InfinitePast();
  absl::Time looked_for_stale_ = absl::InfinitePast();
  absl::optional<Heart> heart_;  // Last: its thread ends first.
};

absl::Status DatabaseStudy::OpenStudy() {
  MASE_RETURN_IF_ERROR(PrepareTables(*database_));
  const auto refuse = [&](absl::string_view what) {
    return absl::FailedPreconditionError(absl::StrCat(
        database_->url().text, ": study '", spec_.name, "' ", what, "; name another study"));
  };
  return database_->Transact([&](soci::session& sql) -> absl::Status {
    int made = 0;
    {
      soci::statement insert = (sql.prepare << "INSERT INTO studies (study_name) VALUES (:n) "
                                               "ON CONFLICT (study_name) DO NOTHING",
                                use(spec_.name));
      insert.execute(true);
      made = static_cast<int>(insert.get_affected_rows());
    }
    sql << "SELECT study_id FROM studies WHERE study_name = :n", use(spec_.name), into(study_);
    const std::string names = nlohmann::json(spec_.metric_names).dump();
    std::vector<std::string> directions;
    for (Direction direction : spec_.directions) {
      directions.emplace_back(direction == Direction::kMinimize ? "MINIMIZE" : "MAXIMIZE");
    }
    if (made > 0) {
      for (int i = 0; i < static_cast<int>(directions.size()); ++i) {
        sql << "INSERT INTO study_directions (direction, study_id, objective) VALUES (:d, :s, :o)",
            use(directions[i]), use(study_), use(i);
      }
      const std::string key = "study:metric_names";
      sql << "INSERT INTO study_system_attributes (study_id, \"key\", value_json) "
             "VALUES (:s, :k, :v)",
          use(study_), use(key), use(names);
      return absl::OkStatus();
    }
    std::vector<std::string> there;
    std::string text;
    soci::statement read = (sql.prepare << "SELECT CAST(direction AS TEXT) FROM study_directions "
                                           "WHERE study_id = :s ORDER BY objective",
                            use(study_), into(text));
    read.execute();
    while (read.fetch()) there.push_back(text);
    if (there != directions) {
      return refuse(absl::StrCat("has the directions ", absl::StrJoin(there, ", "), ", not ",
                                 absl::StrJoin(directions, ", ")));
    }
    std::string metrics;
    soci::indicator is_null;
    sql << "SELECT value_json FROM study_system_attributes WHERE study_id = :s AND \"key\" = "
           "'study:metric_names'",
        use(study_), into(metrics, is_null);
    if (sql.got_data() &&
        nlohmann::json::parse(metrics, nullptr, false) != nlohmann::json(spec_.metric_names)) {
      return refuse(absl::StrCat("measures ", metrics, ", not ", names));
    }
    return absl::OkStatus();
  });
}

// Numbers are given, and trials taken, by one worker at a time. In SQLite there is one writer
// anyway.
void DatabaseStudy::Lock(soci::session& sql) const {
  if (database_->sqlite()) return;
  Id locked = 0;
  sql << "SELECT study_id FROM studies WHERE study_id = :s FOR UPDATE", use(study_), into(locked);
}

// Numbers ascend with ids.
int64_t DatabaseStudy::NextNumber(soci::session& sql) const {
  Id last = -1;
  sql << "SELECT number FROM trials WHERE study_id = :s ORDER BY trial_id DESC LIMIT 1",
      use(study_), into(last);
  return sql.got_data() ? last + 1 : 0;
}

Id DatabaseStudy::Insert(soci::session& sql, int64_t number, TrialState state,
                         absl::Time start) const {
  const Id n = number;
  std::string state_text(StateText(state)), time = TimeText(start);
  soci::indicator has_time = state == TrialState::kWaiting ? soci::i_null : soci::i_ok;
  Id id = 0;
  sql << "INSERT INTO trials (number, study_id, state, datetime_start) VALUES (:n, :s, :st, :t) "
         "RETURNING trial_id",
      use(n), use(study_), use(state_text), use(time, has_time), into(id);
  return id;
}

absl::Status DatabaseStudy::ReadOthers(soci::session& sql, News& news) {
  news = {.last = last_};
  std::vector<Row> found;
  MASE_ASSIGN_OR_RETURN(found, reader_.ReadRows(sql, study_, absl::StrCat("trial_id > ", last_)));
  absl::Status status;
  ForIds(std::vector<Id>(open_.begin(), open_.end()), [&](const std::string& list) {
    auto again = reader_.ReadRows(sql, study_, absl::StrCat("trial_id IN (", list, ")"));
    status.Update(again.status());
    if (again.ok()) absl::c_move(*again, std::back_inserter(found));
  });
  MASE_RETURN_IF_ERROR(status);
  // This worker knows its own trials.
  for (Row& row : found) {
    news.last = std::max(news.last, row.id);
    if (!ids_.contains(row.trial.number) && history_.Find(row.trial.number) == nullptr) {
      news.rows.push_back(std::move(row));
    }
  }
  return reader_.ReadDetails(sql, news.rows);
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

absl::Status DatabaseStudy::FailDead(bool at_once) {
  if (open_.empty()) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(database_->Transact([&](soci::session& sql) {
    Lock(sql);
    FailStale(sql, at_once);
    return absl::OkStatus();
  }));
  return Refresh();
}

absl::Status DatabaseStudy::FailOthers() {
  alone_ = true;
  MASE_RETURN_IF_ERROR(Refresh());
  return FailDead(/*at_once=*/true);
}

void DatabaseStudy::FailStale(soci::session& sql, bool at_once) {
  const std::string silent =
      absl::StrCat("h.heartbeat < ", DatabaseTime(database_->sqlite(), settings_.grace_period()));
  std::vector<Id> stale;
  ForIds(std::vector<Id>(open_.begin(), open_.end()), [&](const std::string& list) {
    Id id = 0;
    soci::statement read =
        (sql.prepare << "SELECT t.trial_id FROM trials t LEFT JOIN trial_heartbeats h ON "
                        "h.trial_id = t.trial_id WHERE t.state = 'RUNNING' AND "
                     << (at_once ? "1 = 1" : silent) << " AND t.trial_id IN (" << list
                     << ") ORDER BY t.trial_id",
         into(id));
    read.execute();
    while (read.fetch()) stale.push_back(id);
  });
  for (Id id : stale) {
    const std::string now = TimeText(absl::Now());
    soci::statement fail = (sql.prepare << "UPDATE trials SET state = 'FAIL', datetime_complete = "
                                           ":c WHERE trial_id = :t AND state = 'RUNNING'",
                            use(now), use(id));
    fail.execute(true);
    if (fail.get_affected_rows() != 1) continue;  // It was only slow, and has ended meanwhile.
    TextRows reason;
    reason.Add(id, kErrorKey, kWorkerDied);
    reason.Insert(sql, "trial_user_attributes");
    if (!settings_.retry_stale()) continue;
    auto rows = reader_.ReadRows(sql, study_, absl::StrCat("trial_id = ", id));
    if (!rows.ok() || !reader_.ReadDetails(sql, *rows).ok()) continue;
    const Trial& trial = (*rows)[0].trial;
    std::string history = "[]";
    sql << "SELECT value_json FROM trial_system_attributes WHERE trial_id = :t AND \"key\" = "
           "'retry_history'",
        use(id), into(history);
    auto retries = nlohmann::json::parse(history, nullptr, false);
    if (!retries.is_array()) retries = nlohmann::json::array();
    if (retries.size() >= static_cast<size_t>(kMostRetries)) continue;
    retries.push_back(trial.number);
    const Id again = Insert(sql, NextNumber(sql), TrialState::kWaiting, absl::Now());
    TextRows attributes;
    if (!trial.point.empty() || !(*rows)[0].fixed.empty()) {
      attributes.Add(
          again, "fixed_params",
          trial.point.empty() ? (*rows)[0].fixed : FixedParamsJson(spec_.space, trial.point));
    }
    attributes.Add(again, "failed_trial", absl::StrCat(trial.number));
    attributes.Add(again, "retry_history", retries.dump());
    attributes.Insert(sql, "trial_system_attributes");
  }
}

// What the queue says of a trial; what it leaves open is drawn, by the trial's number. Empty where
// it says nothing.
absl::StatusOr<Point> DatabaseStudy::FixedPoint(const Row& row) const {
  if (row.fixed.empty()) return Point();
  MASE_ASSIGN_OR_RETURN(const Point fixed, PointOfFixedParams(spec_.space, row.fixed));
  Draws draws(0, row.trial.number);
  Point point(spec_.space.dimensions(), kInactive);
  for (size_t i = 0; i < point.size(); ++i) {
    const double drawn = AtUnit(spec_.space[i], draws.Unit());
    if (spec_.space.IsActive(i, point)) point[i] = std::isnan(fixed[i]) ? drawn : fixed[i];
  }
  return point;
}

absl::StatusOr<std::vector<Trial>> DatabaseStudy::Take(int64_t count, bool only_queued) {
  MASE_RETURN_IF_ERROR(Refresh());
  // Trials of the dead are looked for a few times in a grace period.
  const absl::Duration grace = absl::Seconds(settings_.grace_period());
  if (!open_.empty() && absl::Now() - looked_for_stale_ > grace / 4) {
    looked_for_stale_ = absl::Now();
    MASE_RETURN_IF_ERROR(FailDead(/*at_once=*/false));
  }
  if (only_queued && waiting_.empty()) return std::vector<Trial>();
  std::vector<Row> begun;
  MASE_RETURN_IF_ERROR(database_->Transact([&](soci::session& sql) -> absl::Status {
    begun.clear();
    Lock(sql);
    const absl::Time now = absl::Now();
    const std::string time = TimeText(now);
    for (const auto& [id, row] : waiting_) {
      if (static_cast<int64_t>(begun.size()) >= count) break;
      soci::statement take = (sql.prepare << "UPDATE trials SET state = 'RUNNING', "
                                             "datetime_start = :d WHERE trial_id = :t AND "
                                             "state = 'WAITING'",
                              use(time), use(id));
      take.execute(true);
      if (take.get_affected_rows() != 1) continue;  // Another worker was faster.
      absl::StatusOr<Point> point = FixedPoint(row);
      if (!point.ok()) {
        // Nobody can work at it.
        sql << "UPDATE trials SET state = 'FAIL', datetime_complete = :c WHERE trial_id = :t",
            use(time), use(id);
        TextRows reason;
        reason.Add(id, kErrorKey, nlohmann::json(std::string(point.status().message())).dump());
        reason.Insert(sql, "trial_user_attributes");
        continue;
      }
      Row taken = row;
      taken.trial.point = *std::move(point);
      begun.push_back(std::move(taken));
    }
    const int64_t taken = static_cast<int64_t>(begun.size());
    if (taken < count && !only_queued) {
      const int64_t next = NextNumber(sql);
      for (int64_t i = 0; i < count - taken; ++i) {
        Row row = {.id = Insert(sql, next + i, TrialState::kRunning, now)};
        row.trial.number = next + i;
        begun.push_back(std::move(row));
      }
    }
    ParamRows params;
    std::vector<Id> ids;
    for (Row& row : begun) {
      row.trial.state = TrialState::kRunning;
      row.trial.start = now;
      ids.push_back(row.id);
      params.Add(row.id, spec_.space, reader_.distributions(), row.trial.point);
    }
    if (ids.empty()) return absl::OkStatus();
    params.Insert(sql);
    sql << "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (:t, "
        << DatabaseTime(database_->sqlite())
        << ") ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat",
        use(ids);
    return absl::OkStatus();
  }));
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
    Lock(sql);
    MASE_RETURN_IF_ERROR(ReadOthers(sql, news));
    taken = absl::c_any_of(news.rows, [&key](const Row& row) {
      return row.trial.state != TrialState::kWaiting && PointKey(row.trial.point) == key &&
             !DiedWithItsWorker(row.trial);
    });
    if (taken) return absl::OkStatus();
    ParamRows params;
    params.Add(ids_[trial.number], spec_.space, reader_.distributions(), trial.point);
    params.Insert(sql);
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
  TextRows points;
  for (const int64_t number : numbers) {
    MASE_ASSIGN_OR_RETURN(const Trial* own, FindOwn(number));
    ids.push_back(ids_[number]);
    if (own->point.empty()) continue;
    points.Add(ids_[number], "fixed_params", FixedParamsJson(spec_.space, own->point));
  }
  if (ids.empty()) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(database_->Transact([&](soci::session& sql) {
    for (const char* table : {"trial_params", "trial_intermediate_values"}) {
      sql << "DELETE FROM " << table << " WHERE trial_id = :t", use(ids);
    }
    points.Insert(sql, "trial_system_attributes");
    // What others gave up meanwhile stays so.
    sql << "UPDATE trials SET state = 'WAITING', datetime_start = NULL WHERE trial_id = :t AND "
           "state = 'RUNNING'",
        use(ids);
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
    Lock(sql);
    TextRows attributes;
    attributes.Add(Insert(sql, NextNumber(sql), TrialState::kWaiting, absl::Now()), "fixed_params",
                   FixedParamsJson(spec_.space, point));
    attributes.Insert(sql, "trial_system_attributes");
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
  MASE_RETURN_IF_ERROR(database_->Transact([&](soci::session& sql) { return Write(sql); }));
  if (heart_.has_value()) {
    for (const auto& [id, trial] : pending_.ended) heart_->End(id);
  }
  pending_ = {};
  flushed_ = absl::Now();
  return absl::OkStatus();
}

absl::Status DatabaseStudy::Write(soci::session& sql) {
  ParamRows params;
  for (const auto& [id, point] : pending_.points) {
    params.Add(id, spec_.space, reader_.distributions(), point);
  }
  params.Insert(sql);
  NumberRows steps;
  for (const auto& [id, step] : pending_.steps) steps.Add(id, step.first, step.second);
  steps.Insert(sql,
               "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, "
               "intermediate_value_type) VALUES (:t, :s, :v, :y) ON CONFLICT (trial_id, step) DO "
               "UPDATE SET intermediate_value = excluded.intermediate_value, "
               "intermediate_value_type = excluded.intermediate_value_type");
  if (pending_.ended.empty()) return absl::OkStatus();

  // Trials that others gave up meanwhile are theirs.
  std::vector<Id> ids;
  for (const auto& [id, trial] : pending_.ended) ids.push_back(id);
  std::set<Id> still_running;
  ForIds(ids, [&](const std::string& list) {
    Id id = 0;
    soci::statement read =
        (sql.prepare << "SELECT trial_id FROM trials WHERE state = 'RUNNING' "
                        "AND trial_id IN ("
                     << list << ")" << (database_->sqlite() ? "" : " FOR UPDATE"),
         into(id));
    read.execute();
    while (read.fetch()) still_running.insert(id);
  });
  NumberRows values;
  TextRows attributes, system;
  std::vector<Id> ended;
  std::vector<std::string> states, times;
  for (const auto& [id, trial] : pending_.ended) {
    if (still_running.count(id) == 0) continue;
    ended.push_back(id);
    states.emplace_back(StateText(trial.state));
    times.push_back(TimeText(trial.complete));
    for (size_t i = 0; i < trial.values.size(); ++i) {
      values.Add(id, static_cast<Id>(i), trial.values[i]);
    }
    for (const auto& [key, json] : trial.attributes) attributes.Add(id, key, json);
    if (!trial.constraints.empty()) {
      system.Add(id, "constraints", nlohmann::json(trial.constraints).dump());
    }
  }
  if (ended.empty()) return absl::OkStatus();
  values.Insert(sql,
                "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES "
                "(:t, :o, :v, :y) ON CONFLICT (trial_id, objective) DO NOTHING");
  attributes.Insert(sql, "trial_user_attributes");
  system.Insert(sql, "trial_system_attributes");
  sql << "UPDATE trials SET state = :s, datetime_complete = :c WHERE trial_id = :t", use(states),
      use(times), use(ended);
  return absl::OkStatus();
}

}  // namespace

bool DiedWithItsWorker(const Trial& trial) {
  const auto reason = trial.attributes.find(kErrorKey);
  return trial.state == TrialState::kFailed && reason != trial.attributes.end() &&
         reason->second == kWorkerDied;
}

absl::StatusOr<std::unique_ptr<Study>> Study::Open(StorageSettings settings, StudySpec spec,
                                                   Say say, const std::atomic<bool>* interrupted) {
  MASE_RETURN_IF_ERROR(CompleteMessage(settings));
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                        Database::Open(settings.url(), absl::Seconds(settings.timeout()),
                                       std::move(say), interrupted));
  auto study =
      std::make_unique<DatabaseStudy>(std::move(settings), std::move(spec), std::move(database));
  MASE_RETURN_IF_ERROR(study->OpenStudy());
  MASE_RETURN_IF_ERROR(study->Refresh());
  return study;
}

}  // namespace mase
