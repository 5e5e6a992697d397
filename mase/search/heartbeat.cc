#include "mase/search/heartbeat.h"

#include <memory>
#include <utility>
#include <vector>

#include "mase/search/database.h"

namespace mase {
namespace {

absl::Status Renew(Database& database, std::vector<TrialId> ids) {
  return database.Transact([&](soci::session& sql) {
    sql << "UPDATE trial_heartbeats SET heartbeat = " << DatabaseTime(database.sqlite())
        << " WHERE trial_id = :t",
        soci::use(ids);
    return absl::OkStatus();
  });
}

}  // namespace

void Heart::Beat() {
  std::unique_ptr<Database> database;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!wake_.wait_for(lock, absl::ToChronoMilliseconds(interval_), [this] { return stop_; })) {
    std::vector<TrialId> ids(ids_.begin(), ids_.end());
    if (ids.empty()) continue;
    lock.unlock();
    if (database == nullptr) {
      auto opened = Database::Open(url_, absl::ZeroDuration(), nullptr);
      if (opened.ok()) database = *std::move(opened);
    }
    // A beat that fails is one that is missed: the next one may come through.
    if (database != nullptr) Renew(*database, std::move(ids)).IgnoreError();
    lock.lock();
  }
}

}  // namespace mase
