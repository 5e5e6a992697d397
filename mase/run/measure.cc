#include "mase/run/measure.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/crc32c.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/metric/metric.h"
#include "mase/metric/own_figures.h"

namespace mase {
namespace {

constexpr int64_t kFewClasses = 10;
constexpr int64_t kShownOfMany = 5;              // Worst and best.
constexpr int64_t kMaxReportedConfusion = 100;   // Classes; report.proto says so.
constexpr int64_t kMaxReportedRows = 1'000'000;  // Whose right ones are listed; the same.
constexpr size_t kLongestName = 16;
constexpr size_t kColumns = 80;

std::string NameOf(const std::vector<std::string>& names, int64_t i) {
  return i < static_cast<int64_t>(names.size()) ? names[i] : absl::StrCat(i);
}

std::string ShortName(const std::vector<std::string>& names, int64_t i) {
  const std::string name = NameOf(names, i);
  return name.size() <= kLongestName ? name : absl::StrCat(name.substr(0, kLongestName - 3), "...");
}

// Precision, recall, F1 and support, a row a class, with the means below.
Table ClassTable(const Classification& figures, const std::vector<std::string>& names,
                 const std::vector<int64_t>& classes, bool with_confusion) {
  std::vector<Column> columns = {{"class"},
                                 {.name = "precision", .decimals = 3},
                                 {.name = "recall", .decimals = 3},
                                 {.name = "F1", .decimals = 3},
                                 {"rows"}};
  const int64_t size = static_cast<int64_t>(figures.classes.size());
  for (int64_t i = 0; with_confusion && i < size; ++i) {
    columns.push_back({absl::StrCat("as ", ShortName(names, i))});
  }
  Table table("classes", "", std::move(columns));
  const auto add = [&](std::vector<Cell> cells, int64_t of_class) {
    for (int64_t i = 0; with_confusion && i < size; ++i) {
      cells.push_back(of_class < 0 ? Cell() : Cell(figures.confusion[of_class * size + i]));
    }
    table.AddRow(std::move(cells));
  };
  for (const int64_t i : classes) {
    const ClassFigures& one = figures.classes[i];
    add({ShortName(names, i), one.precision(), one.recall(), one.f1(), one.rows}, i);
  }
  const auto add_mean = [&](const char* name, const ClassAverage& mean) {
    add({name, mean.precision, mean.recall, mean.f1, figures.rows}, -1);
  };
  add_mean("mean (macro)", figures.macro);
  add_mean("mean by rows", figures.weighted);
  return table;
}

Table ConfusionTable(const Classification& figures, const std::vector<std::string>& names) {
  const int64_t size = static_cast<int64_t>(figures.classes.size());
  std::vector<Column> columns = {{"class"}};
  for (int64_t i = 0; i < size; ++i) columns.push_back({absl::StrCat("as ", ShortName(names, i))});
  Table table("confusion", "Rows of each class by what they were taken for", std::move(columns));
  for (int64_t t = 0; t < size; ++t) {
    std::vector<Cell> cells = {ShortName(names, t)};
    for (int64_t p = 0; p < size; ++p) cells.push_back(figures.confusion[t * size + p]);
    table.AddRow(std::move(cells));
  }
  return table;
}

// Whether class table and confusion matrix have room beside each other.
bool FitsOneTable(const Classification& figures, const std::vector<std::string>& names) {
  size_t width = 12 + 4 * 2 + 9 + 6 + 5 + WithCommas(figures.rows).size();
  for (size_t i = 0; i < figures.classes.size(); ++i) {
    const ClassFigures& one = figures.classes[i];
    width += 2 + std::max(3 + ShortName(names, static_cast<int64_t>(i)).size(),
                          WithCommas(std::max(one.predicted, one.rows)).size());
  }
  return width <= kColumns;
}

// "'cat' for 'dog' 31 times, ..." of the largest cells beside the diagonal.
std::string LargestConfusions(const Classification& figures,
                              const std::vector<std::string>& names) {
  const int64_t size = static_cast<int64_t>(figures.classes.size());
  std::vector<int64_t> cells;
  for (int64_t i = 0; i < static_cast<int64_t>(figures.confusion.size()); ++i) {
    if (i / size != i % size && figures.confusion[i] > 0) cells.push_back(i);
  }
  const size_t shown = std::min<size_t>(3, cells.size());
  std::partial_sort(cells.begin(), cells.begin() + static_cast<int64_t>(shown), cells.end(),
                    [&](int64_t a, int64_t b) {
                      const int64_t more = figures.confusion[a] - figures.confusion[b];
                      return more != 0 ? more > 0 : a < b;
                    });
  std::string text;
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, i == 0 ? "most often mistaken: " : ", ", "'",
                    ShortName(names, cells[i] / size), "' for '", ShortName(names, cells[i] % size),
                    "' ", figures.confusion[cells[i]]);
  }
  return text.empty() ? text : absl::StrCat(text, "\n");
}

