// Pass plugin `compare_formats`: what many number formats cost a net, side by side.
//
// For each format the nodes of some ops of a copy of the graph get it in all operands, ranges
// fitted to each tensor; the copy is evaluated on the run's data, and its outputs are compared with
// those of the float net. Prints a table by bits with the Pareto front of accuracy over bits, and
// writes compare_formats/formats.csv and compare_formats/formats.svg. A format that the net cannot
// have is a row that says why. The graph stays as it is. Cost: two evaluations a format.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/format/family.h"
#include "mase/format/format_text.h"
#include "mase/graph/op_schema.h"
#include "mase/interop/svg_curves.h"
#include "mase/plugin/plugin.h"
#include "plugins/compare_formats/compare_formats_options.pb.h"
#include "plugins/compare_formats/measure.h"
#include "plugins/compare_formats/named_formats.h"

namespace mase::plugins::compare_formats {
namespace {

constexpr int64_t kSampleRows = 1024;  // For ranges and for the outputs' SQNR.
constexpr double kWidestPlotted = 16;  // Beyond that there is nothing to see.

struct Row {
  NamedFormat format;
  absl::StatusOr<Measurement> measured;
  bool on_front = false;
  bool is_best = false;
};

double Accuracy(const Row& row) { return row.measured->evaluation.accuracy; }

// Whether `a` leaves no reason to take `b`.
bool Beats(const Measurement& a, const Measurement& b) {
  const bool no_worse = a.bits() <= b.bits() && a.evaluation.accuracy >= b.evaluation.accuracy;
  return no_worse && (a.bits() < b.bits() || a.evaluation.accuracy > b.evaluation.accuracy);
}

// Widest first, then by accuracy; those that failed last.
void SortByBits(std::vector<Row>* rows) {
  std::stable_sort(rows->begin(), rows->end(), [](const Row& a, const Row& b) {
    if (!a.measured.ok() || !b.measured.ok()) return a.measured.ok() && !b.measured.ok();
    if (a.measured->bits() != b.measured->bits()) return a.measured->bits() > b.measured->bits();
    return Accuracy(a) > Accuracy(b);
  });
}

// The front is that of the formats; the first row, float32, stands outside.
void MarkBest(std::vector<Row>* rows) {
  Row* best = nullptr;
  for (Row& row : *rows) {
    if (!row.measured.ok()) continue;
    row.on_front = std::none_of(rows->begin(), rows->end(), [&](const Row& other) {
      return other.measured.ok() && Beats(*other.measured, *row.measured);
    });
    // Of equals the narrowest.
    if (best == nullptr || Accuracy(row) >= Accuracy(*best)) best = &row;
  }
  if (best != nullptr) best->is_best = true;
}

Table FormatTable(const std::string& title, const Measurement& base, const std::vector<Row>& rows) {
  Table table("formats", title,
              {{"name"},
               {"bits_weight"},
               {"bits_activation"},
               {"accuracy", "", 4},
               {.name = "change", .decimals = 4, .signs = true},
               {.name = "correct", .rank = 2},
               {.name = "samples", .rank = 2},
               {.name = "loss", .decimals = 4, .rank = 1},
               {"sqnr_db", "", 1},
               {"front"},
               {.name = "format", .rank = 3}});
  const auto add = [&](const std::string& name, const Measurement& m, const std::string& front,
                       const std::string& format) {
    const Evaluation& evaluation = m.evaluation;
    table.AddRow({name, m.weight_bits, m.activation_bits, evaluation.accuracy,
                  evaluation.accuracy - base.evaluation.accuracy, evaluation.correct,
                  evaluation.samples, evaluation.loss,
                  std::isnan(m.sqnr_db) ? Cell() : Cell(m.sqnr_db), front, format});
  };
  add("float32", base, "", "");
  for (const Row& row : rows) {
    if (!row.measured.ok()) continue;
    add(row.format.name, *row.measured,
        row.is_best    ? "best"
        : row.on_front ? "*"
                       : "",
        FormatText(row.format.format));
  }
  return table;
}

// What stands below the table.
std::string Remarks(const std::vector<Row>& rows) {
  std::string text = "*: no format has at most these bits and better accuracy\n";
  std::string refused;
  for (const Row& row : rows) {
    if (row.measured.ok()) continue;
    absl::StrAppend(&refused, row.format.name, ": ", std::string(row.measured.status().message()),
                    "\n");
  }
  if (!refused.empty()) absl::StrAppend(&text, "Not for this net:\n", refused);
  return text;
}

std::string Plot(const std::string& title, const std::vector<Row>& rows) {
  std::map<absl::string_view, Curve> kinds;
  Curve front = {.name = "best for its bits"};
  for (const Row& row : rows) {
    if (!row.measured.ok() || row.measured->bits() > kWidestPlotted) continue;
    const std::pair<double, double> point = {row.measured->bits(), Accuracy(row)};
    const absl::string_view kind = FormatKindName(KindOf(row.format.format));
    Curve& curve = kinds[kind];
    curve.name = std::string(kind);
    curve.look = Curve::Look::kDots;
    curve.points.push_back(point);
    // Of formats that are equal in both the first gives the point its name.
    if (!row.on_front || (!front.points.empty() && front.points.back() == point)) continue;
    front.points.push_back(point);
    front.labels.push_back(row.format.name);
  }
  std::vector<Curve> curves;
  for (auto& [kind, curve] : kinds) curves.push_back(std::move(curve));
  curves.push_back(std::move(front));
  return CurvesAsSvg({.title = title,
                      .x_label = "bits a value, mean of weights and activations",
                      .y_label = "accuracy",
                      .curves = std::move(curves)});
}

// For programs.
void Describe(const Measurement& base, const std::vector<Row>& rows, PassContext& context) {
  auto& fields = *context.result().mutable_fields();
  fields["float_accuracy"].set_number_value(base.evaluation.accuracy);
  auto& list = *fields["formats"].mutable_list_value();
  for (const Row& row : rows) {
    auto& entry = *list.add_values()->mutable_struct_value()->mutable_fields();
    entry["name"].set_string_value(row.format.name);
    entry["format"].set_string_value(FormatText(row.format.format));
    if (!row.measured.ok()) {
      entry["error"].set_string_value(std::string(row.measured.status().message()));
      continue;
    }
    entry["accuracy"].set_number_value(Accuracy(row));
    const auto set_finite = [&](const char* key, double value) {
      if (std::isfinite(value)) entry[key].set_number_value(value);
    };
    set_finite("loss", row.measured->evaluation.loss);
    set_finite("sqnr_db", row.measured->sqnr_db);
    entry["bits_weight"].set_number_value(row.measured->weight_bits);
    entry["bits_activation"].set_number_value(row.measured->activation_bits);
    entry["front"].set_bool_value(row.on_front);
    if (row.is_best) fields["best"].set_string_value(row.format.name);
  }
}

class CompareFormatsPass final : public Pass {
 public:
  using Options = CompareFormatsOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    auto pass = std::make_unique<CompareFormatsPass>();
    pass->formats_ = StandardFormats();
    if (!options.formats().empty()) pass->formats_.clear();
    for (const std::string& text : options.formats()) {
      MASE_ASSIGN_OR_RETURN(NamedFormat format, ParseNamed(text));
      pass->formats_.push_back(std::move(format));
    }
    pass->ops_.assign(options.ops().begin(), options.ops().end());
    for (const OpSchema* schema : AllOps()) {
      const bool sums = schema->Is(OpTrait::kOutputsFirst) || schema->Is(OpTrait::kProduct);
      if (options.ops().empty() && sums) pass->ops_.emplace_back(schema->name);
    }
    for (const std::string& op : pass->ops_) {
      MASE_ASSIGN_OR_RETURN(const OpSchema* schema, LookUpOp(op));
      if (!schema->quantizable) {
        return absl::InvalidArgumentError(absl::StrCat("op ", op, " cannot be quantized"));
      }
    }
    for (NamedFormat& format : pass->formats_) {
      format.format.set_semantics(options.semantics());
    }
    return pass;
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(SampleRows samples, context.Samples(kSampleRows));
    MASE_ASSIGN_OR_RETURN(const NetMeasurer net,
                          NetMeasurer::Create(graph, ops_, std::move(samples.inputs)));
    MASE_ASSIGN_OR_RETURN(const Measurement base, net.MeasureFloat(context));
    std::vector<Row> rows;
    for (const NamedFormat& format : formats_) {
      rows.push_back({format, net.Measure(format.format, context)});
      context.Count(rows.back().measured.ok() ? "formats_measured" : "formats_refused");
    }
    SortByBits(&rows);
    MarkBest(&rows);
    const std::string title = absl::StrFormat("%s, accuracy over bits (float32: %.4f)",
                                              graph.name(), base.evaluation.accuracy);
    const std::string how =
        absl::StrCat(net.node_count(), " nodes quantized, ranges from ", samples.caption);
    MASE_RETURN_IF_ERROR(context.AddTable(FormatTable(how, base, rows)));
    context.Print(Remarks(rows));
    MASE_RETURN_IF_ERROR(context.WriteArtifact("compare_formats/formats.svg", Plot(title, rows)));
    Describe(base, rows, context);
    return PassResult::Unchanged();
  }

 private:
  std::vector<NamedFormat> formats_;
  std::vector<std::string> ops_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<CompareFormatsPass>(
      "compare_formats", "Accuracy, error and bits of many number formats, side by side.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::compare_formats

MASE_DEFINE_PLUGIN("compare_formats", "1.0.0", mase::plugins::compare_formats::Register)
