#include "mase/search/study_tables.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

constexpr int kSchema = 12;
constexpr absl::string_view kAlembic = "v3.2.0.a";
constexpr absl::string_view kLibrary = "5.0.0";  // Of Optuna, with which the tables are the same.

// $KEY is a table's own number, $ENUM(name) text of a few kinds, $FLOAT and $TIME as they say: each
// database has its words for them.
constexpr absl::string_view kTables[] = {
    "CREATE TABLE studies (study_id $KEY, study_name VARCHAR(512) NOT NULL)",
    "CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name)",
    "CREATE TABLE version_info (version_info_id INTEGER NOT NULL, schema_version INTEGER, "
    "library_version VARCHAR(256), PRIMARY KEY (version_info_id), CHECK (version_info_id = 1))",
    "CREATE TABLE study_directions (study_direction_id $KEY, direction $DIRECTION NOT NULL, "
    "study_id INTEGER NOT NULL, objective INTEGER NOT NULL, UNIQUE (study_id, objective), "
    "FOREIGN KEY(study_id) REFERENCES studies (study_id))",
    "CREATE TABLE study_user_attributes (study_user_attribute_id $KEY, study_id INTEGER, "
    "\"key\" VARCHAR(512), value_json TEXT, UNIQUE (study_id, \"key\"), "
    "FOREIGN KEY(study_id) REFERENCES studies (study_id))",
    "CREATE TABLE study_system_attributes (study_system_attribute_id $KEY, study_id INTEGER, "
    "\"key\" VARCHAR(512), value_json TEXT, UNIQUE (study_id, \"key\"), "
    "FOREIGN KEY(study_id) REFERENCES studies (study_id))",
    "CREATE TABLE trials (trial_id $KEY, number INTEGER, study_id INTEGER, state $STATE NOT NULL, "
    "datetime_start $TIME, datetime_complete $TIME, "
    "FOREIGN KEY(study_id) REFERENCES studies (study_id))",
    "CREATE INDEX ix_trials_study_id ON trials (study_id)",
    "CREATE TABLE trial_user_attributes (trial_user_attribute_id $KEY, trial_id INTEGER, "
    "\"key\" VARCHAR(512), value_json TEXT, UNIQUE (trial_id, \"key\"), "
    "FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE trial_system_attributes (trial_system_attribute_id $KEY, trial_id INTEGER, "
    "\"key\" VARCHAR(512), value_json TEXT, UNIQUE (trial_id, \"key\"), "
    "FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE trial_params (param_id $KEY, trial_id INTEGER, param_name VARCHAR(512), "
    "param_value $FLOAT, distribution_json TEXT, UNIQUE (trial_id, param_name), "
    "FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE trial_values (trial_value_id $KEY, trial_id INTEGER NOT NULL, "
    "objective INTEGER NOT NULL, value $FLOAT, value_type $VALUE NOT NULL, "
    "UNIQUE (trial_id, objective), FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE trial_intermediate_values (trial_intermediate_value_id $KEY, "
    "trial_id INTEGER NOT NULL, step INTEGER NOT NULL, intermediate_value $FLOAT, "
    "intermediate_value_type $INTERMEDIATE NOT NULL, UNIQUE (trial_id, step), "
    "FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE trial_heartbeats (trial_heartbeat_id $KEY, trial_id INTEGER NOT NULL, "
    "heartbeat $TIME NOT NULL, UNIQUE (trial_id), "
    "FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
};

// Only PostgreSQL has these.
constexpr absl::string_view kPostgresTypes[] = {
    "CREATE TYPE studydirection AS ENUM ('NOT_SET', 'MINIMIZE', 'MAXIMIZE')",
    "CREATE TYPE trialstate AS ENUM ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING')",
    "CREATE TYPE trialvaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG')",
    "CREATE TYPE trialintermediatevaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG', 'NAN')",
};

