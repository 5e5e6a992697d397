// Rows of a study's tables: how trials are written and read, many at a time.
#ifndef MASE_SEARCH_STUDY_ROWS_H_
#define MASE_SEARCH_STUDY_ROWS_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/trial.h"
#include "soci/soci.h"

namespace mase {

using TrialId = long long;  // NOLINT(runtime/int): SOCI's word for 64 bits.

// The moment by the database's clock, or so many seconds before it, as SQL.
std::string DatabaseTime(bool sqlite, double seconds_ago = 0);

// Calls `body` with "1,2,3", for so many ids at once.
void ForIds(const std::vector<TrialId>& ids, const std::function<void(const std::string&)>& body);

// Rows that are inserted together, a vector a column.
struct ParamRows {
  std::vector<TrialId> trial;
  std::vector<std::string> name, distribution;
  std::vector<double> value;

  // The active parameters of a point. `distributions` are those of the space, as texts.
  void Add(TrialId id, const ParameterSpace& space, const std::vector<std::string>& distributions,
           absl::Span<const double> point);
  void Insert(soci::session& sql);
};

struct NumberRows {
  std::vector<TrialId> trial, at;  // Objective or step.
  std::vector<double> value;
  std::vector<soci::indicator> is_null;
  std::vector<std::string> type;

  void Add(TrialId id, TrialId where, double number);
  // `statement` takes trial, objective or step, value and type.
  void Insert(soci::session& sql, const char* statement);
};

struct TextRows {
  std::vector<TrialId> trial;
  std::vector<std::string> key, text;

  void Add(TrialId id, std::string name, std::string json);
  void Insert(soci::session& sql, const char* table);
};

// A row of `trials` with what other tables say of it.
struct TrialRow {
  TrialId id;
  Trial trial;
  std::string fixed;  // fixed_params; "" if none.
};

class TrialReader {
 public:
  // `place` is where the study is, for messages. `space` must outlive the reader.
  TrialReader(std::string place, const ParameterSpace& space, size_t objectives);

  // Of the parameters, as texts.
  const std::vector<std::string>& distributions() const { return distributions_; }

  // The rows of the study that `where` picks, by id, with their states and times.
  absl::StatusOr<std::vector<TrialRow>> ReadRows(soci::session& sql, TrialId study,
                                                 const std::string& where) const;

  // The rest of them. A point with a value that its parameter cannot have is cleared, and the
  // attribute "error" says which. InvalidArgument: a trial of another search space.
  absl::Status ReadDetails(soci::session& sql, std::vector<TrialRow>& rows);

 private:
  absl::Status ReadParam(absl::string_view name, double value, const std::string& distribution,
                         Trial& trial);
  // Points may lack values, but those they have are looked up among the choices everywhere.
  void ClearUnlessValid(Trial& trial) const;

  const std::string place_;
  const ParameterSpace& space_;
  const size_t objectives_;
  std::vector<std::string> distributions_;
};

}  // namespace mase

#endif  // MASE_SEARCH_STUDY_ROWS_H_
