#include "mase/search/search_page.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/run/page/html.h"
#include "mase/run/page/page.h"
#include "mase/search/search_plots.h"
#include "mase/search/search_results.h"

namespace mase {
namespace {

constexpr size_t kMostLines = 600;    // Of trials that are not of the front.
constexpr size_t kMostPoints = 2000;  // Of a curve: a page is to stay small.
constexpr double kAxisDistance = 110, kTop = 90, kHeight = 240, kBottom = 30, kLeft = 50;

// A name, where each trial is along the axis (0 to 1; NaN: nowhere), and texts along it.
struct ParallelAxis {
  std::string name;
  std::vector<double> places;
  std::vector<std::pair<double, std::string>> ticks;
};

ParallelAxis ChoiceAxis(const ParameterSpace& space, size_t index,
                        absl::Span<const Trial* const> trials) {
  const SearchParameter& parameter = space[index];
  const bool words = parameter.kind == SearchParameter::Kind::kCategorical;
  const double low = words ? 0 : parameter.low;
  const double high = words ? static_cast<double>(parameter.choices.size()) - 1 : parameter.high;
  const auto place = [&](double value) {
    return parameter.log ? std::log(value / low) / std::log(high / low)
                         : (value - low) / (high - low);
  };
  ParallelAxis axis{parameter.name, {}, {}};
  for (const Trial* trial : trials) axis.places.push_back(place(trial->point[index]));
  std::vector<double> marked = {low, high};
  if (words) {
    marked.resize(parameter.choices.size());
    absl::c_iota(marked, 0.0);
  }
  for (const double value : marked) {
    axis.ticks.emplace_back(place(value), space.Describe(index, value));
  }
  return axis;
}

ParallelAxis ObjectiveAxis(const std::string& name, size_t index,
                           absl::Span<const Trial* const> trials) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Trial* trial : trials) {
    low = std::min(low, trial->values[index]);
    high = std::max(high, trial->values[index]);
  }
  ParallelAxis axis{name, {}, {}};
  const double range = high > low ? high - low : 1;
  for (const Trial* trial : trials) axis.places.push_back((trial->values[index] - low) / range);
  for (const double place : {0.0, 0.5, 1.0}) {
    if (place > 0 && high == low) break;
    axis.ticks.emplace_back(place, absl::StrFormat("%.4g", low + place * range));
  }
  return axis;
}

double X(size_t axis) { return kLeft + kAxisDistance * static_cast<double>(axis); }
double Y(double place) { return kTop + kHeight * (1 - place); }

void AppendAxis(const ParallelAxis& axis, size_t index, std::string* svg) {
  const double x = X(index);
  absl::StrAppendFormat(svg, "<path class=\"axis\" d=\"M%.1f %.1fV%.1f\"/>\n", x, kTop,
                        kTop + kHeight);
  absl::StrAppendFormat(svg, "<text transform=\"translate(%.1f %.1f) rotate(-25)\">%s</text>\n", x,
                        kTop - 12, EscapeHtml(axis.name));
  // Texts of many choices would lie on each other.
  const size_t every = 1 + axis.ticks.size() / 16;
  for (size_t i = 0; i < axis.ticks.size(); i += every) {
    absl::StrAppendFormat(svg, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", x + 4,
                          Y(axis.ticks[i].first) + 4, EscapeHtml(axis.ticks[i].second));
  }
}

std::string LineOf(const std::vector<ParallelAxis>& axes, size_t trial) {
  std::string way;
  bool draws = false;
  for (size_t i = 0; i < axes.size(); ++i) {
    const double place = axes[i].places[trial];
    if (std::isfinite(place)) {
      absl::StrAppendFormat(&way, "%s%.1f %.1f", draws ? "L" : "M", X(i), Y(place));
    }
    draws = std::isfinite(place);
  }
  return way;
}

std::string TrialText(const Trial& trial, const Objective& objective) {
  std::string text = absl::StrCat("trial ", trial.number);
  for (size_t i = 0; i < trial.values.size(); ++i) {
    absl::StrAppendFormat(&text, ", %s %.4g", objective.names()[i], trial.values[i]);
  }
  return text;
}

// With points at even distances, the last one among them, of curves that have many.
Picture Thinned(Picture picture) {
  for (Curve& curve : picture.curves) {
    const size_t every = 1 + curve.points.size() / kMostPoints;
    std::vector<std::pair<double, double>> kept;
    for (size_t i = curve.points.size(); i > 0; i -= std::min(i, every)) {
      kept.push_back(curve.points[i - 1]);
    }
    curve.points.assign(kept.rbegin(), kept.rend());
  }
  return picture;
}

