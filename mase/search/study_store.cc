#include "mase/search/study_store.h"

#include <cmath>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/sampler/draws.h"
#include "mase/search/study_tables.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using soci::into;
using soci::use;
using Id = TrialId;
using Row = TrialRow;

constexpr char kErrorKey[] = "error";
constexpr char kWorkerDied[] = "\"its worker died\"";

}  // namespace

StudyStore::StudyStore(const StudySpec& spec, const StorageSettings& settings,
                       const Database& database)
    : spec_(spec),
      settings_(settings),
      database_(database),
      reader_(absl::StrCat(database.url().text, ": study '", spec.name, "'"), spec.space,
              spec.directions.size()) {}

absl::Status StudyStore::MakeOrCheck(soci::session& sql) {
  const auto refuse = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(database_.url().text, ": study '", spec_.name,
                                                   "' ", what, "; name another study"));
  };
  int made = 0;
  beside_.clear();
  if (!spec_.is_there) {
    soci::statement insert = (sql.prepare << "INSERT INTO studies (study_name) VALUES (:n) "
                                             "ON CONFLICT (study_name) DO NOTHING",
                              use(spec_.name));
    insert.execute(true);
    made = static_cast<int>(insert.get_affected_rows());
  }
  sql << "SELECT study_id FROM studies WHERE study_name = :n", use(spec_.name), into(study_);
  if (!sql.got_data()) {
    const std::vector<std::string> there = OtherStudies(sql);
    return absl::NotFoundError(absl::StrCat(
        database_.url().text, ": has no study ", Quoted(spec_.name),
        there.empty()
            ? ", nor any other"
            : absl::StrCat("; it has ", absl::StrJoin(there, ", "), ": name one with --project")));
  }
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
    beside_ = OtherStudies(sql);
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
}

std::vector<std::string> StudyStore::OtherStudies(soci::session& sql) const {
  std::vector<std::string> there;
  std::string name;
  soci::statement read = (sql.prepare << "SELECT study_name FROM studies WHERE study_name != :n "
                                         "ORDER BY study_id DESC LIMIT 8",
                          use(spec_.name), into(name));
  read.execute();
  while (read.fetch()) there.push_back(Quoted(name));
  return there;
}

// In SQLite there is one writer anyway.
void StudyStore::Lock(soci::session& sql) const {
  if (database_.sqlite()) return;
  Id locked = 0;
  sql << "SELECT study_id FROM studies WHERE study_id = :s FOR UPDATE", use(study_), into(locked);
}

// Numbers ascend with ids.
int64_t StudyStore::NextNumber(soci::session& sql) const {
  Id last = -1;
  sql << "SELECT number FROM trials WHERE study_id = :s ORDER BY trial_id DESC LIMIT 1",
      use(study_), into(last);
  return sql.got_data() ? last + 1 : 0;
}

