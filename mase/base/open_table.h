// OpenTable: a table that any number of threads read while it grows, as tables of formats, ops,
// metrics, samplers and readers of data do when a plugin is opened.
//
//   OpenTable<std::vector<const Family*>>& Table() {
//     static auto* const table = new OpenTable<...>(BuiltIn());
//     return *table;
//   }
//   for (const Family* family : Table().get()) ...            // Without a lock.
//   Table().Grow([&](auto& families) { families.push_back(&mine); });
//
// Growing copies the table and publishes the copy. The old one stays for those who are reading it,
// for as long as the table lives: tables are small and grow a few times at most.
#ifndef MASE_BASE_OPEN_TABLE_H_
#define MASE_BASE_OPEN_TABLE_H_

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace mase {

template <typename T>
class OpenTable {
 public:
  explicit OpenTable(T first) { Show(std::make_unique<T>(std::move(first))); }
  OpenTable(const OpenTable&) = delete;
  OpenTable& operator=(const OpenTable&) = delete;

  // As it is now. The reference stays good; later entries do not appear in it.
  const T& get() const { return *current_.load(std::memory_order_acquire); }

  // Calls change(T&) on a copy, and then shows it to all.
  template <typename Change>
  void Grow(const Change& change) {
    const absl::MutexLock lock(&mutex_);
    auto next = std::make_unique<T>(get());
    change(*next);
    Show(std::move(next));
  }

 private:
  void Show(std::unique_ptr<const T> next) {
    versions_.push_back(std::move(next));
    current_.store(versions_.back().get(), std::memory_order_release);
  }

  absl::Mutex mutex_;
  std::vector<std::unique_ptr<const T>> versions_;  // All that there were.
  std::atomic<const T*> current_;
};

}  // namespace mase

#endif  // MASE_BASE_OPEN_TABLE_H_
