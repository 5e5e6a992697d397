#include "mase/search/inheritance.h"

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

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
  for (const Trial* other : finished.trials()) {
    if (other->state != TrialState::kComplete || other->point.size() != trial.point.size()) {
      continue;
    }
    const size_t same = InCommon(other->point, trial.point);
    std::error_code error;
    if (same < most || !fs::exists(TrainedNetPath(directory, other->number), error)) continue;
    most = same;
    parent = other;
  }
  trial.attributes.erase(kParent);
  if (parent != nullptr) trial.attributes[kParent] = absl::StrCat(parent->number);
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
