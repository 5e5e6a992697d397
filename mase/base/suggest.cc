#include "mase/base/suggest.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace mase {
namespace {

// Longer names are no slips of a hand, and the cost is quadratic.
constexpr size_t kMaxNameBytes = 256;

char Fold(char c) { return c == '-' ? '_' : absl::ascii_tolower(c); }

}  // namespace

int EditDistance(absl::string_view a, absl::string_view b) {
  // Three rows of the optimal string alignment table; row i holds the distances
  // of the first i bytes of `a` to each prefix of `b`.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = Fold(a[i - 1]) == Fold(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped =
          i > 1 && j > 1 && Fold(a[i - 1]) == Fold(b[j - 2]) && Fold(a[i - 2]) == Fold(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string Suggest(absl::string_view name, absl::Span<const std::string> candidates) {
  if (name.empty() || name.size() > kMaxNameBytes) return "";
  const int near_enough = 1 + static_cast<int>(name.size()) / 4;
  const std::string* best = nullptr;
  const std::string* completion = nullptr;
  int best_distance = near_enough + 1;
  int completions = 0;
  for (const std::string& candidate : candidates) {
    if (candidate.size() >= name.size() &&
        std::equal(name.begin(), name.end(), candidate.begin(),
                   [](char a, char b) { return Fold(a) == Fold(b); })) {
      completion = &candidate;
      ++completions;
    }
    const int length_gap =
        std::abs(static_cast<int>(candidate.size()) - static_cast<int>(name.size()));
    if (candidate.size() > kMaxNameBytes || length_gap >= best_distance) continue;
    if (const int distance = EditDistance(name, candidate); distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  // Who wrote the beginning of just one name meant that one, unless another is a letter away.
  if (completions == 1 && best_distance > 1) best = completion;
  return best == nullptr ? "" : absl::StrCat("; did you mean '", *best, "'?");
}

}  // namespace mase