std::string TableOfMany(const Classification& figures, const std::vector<std::string>& names) {
  std::vector<int64_t> order;
  for (size_t i = 0; i < figures.classes.size(); ++i) {
    if (figures.classes[i].rows > 0) order.push_back(static_cast<int64_t>(i));
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return figures.classes[a].f1() < figures.classes[b].f1();
  });
  const int64_t count = static_cast<int64_t>(order.size());
  if (count > 2 * kShownOfMany)
    order.erase(order.begin() + kShownOfMany, order.end() - kShownOfMany);
  return absl::StrCat("the ", kShownOfMany, " worst and the ", kShownOfMany, " best of ", count,
                      " classes by F1; all are in summary.json\n",
                      ClassTable(figures, names, order, /*with_confusion=*/false).Text(),
                      LargestConfusions(figures, names));
}

std::string Points(double share) { return absl::StrFormat("%+.1f", 100 * share); }

}  // namespace

absl::StatusOr<Measurement> MeasureNet(Executor& executor, const SplitData& data, int64_t classes,
                                       const RunConfig& config, const OutputSink<float>& sink) {
  const int64_t automatic = classes > kFewClasses ? 5 : 0;
  const int64_t top_k = config.evaluation().has_topk() ? config.evaluation().topk() : automatic;
  ClassificationTally tally(data.labels.data<int64_t>(),
                            {.classes = classes, .top_k = std::min(top_k, classes)});
  OwnFigures own(OwnMetrics());
  const absl::Span<const int64_t> labels = data.labels.data<int64_t>();
  Measurement measured;
  MASE_ASSIGN_OR_RETURN(
      measured.evaluation,
      Evaluate(executor, data.features, data.labels, config.batch_size(),
               [&](int64_t first_row, absl::Span<const float> scores) {
                 const int64_t outputs = executor.output_shape()[1];
                 tally.Add(first_row, scores, outputs);
                 const int64_t rows = static_cast<int64_t>(scores.size()) / outputs;
                 MASE_RETURN_IF_ERROR(own.Add(scores, outputs, labels.subspan(first_row, rows)));
                 return sink ? sink(first_row, scores) : absl::OkStatus();
               }));
  measured.classification = tally.Finish();
  MASE_ASSIGN_OR_RETURN(measured.own_metrics, own.Finish());
  const auto bytes = [](const auto& values) {
    return absl::string_view(reinterpret_cast<const char*>(values.data()),
                             values.size() * sizeof(values[0]));
  };
  measured.rows_checksum =
      Crc32c(bytes(data.labels.data<int64_t>()), Crc32c(bytes(data.features.data<float>())));
  return measured;
}

void ReportMeasurement(const Measurement& measurement, absl::string_view stage, Split split,
                       const std::vector<std::string>& class_names, RunReport& report) {
  const Classification& figures = measurement.classification;
  const auto add = [&](absl::string_view name, double value) {
    MetricReport* metric = report.add_metrics();
    metric->set_name(std::string(name));
    metric->set_stage(std::string(stage));
    metric->set_split(std::string(SplitName(split)));
    if (std::isfinite(value)) metric->set_value(value);
    metric->set_samples(static_cast<uint32_t>(measurement.evaluation.samples));
    return metric;
  };
  const auto add_share = [&](absl::string_view name, double value, int64_t correct) {
    MetricReport* metric = add(name, value);
    const Interval interval = WilsonInterval(correct, figures.rows);
    metric->set_correct(static_cast<uint32_t>(correct));
    metric->set_low(interval.low);
    metric->set_high(interval.high);
    return metric;
  };
  MetricReport* accuracy = add_share("accuracy", measurement.evaluation.accuracy, figures.correct);
  if (figures.rows <= kMaxReportedRows) {
    accuracy->set_right(figures.right.data(), figures.right.size());
    accuracy->set_rows_checksum(measurement.rows_checksum);
  }
  add("loss", measurement.evaluation.loss);
  add("precision", figures.macro.precision);
  add("recall", figures.macro.recall);
  add("f1", figures.macro.f1);
  add("weighted_precision", figures.weighted.precision);
  add("weighted_recall", figures.weighted.recall);
  add("weighted_f1", figures.weighted.f1);
  if (figures.top_k > 0) {
    add_share(absl::StrCat("top", figures.top_k, "_accuracy"),
              static_cast<double>(figures.top_k_correct) / static_cast<double>(figures.rows),
              figures.top_k_correct);
  }
  add("calibration_error", figures.calibration_error);
  if (figures.roc_auc.has_value()) add("roc_auc", *figures.roc_auc);
  for (const auto& [name, value] : measurement.own_metrics) add(name, value);

  report.clear_classes();
  const int64_t classes = static_cast<int64_t>(figures.classes.size());
  for (int64_t i = 0; i < classes; ++i) {
    const ClassFigures& one = figures.classes[i];
    ClassReport* entry = report.add_classes();
    entry->set_name(NameOf(class_names, i));
    entry->set_rows(static_cast<uint32_t>(one.rows));
    entry->set_predicted(static_cast<uint32_t>(one.predicted));
    entry->set_correct(static_cast<uint32_t>(one.correct));
    entry->set_precision(one.precision());
    entry->set_recall(one.recall());
    entry->set_f1(one.f1());
    for (int64_t j = 0; classes <= kMaxReportedConfusion && j < classes; ++j) {
      entry->add_taken_for(static_cast<uint32_t>(figures.confusion[i * classes + j]));
    }
  }
}

