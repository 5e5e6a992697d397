#include "mase/run/dataset_cache.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "mase/base/status_macros.h"
#include "mase/data/recipe.h"

namespace mase {

absl::StatusOr<Dataset> DatasetCache::Open(const DatasetConfig& config,
                                           const OpenOptions& options) {
  // Map fields have no order in the binary form; text proto sorts them.
  std::string key;
  google::protobuf::TextFormat::PrintToString(config, &key);
  absl::StrAppend(&key, "\nfor_test: ", options.for_test, "\n",
                  options.recipe == nullptr ? "" : RecipeText(*options.recipe));
  const absl::MutexLock lock(&mutex_);
  if (const auto found = opened_.find(key); found != opened_.end()) return found->second;
  MASE_ASSIGN_OR_RETURN(Dataset dataset, OpenDataset(config, options));
  opened_.emplace(key, dataset);
  return dataset;
}

}  // namespace mase
