#include "mase/base/suggest.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
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

// EditDistance, or `limit` where it is as large.
int DistanceBelow(int limit, absl::string_view a, absl::string_view b) {
  // Three rows of the optimal string alignment table; row i holds the distances
  // of the first i bytes of `a` to each prefix of `b`.
  const size_t width = b.size() + 1;
  std::vector<int> rows(3 * width);
  int *before = rows.data(), *last = before + width, *row = last + width;
  for (size_t j = 0; j < width; ++j) row[j] = static_cast<int>(j);
  int least_of_last = 0;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = static_cast<int>(i);
    int least = row[0];
    const char letter = Fold(a[i - 1]), letter_before = i > 1 ? Fold(a[i - 2]) : 0;
    char other_before = 0;
    for (size_t j = 1; j < width; ++j) {
      const char other = Fold(b[j - 1]);
      int edits = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter == other ? 0 : 1)});
      if (i > 1 && j > 1 && letter == other_before && letter_before == other) {
        edits = std::min(edits, before[j - 2] + 1);
      }
      row[j] = edits;
      least = std::min(least, edits);
      other_before = other;
    }
    // All that follows comes from one of two rows.
    if (std::min(least, least_of_last) >= limit) return limit;
    least_of_last = least;
  }
  return std::min(row[width - 1], limit);
}

}  // namespace

int EditDistance(absl::string_view a, absl::string_view b) {
  return DistanceBelow(std::numeric_limits<int>::max(), a, b);
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
    if (const int distance = DistanceBelow(best_distance, name, candidate);
        distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  // Who wrote the beginning of just one name meant that one, unless another is a letter away.
  if (completions == 1 && best_distance > 1) best = completion;
  return best == nullptr ? "" : absl::StrCat("; did you mean '", *best, "'?");
}

}  // namespace mase