Id StudyStore::Insert(soci::session& sql, int64_t number, TrialState state,
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

absl::StatusOr<std::vector<Row>> StudyStore::Read(soci::session& sql, Id last,
                                                  const std::vector<Id>& open) const {
  std::vector<Row> found;
  MASE_ASSIGN_OR_RETURN(found, reader_.ReadRows(sql, study_, absl::StrCat("trial_id > ", last)));
  absl::Status status;
  ForIds(open, [&](const std::string& list) {
    auto again = reader_.ReadRows(sql, study_, absl::StrCat("trial_id IN (", list, ")"));
    status.Update(again.status());
    if (again.ok()) absl::c_move(*again, std::back_inserter(found));
  });
  MASE_RETURN_IF_ERROR(status);
  return found;
}

absl::optional<Row> StudyStore::TakeWaiting(soci::session& sql, const Row& waiting,
                                            absl::Time now) const {
  const std::string time = TimeText(now);
  soci::statement take = (sql.prepare << "UPDATE trials SET state = 'RUNNING', datetime_start = :d "
                                         "WHERE trial_id = :t AND state = 'WAITING'",
                          use(time), use(waiting.id));
  take.execute(true);
  if (take.get_affected_rows() != 1) return absl::nullopt;
  absl::StatusOr<Point> point = FixedPoint(waiting);
  if (point.ok()) {
    Row taken = waiting;
    taken.trial.point = *std::move(point);
    return taken;
  }
  sql << "UPDATE trials SET state = 'FAIL', datetime_complete = :c WHERE trial_id = :t", use(time),
      use(waiting.id);
  TextRows reason;
  reason.Add(waiting.id, kErrorKey, nlohmann::json(std::string(point.status().message())).dump());
  reason.Insert(sql, "trial_user_attributes");
  return absl::nullopt;
}

std::vector<Row> StudyStore::InsertRunning(soci::session& sql, int64_t count,
                                           absl::Time now) const {
  std::vector<Row> rows;
  if (count <= 0) return rows;
  const int64_t next = NextNumber(sql);
  for (int64_t i = 0; i < count; ++i) {
    Row row = {.id = Insert(sql, next + i, TrialState::kRunning, now)};
    row.trial.number = next + i;
    rows.push_back(std::move(row));
  }
  return rows;
}

void StudyStore::WriteBegun(soci::session& sql, const std::vector<Row>& rows) const {
  std::vector<std::pair<Id, Point>> points;
  std::vector<Id> ids;
  for (const Row& row : rows) {
    ids.push_back(row.id);
    points.emplace_back(row.id, row.trial.point);
  }
  if (ids.empty()) return;
  WritePoints(sql, points);
  sql << "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (:t, "
      << DatabaseTime(database_.sqlite())
      << ") ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat",
      use(ids);
}

void StudyStore::WritePoints(soci::session& sql,
                             const std::vector<std::pair<Id, Point>>& points) const {
  ParamRows params;
  for (const auto& [id, point] : points) {
    params.Add(id, spec_.space, reader_.distributions(), point);
  }
  params.Insert(sql);
}

absl::Status StudyStore::Write(soci::session& sql, const StudyResults& results) const {
  WritePoints(sql, results.points);
  NumberRows steps;
  for (const auto& [id, step] : results.steps) steps.Add(id, step.first, step.second);
  steps.Insert(sql,
               "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, "
               "intermediate_value_type) VALUES (:t, :s, :v, :y) ON CONFLICT (trial_id, step) DO "
               "UPDATE SET intermediate_value = excluded.intermediate_value, "
               "intermediate_value_type = excluded.intermediate_value_type");
  if (results.ended.empty()) return absl::OkStatus();

  // Trials that others gave up meanwhile are theirs.
  std::vector<Id> ids;
  for (const auto& [id, trial] : results.ended) ids.push_back(id);
  std::set<Id> still_running;
  ForIds(ids, [&](const std::string& list) {
    Id id = 0;
    soci::statement read = (sql.prepare << "SELECT trial_id FROM trials WHERE state = 'RUNNING' "
                                           "AND trial_id IN ("
                                        << list << ")" << (database_.sqlite() ? "" : " FOR UPDATE"),
                            into(id));
    read.execute();
    while (read.fetch()) still_running.insert(id);
  });
  NumberRows values;
  TextRows attributes, system;
  std::vector<Id> ended;
  std::vector<std::string> states, times;
  for (const auto& [id, trial] : results.ended) {
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

void StudyStore::GiveBack(soci::session& sql, const std::vector<Id>& ids,
                          const std::vector<std::pair<Id, Point>>& points) const {
  for (const char* table : {"trial_params", "trial_intermediate_values"}) {
    sql << "DELETE FROM " << table << " WHERE trial_id = :t", use(ids);
  }
  TextRows fixed;
  for (const auto& [id, point] : points) {
    fixed.Add(id, "fixed_params", FixedParamsJson(spec_.space, point));
  }
  fixed.Insert(sql, "trial_system_attributes");
  // What others gave up meanwhile stays so.
  sql << "UPDATE trials SET state = 'WAITING', datetime_start = NULL WHERE trial_id = :t AND "
         "state = 'RUNNING'",
      use(ids);
}

void StudyStore::Enqueue(soci::session& sql, const Point& point) const {
  TextRows attributes;
  attributes.Add(Insert(sql, NextNumber(sql), TrialState::kWaiting, absl::Now()), "fixed_params",
                 FixedParamsJson(spec_.space, point));
  attributes.Insert(sql, "trial_system_attributes");
}

void StudyStore::FailStale(soci::session& sql, const std::vector<Id>& open, bool at_once) {
  const std::string silent =
      absl::StrCat("h.heartbeat < ", DatabaseTime(database_.sqlite(), settings_.grace_period()));
  std::vector<Id> stale;
  ForIds(open, [&](const std::string& list) {
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
    if (settings_.retry_stale()) RetryStale(sql, id);
  }
}

// Puts the point of a trial that died in the queue, under a new number.
void StudyStore::RetryStale(soci::session& sql, Id id) {
  auto rows = reader_.ReadRows(sql, study_, absl::StrCat("trial_id = ", id));
  if (!rows.ok() || !reader_.ReadDetails(sql, *rows).ok()) return;
  const Trial& trial = (*rows)[0].trial;
  std::string history = "[]";
  sql << "SELECT value_json FROM trial_system_attributes WHERE trial_id = :t AND \"key\" = "
         "'retry_history'",
      use(id), into(history);
  auto retries = nlohmann::json::parse(history, nullptr, false);
  if (!retries.is_array()) retries = nlohmann::json::array();
  if (retries.size() >= static_cast<size_t>(kMostRetries)) return;
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

// What the queue says of a trial; what it leaves open is drawn, by the trial's number. Empty where
// it says nothing.
absl::StatusOr<Point> StudyStore::FixedPoint(const Row& row) const {
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

bool DiedWithItsWorker(const Trial& trial) {
  const auto reason = trial.attributes.find(kErrorKey);
  return trial.state == TrialState::kFailed && reason != trial.attributes.end() &&
         reason->second == kWorkerDied;
}

}  // namespace mase
