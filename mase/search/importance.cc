#include "mase/search/importance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "mase/sampler/draws.h"

namespace mase {
namespace {

constexpr size_t kMostTrials = 2000;
constexpr int kTrees = 32;

// Points as columns; an inactive parameter is below all values.
struct Samples {
  std::vector<std::vector<double>> columns;
  std::vector<bool> categorical;  // Of the columns.
  std::vector<double> values;
};

struct Split {
  int column = -1;  // -1: a leaf.
  double at = 0;    // Left: equal to it, of a categorical column; else at most it.
  int left = 0, right = 0;
  double mean = 0;
};

class Tree {
 public:
  // Fitted to a draw of the samples with replacement; each split looks at all columns.
  Tree(const Samples& samples, Draws& draws) {
    std::vector<size_t> rows(samples.values.size());
    for (size_t& row : rows) row = draws.Index(rows.size());
    struct Task {
      size_t begin, end;
      int node;
    };
    nodes_.push_back({});
    std::vector<Task> tasks = {{0, rows.size(), 0}};
    while (!tasks.empty()) {
      const Task task = tasks.back();
      tasks.pop_back();
      const absl::Span<size_t> here =
          absl::MakeSpan(rows).subspan(task.begin, task.end - task.begin);
      Split split = BestSplit(samples, here);
      if (split.column >= 0) {
        const auto middle = std::stable_partition(here.begin(), here.end(), [&](size_t row) {
          return GoesLeft(samples, split, samples.columns[split.column][row]);
        });
        const size_t cut = task.begin + (middle - here.begin());
        split.left = static_cast<int>(nodes_.size());
        split.right = split.left + 1;
        nodes_.resize(nodes_.size() + 2);
        tasks.push_back({task.begin, cut, split.left});
        tasks.push_back({cut, task.end, split.right});
      }
      nodes_[task.node] = split;
    }
  }

  // Of a row, one column of which has another value.
  double Predict(const Samples& samples, size_t row, int changed, double value) const {
    int node = 0;
    while (nodes_[node].column >= 0) {
      const Split& split = nodes_[node];
      const double here = split.column == changed ? value : samples.columns[split.column][row];
      node = GoesLeft(samples, split, here) ? split.left : split.right;
    }
    return nodes_[node].mean;
  }

 private:
  static bool GoesLeft(const Samples& samples, const Split& split, double value) {
    return samples.categorical[split.column] ? value == split.at : value <= split.at;
  }

  // The split that leaves the least sum of squares, which is the one with the largest sum of
  // squared sums over counts.
  static Split BestSplit(const Samples& samples, absl::Span<size_t> rows) {
    double total = 0;
    for (size_t row : rows) total += samples.values[row];
    const auto count = static_cast<double>(rows.size());
    Split best = {.mean = total / count};
    double best_score = total * total / count * (1 + 1e-12) + 1e-300;
    std::vector<std::pair<double, double>> sorted(rows.size());
    for (size_t column = 0; column < samples.columns.size(); ++column) {
      for (size_t i = 0; i < rows.size(); ++i) {
        sorted[i] = {samples.columns[column][rows[i]], samples.values[rows[i]]};
      }
      absl::c_sort(sorted);
      double sum = 0, left_count = 0;
      for (size_t i = 0; i < sorted.size(); ++i) {
        sum += sorted[i].second;
        left_count += 1;
        const bool last = i + 1 == sorted.size();
        if (!last && sorted[i + 1].first == sorted[i].first) continue;
        if (left_count < count) {
          const double rest = total - sum;
          const double score = sum * sum / left_count + rest * rest / (count - left_count);
          if (score > best_score) {
            best_score = score;
            best.column = static_cast<int>(column);
            best.at = sorted[i].first;
          }
        }
        if (samples.categorical[column]) sum = left_count = 0;  // Each value against the others.
      }
    }
    return best;
  }

  std::vector<Split> nodes_;
};

}  // namespace

absl::StatusOr<std::vector<double>> ParameterImportances(const ParameterSpace& space,
                                                         absl::Span<const Trial* const> trials,
                                                         size_t objective, uint64_t seed) {
  std::vector<const Trial*> complete;
  for (const Trial* trial : trials) {
    if (trial->state == TrialState::kComplete && std::isfinite(trial->values[objective])) {
      complete.push_back(trial);
    }
  }
  if (complete.size() < 2) {
    return absl::InvalidArgumentError("importances need at least two complete trials");
  }
  const size_t count = std::min(complete.size(), kMostTrials);
  Samples samples;
  samples.columns.resize(space.dimensions());
  for (const SearchParameter& p : space.parameters()) {
    samples.categorical.push_back(p.kind == SearchParameter::Kind::kCategorical);
  }
  for (size_t i = 0; i < count; ++i) {
    const Trial& trial = *complete[i * complete.size() / count];
    for (size_t column = 0; column < space.dimensions(); ++column) {
      const double value = trial.point[column];
      samples.columns[column].push_back(std::isnan(value) ? -std::numeric_limits<double>::infinity()
                                                          : value);
    }
    samples.values.push_back(trial.values[objective]);
  }
  if (absl::c_all_of(samples.values, [&](double value) { return value == samples.values[0]; })) {
    return absl::InvalidArgumentError("all complete trials have the same value");
  }
  std::vector<double> shares(space.dimensions(), 0);
  for (int tree_index = 0; tree_index < kTrees; ++tree_index) {
    Draws draws(seed, tree_index);
    const Tree tree(samples, draws);
    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), size_t{0});
    for (size_t i = count; i-- > 1;) std::swap(order[i], order[draws.Index(i + 1)]);
    for (size_t column = 0; column < shares.size(); ++column) {
      for (size_t row = 0; row < count; ++row) {
        const double truth = samples.values[row];
        const double right = tree.Predict(samples, row, -1, 0) - truth;
        const double shuffled = tree.Predict(samples, row, static_cast<int>(column),
                                             samples.columns[column][order[row]]) -
                                truth;
        shares[column] += shuffled * shuffled - right * right;
      }
    }
  }
  double sum = 0;
  for (double& share : shares) sum += share = std::max(share, 0.0);
  for (double& share : shares)
    share = sum > 0 ? share / sum : 1.0 / static_cast<double>(shares.size());
  return shares;
}

}  // namespace mase
