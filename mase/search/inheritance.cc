#include "mase/search/inheritance.h"

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

// Choices that are the same, or in neither.
size_t InCommon(const Point& a, const Point& b) {
  size_t same = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    same += a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
  }
  return same;
}

// The complete trials that have the greatest numbers, from the last one on. Once a trial is not
// among them it never is again.
std::vector<const Trial*> Newest(const TrialHistory& finished) {
  std::vector<const Trial*> newest;
  const absl::Span<const Trial* const> trials = finished.trials();
  for (auto trial = trials.rbegin(); trial != trials.rend(); ++trial) {
    if (newest.size() == kMostTrainedNets) break;
    if ((*trial)->state == TrialState::kComplete) newest.push_back(*trial);
  }
  return newest;
}

}  // namespace

std::string TrainedNetPath(absl::string_view directory, int64_t number) {
  return (fs::path(std::string(directory)) / "weights" / absl::StrCat(number, ".safetensors"))
      .string();
}

absl::Status KeepTrainedNet(absl::string_view path, absl::string_view directory, int64_t number) {
  const fs::path kept = TrainedNetPath(directory, number);
  std::error_code error;
  fs::create_directories(kept.parent_path(), error);
  if (!error) fs::rename(fs::path(std::string(path)), kept, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(kept.string(), ": cannot keep the trained net: ", error.message()));
}

void ChooseParent(const TrialHistory& finished, absl::string_view directory, Trial& trial) {
  const Trial* parent = nullptr;
  size_t most = 0;
  for (const Trial* other : Newest(finished)) {
    if (other->point.size() != trial.point.size()) continue;
    const size_t same = InCommon(other->point, trial.point);
    std::error_code error;
    if (parent != nullptr && same <= most) continue;
    if (!fs::exists(TrainedNetPath(directory, other->number), error)) continue;
    most = same;
    parent = other;
  }
  trial.attributes.erase(kParent);
  if (parent != nullptr) trial.attributes[kParent] = absl::StrCat(parent->number);
}

void DropTrainedNets(const TrialHistory& finished, const std::multiset<int64_t>& in_use,
                     absl::string_view directory) {
  std::set<int64_t> kept(in_use.begin(), in_use.end());
  for (const Trial* trial : Newest(finished)) kept.insert(trial->number);
  std::error_code error;
  const fs::path folder = fs::path(TrainedNetPath(directory, 0)).parent_path();
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    int64_t number;
    if (!absl::SimpleAtoi(entry->path().stem().string(), &number)) continue;
    if (kept.count(number) > 0 || finished.Find(number) == nullptr) continue;  // Or it runs yet.
    std::error_code stays;
    fs::remove(entry->path(), stays);
  }
}

std::optional<int64_t> ParentOf(const Trial& trial) {
  const auto found = trial.attributes.find(kParent);
  int64_t number;
  if (found == trial.attributes.end() || !absl::SimpleAtoi(found->second, &number) || number < 0) {
    return std::nullopt;
  }
  return number;
}

}  // namespace mase
