// Data sets that several runs of a process share.
#ifndef MASE_RUN_DATASET_CACHE_H_
#define MASE_RUN_DATASET_CACHE_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "mase/data/dataset.h"
#include "mase/data/open_dataset.h"

namespace mase {

// OpenDataset that opens what has the same settings and recipe once, and reads each of its splits
// once, for as long as the cache lives. Files are taken to stay as they are. For many threads.
class DatasetCache {
 public:
  // Errors of OpenDataset, which are not kept.
  absl::StatusOr<Dataset> Open(const DatasetConfig& config, const OpenOptions& options);

 private:
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Dataset> opened_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mase

#endif  // MASE_RUN_DATASET_CACHE_H_