std::vector<const Trial*> CompleteOf(absl::Span<const Trial* const> trials) {
  std::vector<const Trial*> complete;
  for (const Trial* trial : trials) {
    if (trial->state == TrialState::kComplete) complete.push_back(trial);
  }
  return complete;
}

// The best value so far of one of several objectives.
Picture BestOfObjective(absl::Span<const Trial* const> trials, const Objective& objective,
                        size_t index) {
  const bool maximize = objective.directions()[index] == Direction::kMaximize;
  Curve curve{objective.names()[index]};
  double best = std::nan("");
  for (const Trial* trial : trials) {
    const double value = trial->values[index];
    if (Violation(*trial) > 0) continue;
    if (std::isnan(best) || (maximize ? value > best : value < best)) best = value;
    curve.points.emplace_back(static_cast<double>(trial->number), best);
  }
  return {.title = absl::StrCat("best ", objective.names()[index], " so far"),
          .x_label = "trial",
          .y_label = objective.names()[index],
          .whole_x = true,
          .x_names = {},
          .curves = {std::move(curve)}};
}

}  // namespace

std::string ParallelCoordinates(absl::Span<const Trial* const> trials,
                                absl::Span<const Trial* const> front, const SearchSpace& space,
                                const Objective& objective) {
  const std::vector<const Trial*> complete = CompleteOf(trials);
  if (complete.empty()) return "";
  const ParameterSpace& parameters = space.parameters();
  std::vector<ParallelAxis> axes;
  for (size_t i = 0; i < parameters.dimensions(); ++i) {
    if (parameters[i].size() == uint64_t{1}) continue;
    axes.push_back(ChoiceAxis(parameters, i, complete));
  }
  for (size_t i = 0; i < objective.names().size(); ++i) {
    axes.push_back(ObjectiveAxis(objective.names()[i], i, complete));
  }
  const double width = X(axes.size() - 1) + kAxisDistance;
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" style=\"width:%.0fpx\" "
      "role=\"img\" aria-label=\"Trials on parallel axes\">\n",
      width, kTop + kHeight + kBottom, width);
  const std::set<const Trial*> best(front.begin(), front.end());
  const size_t every = 1 + complete.size() / kMostLines;
  std::string above;
  for (size_t i = 0; i < complete.size(); ++i) {
    const bool is_best = best.contains(complete[i]);
    if (!is_best && i % every != 0) continue;
    const std::string line = absl::StrFormat("<path%s d=\"%s\"><title>%s</title></path>\n",
                                             is_best ? " class=\"front\"" : "", LineOf(axes, i),
                                             EscapeHtml(TrialText(*complete[i], objective)));
    absl::StrAppend(is_best ? &above : &svg, line);
  }
  absl::StrAppend(&svg, above);
  for (size_t i = 0; i < axes.size(); ++i) AppendAxis(axes[i], i, &svg);
  return absl::StrCat(
      "<figure class=\"parallel\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" "
      "aria-label=\"Trials on parallel axes\">\n",
      svg, "</svg>\n</div><figcaption>A line a trial",
      every > 1 ? absl::StrCat(" (one in ", every, " of those not on the front)") : "",
      "; the front stands out.</figcaption></figure>\n");
}

std::string SearchSections(absl::Span<const Trial* const> trials,
                           absl::Span<const Trial* const> front, const SearchSpace& space,
                           const Objective& objective, const Table& importances, Plots& plots) {
  if (front.empty()) return "";
  std::string curves = plots.Add(Thinned(QualityPicture(trials, objective)), /*steps=*/false,
                                 "How good the search is after each trial");
  if (objective.names().size() > 1) {
    curves =
        absl::StrCat(plots.Add(Thinned(FrontPicture(trials, front, objective)), /*steps=*/false,
                               "All trials by the first two objectives, and the front"),
                     curves);
    for (size_t i = 0; i < objective.names().size(); ++i) {
      absl::StrAppend(&curves, plots.Add(Thinned(BestOfObjective(CompleteOf(trials), objective, i)),
                                         /*steps=*/false, "Of trials that keep the constraints"));
    }
  }
  return absl::StrCat(
      PageSection("best", "Best trials", TableHtml(BestTable(front, space, objective))),
      PageSection("search", "Front and quality over trials", PlotGrid(curves)),
      PageSection("parallel", "Trials on parallel axes",
                  ParallelCoordinates(trials, front, space, objective)),
      PageSection("importances", "What the choices matter to", TableHtml(importances)),
      PageSection(
          "trials", "All trials",
          trials.size() <= kMostLines ? TableHtml(TrialTable(trials, space, objective)) : ""));
}

}  // namespace mase