std::string ClassificationText(const Classification& figures,
                               const std::vector<std::string>& class_names) {
  const Interval interval = WilsonInterval(figures.correct, figures.rows);
  std::string text = absl::StrFormat(
      "accuracy %.3f, 95 %% interval %.3f to %.3f (Wilson)\n"
      "largest class '%s': %.3f of the rows%s\n",
      static_cast<double>(figures.correct) /
          static_cast<double>(std::max<int64_t>(figures.rows, 1)),
      interval.low, interval.high, ShortName(class_names, figures.largest()),
      figures.largest_share(),
      figures.AccuracyMisleads() ? "; the accuracy misleads, see the classes" : "");
  if (figures.undecided > 0) {
    absl::StrAppend(&text, WithCommas(figures.undecided), " rows have a NaN among their scores\n");
  }
  const int64_t classes = static_cast<int64_t>(figures.classes.size());
  if (classes > kFewClasses) {
    absl::StrAppend(&text, TableOfMany(figures, class_names));
  } else if (classes > 0) {
    std::vector<int64_t> all(classes);
    std::iota(all.begin(), all.end(), 0);
    const bool one = FitsOneTable(figures, class_names);
    absl::StrAppend(&text, ClassTable(figures, class_names, all, one).Text());
    if (!one) absl::StrAppend(&text, ConfusionTable(figures, class_names).Text());
  }
  if (figures.top_k > 0) {
    absl::StrAppendFormat(&text, "top-%d accuracy %.3f, ", figures.top_k,
                          static_cast<double>(figures.top_k_correct) /
                              static_cast<double>(std::max<int64_t>(figures.rows, 1)));
  }
  absl::StrAppendFormat(&text, "calibration error %.3f (%d bins)", figures.calibration_error,
                        kCalibrationBins);
  if (figures.roc_auc.has_value()) absl::StrAppendFormat(&text, ", ROC AUC %.3f", *figures.roc_auc);
  return absl::StrCat(text, "\n");
}

bool CompareAccuracies(const MetricReport& first, const MetricReport& second,
                       ComparisonReport& comparison) {
  const int64_t rows = first.samples();
  const size_t bytes = (rows + 7) / 8;
  const bool same = rows > 0 && second.samples() == rows && first.right().size() == bytes &&
                    second.right().size() == bytes &&
                    first.rows_checksum() == second.rows_checksum();
  if (!same) return false;
  const auto bits = [](const std::string& right) {
    return absl::MakeSpan(reinterpret_cast<const uint8_t*>(right.data()), right.size());
  };
  const PairedDifference difference =
      CompareOnSameRows(bits(first.right()), bits(second.right()), rows);
  comparison.set_first(first.stage());
  comparison.set_second(second.stage());
  comparison.set_split(second.split());
  comparison.set_rows(static_cast<uint32_t>(difference.rows));
  comparison.set_only_first(static_cast<uint32_t>(difference.only_first));
  comparison.set_only_second(static_cast<uint32_t>(difference.only_second));
  comparison.set_difference(difference.difference);
  comparison.set_low(difference.interval.low);
  comparison.set_high(difference.interval.high);
  comparison.set_decided(difference.Decided());
  return true;
}

const ComparisonReport* ReportComparison(absl::string_view first, absl::string_view second,
                                         RunReport& report) {
  const MetricReport *before = nullptr, *after = nullptr;
  for (const MetricReport& metric : report.metrics()) {
    if (metric.name() != "accuracy") continue;
    if (metric.stage() == first) before = &metric;
    if (metric.stage() == second) after = &metric;
  }
  ComparisonReport comparison;
  if (before == nullptr || after == nullptr || !CompareAccuracies(*before, *after, comparison)) {
    return nullptr;
  }
  *report.add_comparisons() = comparison;
  return &report.comparisons(report.comparisons_size() - 1);
}

std::string ComparisonText(const ComparisonReport& c) {
  const std::string what =
      c.difference() == 0
          ? "The accuracy is the same"
          : absl::StrFormat("The accuracy %s by %.1f points",
                            c.difference() < 0 ? "falls" : "rises", 100 * std::abs(c.difference()));
  return absl::StrCat(what, " on the same ", WithCommas(c.rows()), " rows\n(",
                      WithCommas(c.only_first()), " right only before, ",
                      WithCommas(c.only_second()), " only after); 95 % interval ", Points(c.low()),
                      " to ", Points(c.high()), " points:\n",
                      c.decided() ? "a difference that these rows show.\n"
                                  : "within it, so that these rows do not tell the two apart.\n");
}

}  // namespace mase
