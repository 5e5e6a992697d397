// Heartbeats: a worker's word that it still works at its trials.
#ifndef MASE_SEARCH_HEARTBEAT_H_
#define MASE_SEARCH_HEARTBEAT_H_

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "mase/search/study_rows.h"

namespace mase {

// Says every `interval` that the trials that it was told of are being worked at, from a thread and
// through a connection of its own. Thread-safe.
class Heart {
 public:
  Heart(std::string url, absl::Duration interval)
      : url_(std::move(url)), interval_(interval), thread_([this] { Beat(); }) {}

  ~Heart() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  void Begin(TrialId id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ids_.insert(id);
  }
  void End(TrialId id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ids_.erase(id);
  }

 private:
  void Beat();

  const std::string url_;
  const absl::Duration interval_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::set<TrialId> ids_;
  std::thread thread_;
};

}  // namespace mase

#endif  // MASE_SEARCH_HEARTBEAT_H_
