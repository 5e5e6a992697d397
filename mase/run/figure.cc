#include "mase/run/figure.h"

#include <algorithm>
#include <cmath>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/dataset.h"
#include "mase/metric/metric.h"

namespace mase {
namespace {

struct KnownMetric {
  absl::string_view name;
  MetricKind kind;
  bool needs_rows = true;  // Is it measured on data?
};
constexpr KnownMetric kMetrics[] = {
    {"accuracy", MetricKind::kShare},
    {"loss", MetricKind::kNumber},
    {"precision", MetricKind::kShare},
    {"recall", MetricKind::kShare},
    {"f1", MetricKind::kShare},
    {"weighted_precision", MetricKind::kShare},
    {"weighted_recall", MetricKind::kShare},
    {"weighted_f1", MetricKind::kShare},
    {"calibration_error", MetricKind::kShare},
    {"roc_auc", MetricKind::kShare},
    {"bytes", MetricKind::kBytes, false},
    {"packed_bytes", MetricKind::kBytes, false},
    {"average_bitwidth", MetricKind::kNumber, false},
    {"macs", MetricKind::kNumber, false},
    {"bitops", MetricKind::kNumber, false},
    {"ebops", MetricKind::kNumber, false},
    {"latency_us", MetricKind::kMicroseconds, false},
    {kAccuracyDrop, MetricKind::kShare},
    {kLossRise, MetricKind::kNumber},
    {"parameters", MetricKind::kNumber, false},
    {"seconds", MetricKind::kSeconds, false},
};

// Words that stand in front of metrics.
constexpr absl::string_view kStagesAndSplits[] = {"original", "transformed", "best",
                                                  "train",    "validation",  "test"};

bool IsOfEpoch(const MetricReport& metric) { return absl::StartsWith(metric.stage(), "epoch "); }

absl::StatusOr<Figure> FigureOf(const MetricReport& metric) {
  if (metric.has_correct() && metric.samples() > 0) {
    return Figure{
        static_cast<double>(metric.correct()) / metric.samples(),
        absl::StrCat(WithCommas(metric.correct()), " of ", WithCommas(metric.samples()), " rows")};
  }
  if (!metric.has_value()) return absl::NotFoundError("it is no finite number");
  return Figure{metric.value(), ""};
}

// Original less last, of a metric measured on the same rows.
absl::StatusOr<Figure> DropOf(const RunReport& report, absl::string_view name) {
  const MetricReport* before = FindMetric(report, name, {"original"});
  if (before == nullptr) return absl::NotFoundError("the net was not measured as it came");
  const MetricReport* after = FindMetric(report, name, {before->split()});
  if (after->has_correct() && before->has_correct() && before->samples() == after->samples()) {
    const int64_t fewer = int64_t{before->correct()} - int64_t{after->correct()};
    return Figure{static_cast<double>(fewer) / before->samples(),
                  absl::StrCat(WithCommas(std::abs(fewer)), fewer < 0 ? " more" : " fewer", " of ",
                               WithCommas(before->samples()), " rows")};
  }
  if (!before->has_value() || !after->has_value()) {
    return absl::NotFoundError("one of the two is no finite number");
  }
  return Figure{before->value() - after->value(), ""};
}

std::vector<std::string> KeysOf(const google::protobuf::Struct& fields) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : fields.fields()) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

absl::Status NoSuchKey(const std::string& key, const std::vector<std::string>& known) {
  return absl::NotFoundError(absl::StrCat("no '", key, "' in what the pass found",
                                          Suggest(key, known),
                                          "; it has: ", absl::StrJoin(known, ", ")));
}

// A number in the pass's result or among its counts.
absl::StatusOr<Figure> FindInPass(const PassReport& pass, absl::Span<const std::string> way) {
  if (way.size() == 1) {
    const auto count = pass.counts().find(way[0]);
    if (count != pass.counts().end()) return Figure{count->second, ""};
  }
  const google::protobuf::Struct* at = &pass.result();
  for (size_t i = 0; i < way.size(); ++i) {
    const auto found = at->fields().find(way[i]);
    if (found == at->fields().end()) {
      std::vector<std::string> known = KeysOf(*at);
      if (i == 0) {
        for (const auto& [name, count] : pass.counts()) known.push_back(name);
      }
      return NoSuchKey(way[i], known);
    }
    if (i + 1 == way.size()) {
      if (found->second.has_number_value()) return Figure{found->second.number_value(), ""};
      if (found->second.has_bool_value()) return Figure{found->second.bool_value() ? 1.0 : 0.0, ""};
    }
    if (!found->second.has_struct_value()) {
      return absl::NotFoundError(absl::StrCat("'", way[i], "' is no number and has none in it"));
    }
    at = &found->second.struct_value();
  }
  return absl::NotFoundError(
      absl::StrCat("it is no number, but has: ", absl::StrJoin(KeysOf(*at), ", ")));
}

}  // namespace

