#include "mase/search/study_rows.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/search/study_tables.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using soci::into;
using soci::use;

constexpr size_t kIdsAQuery = 500;

}  // namespace

std::string DatabaseTime(bool sqlite, double seconds_ago) {
  if (sqlite) {
    return absl::StrCat("strftime('%Y-%m-%d %H:%M:%f000', 'now', '-", seconds_ago, " seconds')");
  }
  return absl::StrCat("(LOCALTIMESTAMP - interval '", seconds_ago, " seconds')");
}

void ForIds(const std::vector<TrialId>& ids, const std::function<void(const std::string&)>& body) {
  for (size_t begin = 0; begin < ids.size(); begin += kIdsAQuery) {
    const size_t end = std::min(ids.size(), begin + kIdsAQuery);
    body(absl::StrJoin(ids.begin() + static_cast<int64_t>(begin),
                       ids.begin() + static_cast<int64_t>(end), ","));
  }
}

void ParamRows::Add(TrialId id, const ParameterSpace& space,
                    const std::vector<std::string>& distributions, absl::Span<const double> point) {
  for (size_t i = 0; i < point.size(); ++i) {
    if (std::isnan(point[i])) continue;
    trial.push_back(id);
    name.push_back(space[i].name);
    value.push_back(point[i]);
    distribution.push_back(distributions[i]);
  }
}

void ParamRows::Insert(soci::session& sql) {
  if (trial.empty()) return;
  sql << "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
         "VALUES (:t, :n, :v, :d) ON CONFLICT (trial_id, param_name) DO NOTHING",
      use(trial), use(name), use(value), use(distribution);
}

void NumberRows::Add(TrialId id, TrialId where, double number) {
  trial.push_back(id);
  at.push_back(where);
  value.push_back(std::isfinite(number) ? number : 0);
  is_null.push_back(std::isfinite(number) ? soci::i_ok : soci::i_null);
  type.emplace_back(ValueType(number));
}

void NumberRows::Insert(soci::session& sql, const char* statement) {
  if (!trial.empty()) sql << statement, use(trial), use(at), use(value, is_null), use(type);
}

void TextRows::Add(TrialId id, std::string name, std::string json) {
  trial.push_back(id);
  key.push_back(std::move(name));
  text.push_back(std::move(json));
}

void TextRows::Insert(soci::session& sql, const char* table) {
  if (trial.empty()) return;
  sql << "INSERT INTO " << table
      << " (trial_id, \"key\", value_json) VALUES (:t, :k, :v) "
         "ON CONFLICT (trial_id, \"key\") DO UPDATE SET value_json = excluded.value_json",
      use(trial), use(key), use(text);
}

TrialReader::TrialReader(std::string place, const ParameterSpace& space, size_t objectives)
    : place_(std::move(place)), space_(space), objectives_(objectives) {
  for (const SearchParameter& p : space.parameters()) distributions_.push_back(DistributionJson(p));
}

absl::StatusOr<std::vector<TrialRow>> TrialReader::ReadRows(soci::session& sql, TrialId study,
                                                            const std::string& where) const {
  std::vector<TrialRow> rows;
  TrialId id = 0, number = 0;
  std::string state, start, complete;
  soci::indicator has_number, has_start, has_complete;
  soci::statement read =
      (sql.prepare << "SELECT trial_id, number, CAST(state AS TEXT), "
                      "CAST(datetime_start AS TEXT), CAST(datetime_complete AS TEXT) "
                      "FROM trials WHERE study_id = :s AND "
                   << where << " ORDER BY trial_id",
       use(study), into(id), into(number, has_number), into(state), into(start, has_start),
       into(complete, has_complete));
  read.execute();
  while (read.fetch()) {
    TrialRow row = {.id = id};
    row.trial.number = has_number == soci::i_ok ? number : -1;
    row.trial.state = StateOf(state);
    if (has_start == soci::i_ok) row.trial.start = TimeOf(start);
    if (has_complete == soci::i_ok) row.trial.complete = TimeOf(complete);
    rows.push_back(std::move(row));
  }
  return rows;
}