std::string InDialect(absl::string_view statement, bool sqlite) {
  if (sqlite) {
    return absl::StrReplaceAll(statement, {{"$KEY", "INTEGER NOT NULL PRIMARY KEY"},
                                           {"$DIRECTION", "VARCHAR(8)"},
                                           {"$STATE", "VARCHAR(8)"},
                                           {"$VALUE", "VARCHAR(7)"},
                                           {"$INTERMEDIATE", "VARCHAR(7)"},
                                           {"$FLOAT", "FLOAT"},
                                           {"$TIME", "DATETIME"}});
  }
  return absl::StrReplaceAll(statement, {{"$KEY", "SERIAL NOT NULL PRIMARY KEY"},
                                         {"$DIRECTION", "studydirection"},
                                         {"$STATE", "trialstate"},
                                         {"$VALUE", "trialvaluetype"},
                                         {"$INTERMEDIATE", "trialintermediatevaluetype"},
                                         {"$FLOAT", "DOUBLE PRECISION"},
                                         {"$TIME", "TIMESTAMP"}});
}

nlohmann::json ChoiceOf(const ParameterChoice& choice) {
  return nlohmann::json::parse(ChoiceJson(choice));
}

// 1 is 1.0 but not true, as in Python's ==; Optuna tells true from 1 by type.
bool IsSame(const nlohmann::json& a, const nlohmann::json& b) {
  if (a.is_number() && b.is_number()) return a.get<double>() == b.get<double>();
  return a == b;
}

nlohmann::ordered_json Number(const SearchParameter& p, double value) {
  if (p.kind == SearchParameter::Kind::kInteger) return static_cast<int64_t>(value);
  return value;
}

}  // namespace

absl::Status PrepareTables(Database& database) {
  return database.Transact([&](soci::session& sql) -> absl::Status {
    const bool sqlite = database.sqlite();
    // Two workers that begin at the same time: one makes the tables. SQLite has one writer anyway.
    if (!sqlite) sql << "SELECT pg_advisory_xact_lock(7106271331)";
    int tables = 0, versions = 0;
    if (sqlite) {
      sql << "SELECT COUNT(*), COALESCE(SUM(name = 'version_info'), 0) FROM sqlite_master "
             "WHERE type = 'table'",
          soci::into(tables), soci::into(versions);
    } else {
      sql << "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'version_info' AND "
             "table_schema = CURRENT_SCHEMA()",
          soci::into(versions);
    }
    if (versions == 0 && tables > 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          database.url().text, ": a database that holds no studies; name another file"));
    }
    if (versions == 0) {
      if (!sqlite) {
        for (absl::string_view type : kPostgresTypes) sql << std::string(type);
      }
      for (absl::string_view table : kTables) sql << InDialect(table, sqlite);
      sql << "INSERT INTO version_info VALUES (1, " << kSchema << ", '" << std::string(kLibrary)
          << "')";
      sql << "INSERT INTO alembic_version VALUES ('" << std::string(kAlembic) << "')";
      return absl::OkStatus();
    }
    int schema = -1;
    std::string alembic = "unread";
    soci::indicator schema_is, alembic_is;
    sql << "SELECT schema_version FROM version_info", soci::into(schema, schema_is);
    // Another schema need not have that table.
    if (schema == kSchema) {
      sql << "SELECT version_num FROM alembic_version", soci::into(alembic, alembic_is);
    }
    if (schema == kSchema && alembic == kAlembic) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(database.url().text, ": its tables are of schema ", schema, " (revision ",
                     alembic, "), and only schema ", kSchema, " (", kAlembic,
                     ") is known here; nothing was changed. Older ones: optuna storage upgrade"));
  });
}

absl::string_view StateText(TrialState state) {
  switch (state) {
    case TrialState::kRunning:
      return "RUNNING";
    case TrialState::kComplete:
      return "COMPLETE";
    case TrialState::kPruned:
      return "PRUNED";
    case TrialState::kFailed:
      return "FAIL";
    case TrialState::kWaiting:
      return "WAITING";
  }
  return "";
}

TrialState StateOf(absl::string_view text) {
  for (auto state :
       {TrialState::kRunning, TrialState::kComplete, TrialState::kPruned, TrialState::kWaiting}) {
    if (text == StateText(state)) return state;
  }
  return TrialState::kFailed;
}

