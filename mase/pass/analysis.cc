#include "mase/pass/analysis.h"

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

namespace mase {

absl::StatusOr<const void*> AnalysisManager::GetErased(absl::string_view name,
                                                       const Compute& compute) {
  if (!running_.empty()) running_.back().second.emplace_back(name);
  if (const auto it = entries_.find(name);
      it != entries_.end() && it->second.version == graph_.version()) {
    return it->second.result.get();
  }
  for (const auto& [running, used] : running_) {
    if (running == name) {
      return absl::InternalError(
          absl::StrCat("analysis ", name, " needs itself, through ", running_.back().first));
    }
  }
  running_.emplace_back(std::string(name), std::vector<std::string>());
  auto result = compute();
  Entry entry{.version = graph_.version(), .used = std::move(running_.back().second)};
  running_.pop_back();
  if (!result.ok()) return result.status();
  entry.result = *std::move(result);
  // The lookup comes after computing, which may have moved the map's entries.
  Entry& kept = entries_[std::string(name)];
  kept = std::move(entry);
  return kept.result.get();
}

void AnalysisManager::Preserve(absl::Span<const std::string> names, int64_t before) {
  absl::flat_hash_set<std::string> kept;
  for (const std::string& name : names) {
    const auto it = entries_.find(name);
    if (it != entries_.end() && it->second.version == before) kept.insert(name);
  }
  // Dropping one may take the ground from under another.
  for (bool dropped = true; dropped;) {
    dropped = false;
    for (const std::string& name : std::vector<std::string>(kept.begin(), kept.end())) {
      const auto stands = [&kept](const std::string& used) { return kept.contains(used); };
      if (absl::c_all_of(entries_[name].used, stands)) continue;
      kept.erase(name);
      dropped = true;
    }
  }
  for (const std::string& name : kept) entries_[name].version = graph_.version();
}

}  // namespace mase