absl::Status TrialReader::ReadParam(absl::string_view name, double value,
                                    const std::string& distribution, Trial& trial) {
  const int index = space_.Find(name);
  if (index < 0 ||
      (distribution != distributions_[index] && !IsDistributionOf(space_[index], distribution))) {
    return absl::InvalidArgumentError(
        absl::StrCat(place_, ": trial ", trial.number, " is of another search space: parameter '",
                     name, "' is ", distribution, " there, ",
                     index < 0 ? "and none here" : distributions_[index], "; name another study"));
  }
  // Once compared, the text is known.
  distributions_[index] = distribution;
  if (trial.point.empty()) trial.point.assign(space_.dimensions(), kInactive);
  trial.point[index] = value;
  return absl::OkStatus();
}

void TrialReader::ClearUnlessValid(Trial& trial) const {
  for (size_t i = 0; i < trial.point.size(); ++i) {
    const double value = trial.point[i];
    if (std::isnan(value) || space_[i].Has(value)) continue;
    trial.attributes.emplace(
        "error",
        nlohmann::json(absl::StrCat(place_, ": parameter '", space_[i].name, "' cannot be ", value))
            .dump());
    trial.point.clear();
  }
}

absl::Status TrialReader::ReadDetails(soci::session& sql, std::vector<TrialRow>& rows) {
  absl::flat_hash_map<TrialId, TrialRow*> by_id;
  std::vector<TrialId> ids;
  for (TrialRow& row : rows) {
    by_id[row.id] = &row;
    ids.push_back(row.id);
  }
  absl::Status status;
  ForIds(ids, [&](const std::string& list) {
    TrialId id = 0, at = 0;
    std::string name, text;
    double value = 0;
    soci::indicator is_null;
    soci::statement params =
        (sql.prepare << "SELECT trial_id, param_name, param_value, distribution_json FROM "
                        "trial_params WHERE trial_id IN ("
                     << list << ")",
         into(id), into(name), into(value, is_null), into(text));
    params.execute();
    while (params.fetch()) {
      if (is_null == soci::i_null) value = kInactive;
      status.Update(ReadParam(name, value, text, by_id[id]->trial));
    }
    soci::statement values =
        (sql.prepare << "SELECT trial_id, objective, value, CAST(value_type AS TEXT) FROM "
                        "trial_values WHERE trial_id IN ("
                     << list << ") ORDER BY trial_id, objective",
         into(id), into(at), into(value, is_null), into(text));
    values.execute();
    while (values.fetch()) by_id[id]->trial.values.push_back(ValueOf(text, value));
    soci::statement steps =
        (sql.prepare << "SELECT trial_id, step, intermediate_value, "
                        "CAST(intermediate_value_type AS TEXT) FROM trial_intermediate_values "
                        "WHERE trial_id IN ("
                     << list << ")",
         into(id), into(at), into(value, is_null), into(text));
    steps.execute();
    while (steps.fetch()) by_id[id]->trial.intermediate[at] = ValueOf(text, value);
    soci::statement attributes =
        (sql.prepare << "SELECT trial_id, \"key\", value_json FROM trial_user_attributes "
                        "WHERE trial_id IN ("
                     << list << ")",
         into(id), into(name), into(text));
    attributes.execute();
    while (attributes.fetch()) by_id[id]->trial.attributes[name] = text;
    soci::statement system =
        (sql.prepare << "SELECT trial_id, \"key\", value_json FROM trial_system_attributes "
                        "WHERE \"key\" IN ('constraints', 'fixed_params') AND trial_id IN ("
                     << list << ")",
         into(id), into(name), into(text));
    system.execute();
    while (system.fetch()) {
      if (name == "fixed_params") {
        by_id[id]->fixed = text;
        continue;
      }
      const auto constraints = nlohmann::json::parse(text, nullptr, false);
      if (!constraints.is_array()) continue;
      for (const auto& constraint : constraints) {
        if (constraint.is_number())
          by_id[id]->trial.constraints.push_back(constraint.get<double>());
      }
    }
  });
  for (TrialRow& row : rows) {
    Trial& trial = row.trial;
    ClearUnlessValid(trial);
    const bool whole = trial.values.size() == objectives_ && !trial.point.empty() &&
                       space_.Check(trial.point).ok();
    // What others wrote and left incomplete teaches nothing.
    if (trial.state == TrialState::kComplete && !whole) trial.state = TrialState::kFailed;
    if (trial.state != TrialState::kComplete) trial.values.clear();
  }
  return status;
}

}  // namespace mase