std::string DistributionJson(const SearchParameter& p) {
  nlohmann::ordered_json attributes;
  if (p.kind == SearchParameter::Kind::kCategorical) {
    attributes["choices"] = nlohmann::ordered_json::array();
    for (const ParameterChoice& choice : p.choices) {
      attributes["choices"].push_back(nlohmann::ordered_json::parse(ChoiceJson(choice)));
    }
    return nlohmann::ordered_json({{"name", "CategoricalDistribution"}, {"attributes", attributes}})
        .dump();
  }
  const bool integer = p.kind == SearchParameter::Kind::kInteger;
  if (integer) {
    attributes = {{"log", p.log}, {"step", Number(p, p.step)}};
  } else {
    attributes["step"] = nullptr;
    if (p.step > 0) attributes["step"] = p.step;
  }
  attributes["low"] = Number(p, p.low);
  // The last value that there is: Optuna wants the range to be whole steps.
  attributes["high"] = Number(p, p.size().has_value() ? p.ValueAt(*p.size() - 1) : p.high);
  if (!integer) attributes["log"] = p.log;
  return nlohmann::ordered_json({{"name", integer ? "IntDistribution" : "FloatDistribution"},
                                 {"attributes", attributes}})
      .dump();
}

bool IsDistributionOf(const SearchParameter& parameter, absl::string_view json) {
  const auto given = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const auto own = nlohmann::json::parse(DistributionJson(parameter));
  if (given.is_discarded() || !given.is_object()) return false;
  if (given == own) return true;
  // Numbers may be written in another way: 1 for 1.0.
  const auto name = given.find("name"), attributes = given.find("attributes");
  if (name == given.end() || *name != own["name"] || attributes == given.end() ||
      !attributes->is_object()) {
    return false;
  }
  for (const auto& [key, value] : own["attributes"].items()) {
    const auto found = attributes->find(key);
    if (found == attributes->end() || !IsSame(*found, value)) return false;
  }
  return true;
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%E6S", time, absl::LocalTimeZone());
}

absl::Time TimeOf(absl::string_view text) {
  absl::Time time;
  return absl::ParseTime("%Y-%m-%d %H:%M:%E*S", text, absl::LocalTimeZone(), &time, nullptr)
             ? time
             : absl::InfinitePast();
}

absl::string_view ValueType(double value) {
  if (std::isnan(value)) return "NAN";
  if (std::isfinite(value)) return "FINITE";
  return value > 0 ? "INF_POS" : "INF_NEG";
}

double ValueOf(absl::string_view type, double value) {
  if (type == "FINITE") return value;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (type == "INF_POS") return kInfinity;
  return type == "INF_NEG" ? -kInfinity : std::numeric_limits<double>::quiet_NaN();
}

std::string FixedParamsJson(const ParameterSpace& space, absl::Span<const double> point) {
  nlohmann::ordered_json params = nlohmann::ordered_json::object();
  for (size_t i = 0; i < point.size(); ++i) {
    if (std::isnan(point[i])) continue;
    const SearchParameter& p = space[i];
    params[p.name] =
        p.kind == SearchParameter::Kind::kCategorical
            ? nlohmann::ordered_json::parse(ChoiceJson(p.choices[static_cast<size_t>(point[i])]))
            : Number(p, point[i]);
  }
  return params.dump();
}

absl::StatusOr<Point> PointOfFixedParams(const ParameterSpace& space, absl::string_view json) {
  const auto params = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (params.is_discarded() || !params.is_object()) {
    return absl::InvalidArgumentError("fixed_params is no JSON object");
  }
  Point point(space.dimensions(), kInactive);
  for (const auto& [name, value] : params.items()) {
    const int index = space.Find(name);
    if (index < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the search space has no parameter '", name, "'"));
    }
    const SearchParameter& p = space[index];
    if (p.kind == SearchParameter::Kind::kCategorical) {
      for (size_t choice = 0; choice < p.choices.size(); ++choice) {
        if (IsSame(ChoiceOf(p.choices[choice]), value)) {
          point[index] = static_cast<double>(choice);
          break;
        }
      }
    } else if (value.is_number()) {
      const double number = value.get<double>();
      if (number >= p.low && number <= p.high && p.Nearest(number) == number) point[index] = number;
    }
    if (std::isnan(point[index])) {
      return absl::InvalidArgumentError(
          absl::StrCat("parameter '", name, "' cannot be ", value.dump()));
    }
  }
  return point;
}

}  // namespace mase