int TopKOfMetric(absl::string_view name) {
  int k = 0;
  const bool is = absl::ConsumePrefix(&name, "top") && absl::ConsumeSuffix(&name, "_accuracy") &&
                  absl::SimpleAtoi(name, &k);
  return is ? std::max(k, 0) : 0;
}

std::optional<MetricKind> KindOfMetric(absl::string_view metric) {
  for (const KnownMetric& known : kMetrics) {
    if (known.name == metric) return known.kind;
  }
  if (TopKOfMetric(metric) > 0) return MetricKind::kShare;
  if (FindMetric(metric) != nullptr) return MetricKind::kNumber;  // A plugin's.
  return std::nullopt;
}

std::optional<MetricKind> KindOfFigure(absl::Span<const std::string> words) {
  const std::optional<MetricKind> kind = KindOfMetric(words.back());
  const bool stages = absl::c_all_of(words.first(words.size() - 1), [](const std::string& word) {
    return absl::c_linear_search(kStagesAndSplits, word);
  });
  return stages || NeedsRows(words.back()) ? kind : std::nullopt;
}

bool NeedsRows(absl::string_view metric) {
  const auto* known = absl::c_find_if(
      kMetrics, [&](const KnownMetric& candidate) { return candidate.name == metric; });
  return known == std::end(kMetrics) || known->needs_rows;
}

std::vector<std::string> MetricNames() {
  std::vector<std::string> names;
  for (const KnownMetric& metric : kMetrics) names.emplace_back(metric.name);
  for (const MetricDefinition* own : OwnMetrics()) names.push_back(own->name);
  return names;
}

const MetricReport* FindMetric(const RunReport& report, absl::string_view name,
                               absl::Span<const std::string> words) {
  const MetricReport* found = nullptr;
  const std::string best = absl::StrCat("epoch ", report.best_epoch());
  for (const MetricReport& metric : report.metrics()) {
    const bool fits = absl::c_all_of(words, [&](const std::string& word) {
      return word == metric.stage() || word == metric.split();
    });
    const bool of_other_epoch =
        report.has_best_epoch() && IsOfEpoch(metric) && metric.stage() != best;
    if (metric.name() == name && fits && !of_other_epoch) found = &metric;
  }
  return found;
}

absl::StatusOr<Figure> FindFigure(absl::Span<const std::string> words, const RunReport& report) {
  const std::string& metric = words.back();
  if (!KindOfFigure(words).has_value()) {
    const absl::Span<const std::string> way = words.subspan(1);
    const PassReport* found = nullptr;
    for (const PassReport& pass : report.passes()) {
      if (pass.name() == words[0] || pass.label() == words[0]) found = &pass;
    }
    if (found == nullptr) return absl::NotFoundError("no such pass ran");
    return FindInPass(*found, way);
  }
  if (metric == kAccuracyDrop) return DropOf(report, "accuracy");
  if (metric == kLossRise) {
    MASE_ASSIGN_OR_RETURN(Figure drop, DropOf(report, "loss"));
    drop.value = -drop.value;
    return drop;
  }
  if (metric == "parameters" && report.has_model()) {
    return Figure{static_cast<double>(report.model().parameters()), ""};
  }
  if (metric == "seconds" && report.seconds() > 0) return Figure{report.seconds(), ""};
  const MetricReport* found = FindMetric(report, metric, words.first(words.size() - 1));
  if (found == nullptr) return absl::NotFoundError("it was not measured");
  return FigureOf(*found);
}

}  // namespace mase
