#include "mase/run/page/plots.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "mase/run/page/html.h"

namespace mase {
namespace {

constexpr int kMaxHistograms = 64;

using EpochValue = double (*)(const EpochRecord&);

Curve CurveOf(const FinishedRun& run, std::string name, EpochValue value) {
  Curve curve{std::move(name)};
  for (const EpochRecord& epoch : run.history) {
    curve.points.emplace_back(static_cast<double>(epoch.epoch), value(epoch));
  }
  return curve;
}

constexpr EpochValue kTrainLoss = [](const EpochRecord& epoch) { return epoch.train_loss; };
constexpr EpochValue kLoss = [](const EpochRecord& epoch) { return epoch.val_loss; };
constexpr EpochValue kAccuracy = [](const EpochRecord& epoch) { return epoch.val_acc; };
constexpr EpochValue kRate = [](const EpochRecord& epoch) { return epoch.rate; };

Picture Curves(const std::string& title, std::vector<Curve> curves) {
  return {.title = title,
          .x_label = "epoch",
          .y_label = title,
          .whole_x = true,
          .curves = std::move(curves)};
}

}  // namespace

std::string PlotGrid(absl::string_view plots) {
  return plots.empty() ? "" : absl::StrCat("<div class=\"plots\">\n", plots, "</div>\n");
}

std::string Plots::Add(const Picture& picture, bool steps, absl::string_view caption) {
  nlohmann::ordered_json plot = {{"title", picture.title}, {"x", picture.x_label},
                                 {"y", picture.y_label},   {"whole", picture.whole_x},
                                 {"steps", steps},         {"curves", nlohmann::json::array()}};
  for (const Curve& curve : picture.curves) {
    nlohmann::ordered_json points = nlohmann::json::array();
    for (const auto& [x, y] : curve.points) {
      // JSON has no NaN.
      points.push_back({x, std::isfinite(y) ? nlohmann::json(y) : nlohmann::json()});
    }
    nlohmann::ordered_json entry = {{"name", curve.name}, {"points", std::move(points)}};
    if (curve.look == Curve::Look::kDots) entry["dots"] = true;
    plot["curves"].push_back(std::move(entry));
  }
  data_.push_back(std::move(plot));
  return absl::StrCat("<figure class=\"plot\" data-plot=\"", data_.size() - 1, "\">\n",
                      CurvesAsSvg(picture), "<figcaption>", EscapeHtml(caption),
                      "</figcaption></figure>\n");
}

std::string Plots::Json() const {
  const std::string text = data_.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return absl::StrReplaceAll(text, {{"<", "\\u003c"}});
}

std::string TrainingCurves(const FinishedRun& run, Plots& plots) {
  if (run.history.empty()) return "";
  return PlotGrid(absl::StrCat(
      plots.Add(
          Curves("loss", {CurveOf(run, "training", kTrainLoss), CurveOf(run, "validation", kLoss)}),
          false, "Mean loss of each epoch"),
      plots.Add(Curves("accuracy", {CurveOf(run, "validation", kAccuracy)}), false,
                "Share of validation rows that are right"),
      plots.Add(Curves("learning rate", {CurveOf(run, "rate", kRate)}), false,
                "Learning rate of each epoch")));
}

std::string CurvesOfRuns(absl::Span<const FinishedRun> runs, Plots& plots) {
  std::vector<Curve> loss, accuracy;
  for (const FinishedRun& run : runs) {
    if (run.history.empty()) continue;
    loss.push_back(CurveOf(run, run.name, kLoss));
    accuracy.push_back(CurveOf(run, run.name, kAccuracy));
  }
  if (loss.empty()) return "";
  return PlotGrid(absl::StrCat(
      plots.Add(Curves("validation loss", std::move(loss)), false, "Validation loss of each run"),
      plots.Add(Curves("validation accuracy", std::move(accuracy)), false,
                "Validation accuracy of each run")));
}

std::string Histograms(const RunReport& report, Plots& plots) {
  std::string html;
  int shown = 0;
  for (const HistogramReport& histogram : report.histograms()) {
    if (++shown > kMaxHistograms) break;
    const int bins = histogram.stored_size();
    const double width = (histogram.high() - histogram.low()) / std::max(bins, 1);
    Curve stored{"float"}, computed{histogram.format()};
    for (int i = 0; i < bins && i < histogram.computed_size(); ++i) {
      const double x = histogram.low() + width * i;
      stored.points.emplace_back(x, histogram.stored(i));
      computed.points.emplace_back(x, histogram.computed(i));
    }
    const std::string name = absl::StrCat(histogram.node(), ".", histogram.tensor());
    absl::StrAppend(&html, plots.Add({.title = name,
                                      .x_label = "value",
                                      .y_label = "elements",
                                      .curves = {std::move(stored), std::move(computed)}},
                                     true, absl::StrCat(name, ", float and as computed with")));
  }
  if (report.histograms_size() > kMaxHistograms) {
    absl::StrAppend(&html, "<p>The first ", kMaxHistograms, " of ", report.histograms_size(),
                    ".</p>\n");
  }
  return PlotGrid(html);
}

}  // namespace mase
