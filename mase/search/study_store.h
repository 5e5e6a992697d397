// The rows of one study: what workers tell each other through its tables. Study (study.h) is what
// one worker knows, and when it says it; here are the statements.
//
//   database.Transact([&](soci::session& sql) {
//     store.Lock(sql);
//     rows = store.InsertRunning(sql, 2, absl::Now());
//     store.WriteBegun(sql, rows);
//     return absl::OkStatus();
//   });
//
// All of it belongs into a transaction of the caller's; what a statement throws is that's to catch.
#ifndef MASE_SEARCH_STUDY_STORE_H_
#define MASE_SEARCH_STUDY_STORE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "mase/search/database.h"
#include "mase/search/study.h"
#include "mase/search/study_rows.h"
#include "soci/soci.h"

namespace mase {

// What a worker has found and not written yet, by the ids of the trials' rows.
struct StudyResults {
  std::vector<std::pair<TrialId, Point>> points;
  std::vector<std::pair<TrialId, std::pair<TrialId, double>>> steps;  // Step and value.
  std::vector<std::pair<TrialId, Trial>> ended;

  size_t size() const { return points.size() + steps.size() + ended.size(); }
};

class StudyStore {
 public:
  // All three must outlive it.
  StudyStore(const StudySpec& spec, const StorageSettings& settings, const Database& database);

  // Makes the study of the spec's name where there is none; before all else. InvalidArgument: it
  // has other objectives. NotFound, with the names of others: it should be there and is not.
  absl::Status MakeOrCheck(soci::session& sql);
  // Of other studies, where MakeOrCheck has made one: the newest.
  const std::vector<std::string>& beside() const { return beside_; }

  // Numbers are given, and trials taken, by one worker at a time, until its transaction ends.
  void Lock(soci::session& sql) const;

  // The rows behind `last`, and those of `open`; ReadDetails reads the rest of them. Errors of
  // TrialReader.
  absl::StatusOr<std::vector<TrialRow>> Read(soci::session& sql, TrialId last,
                                             const std::vector<TrialId>& open) const;
  absl::Status ReadDetails(soci::session& sql, std::vector<TrialRow>& rows) {
    return reader_.ReadDetails(sql, rows);
  }

  // A trial in the queue that runs from now on, with its point; nothing where another worker was
  // faster or the queue asks for no point of the space, with which the trial fails.
  absl::optional<TrialRow> TakeWaiting(soci::session& sql, const TrialRow& waiting,
                                       absl::Time now) const;
  // New trials that run, numbered on.
  std::vector<TrialRow> InsertRunning(soci::session& sql, int64_t count, absl::Time now) const;
  // Says of rows that run what their points are and that they are alive.
  void WriteBegun(soci::session& sql, const std::vector<TrialRow>& rows) const;

  void WritePoints(soci::session& sql, const std::vector<std::pair<TrialId, Point>>& points) const;
  // Results; of trials that others gave up meanwhile nothing.
  absl::Status Write(soci::session& sql, const StudyResults& results) const;

  // Puts trials that run in the queue, with those points.
  void GiveBack(soci::session& sql, const std::vector<TrialId>& ids,
                const std::vector<std::pair<TrialId, Point>>& points) const;
  void Enqueue(soci::session& sql, const Point& point) const;

  // Fails those of `open` whose workers have shown no sign of life for a grace period, or,
  // `at_once`, all that run, and puts them in the queue again if that is wanted.
  void FailStale(soci::session& sql, const std::vector<TrialId>& open, bool at_once);

 private:
  std::vector<std::string> OtherStudies(soci::session& sql) const;  // In quotes.
  int64_t NextNumber(soci::session& sql) const;
  TrialId Insert(soci::session& sql, int64_t number, TrialState state, absl::Time start) const;
  void RetryStale(soci::session& sql, TrialId id);
  absl::StatusOr<Point> FixedPoint(const TrialRow& row) const;

  const StudySpec& spec_;
  const StorageSettings& settings_;
  const Database& database_;
  TrialReader reader_;
  TrialId study_ = 0;
  std::vector<std::string> beside_;
};

}  // namespace mase

#endif  // MASE_SEARCH_STUDY_STORE_H_
