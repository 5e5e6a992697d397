// Pass plugin `calibrate`: sets the scales of quantized operands by what they hold.
//
//   before: data_in integer 8/4, weight integer 8/4      after: data_in integer 8/5, weight integer
//   8/7
//
// Runs after `quantize`, whose records say which operands have which format. The float network runs
// on samples of the run's data; each format's free parameter (mase/calibrate/fit.h) then follows
// from the operand's values by a method (mase/calibrate/calibrator.h). Formats without such a
// parameter, and nodes without a record, stay as they are. Prints the figures of each method that
// ran, and of the formats as given; writes calibrate/comparison.csv and, for the formats that were
// kept, calibrate/operands.csv. Cost: a run of the net on the samples, and for each method another
// one, an evaluation, and about 80 quantizations of each operand's values.
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/calibrate/calibrator.h"
#include "mase/calibrate/fit.h"
#include "mase/calibrate/operands.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"
#include "mase/format/metrics.h"
#include "mase/graph/graph.h"
#include "mase/pass/common_metadata.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/operands.h"
#include "plugins/calibrate/calibrate_options.pb.h"

namespace mase::plugins::calibrate {
namespace {

constexpr char kGiven[] = "as given";

// What becomes of one operand.
struct Choice {
  std::string decision;               // "calibrated", "estimated", "left", "float"
  std::optional<FormatProto> format;  // Without: the operand is taken out of the record.
  OperandError error;                 // For calibrated ones, and the same ones as given.
};

// All operands by one method, and what that does to the net.
struct Outcome {
  std::string name;
  std::vector<Choice> choices;  // As FloatRun::operands.
  double mean_sqnr_db = 0;      // Of the calibrated operands.
  std::optional<double> output_sqnr_db, accuracy;
};

// "integer 8/4", "affine 8, scale 0.05, zero point 3", "affine 8, 64 scales".
std::string Describe(const FormatProto& proto) {
  const Family& family = *FindFamily(proto);
  std::string text = absl::StrCat(family.name, " ", absl::StrJoin(PrecisionOf(proto), "/"));
  if (!proto.has_affine()) return text;
  const AffineFormat& affine = proto.affine();
  if (affine.scale_size() > 1) return absl::StrCat(text, ", ", affine.scale_size(), " scales");
  absl::StrAppend(&text, ", scale ", affine.scale(0));
  if (affine.zero_point_size() > 0) absl::StrAppend(&text, ", zero point ", affine.zero_point(0));
  return text;
}

// One run of the pass.
class Calibration {
 public:
  using Options = CalibrateOptions;

  explicit Calibration(const Options& options) : options_(options) {
    const std::string& name = Options::Method_Name(options.method());
    for (const CalibrationMethod method : AllCalibrationMethods()) {
      const bool chosen = absl::EqualsIgnoreCase(name, CalibrationMethodName(method));
      if (chosen || options.method() == Options::COMPARE) methods_.push_back(method);
    }
    calibrator_.percentile = options.percentile();
    calibrator_.fit.symmetric = options.symmetric();
    calibrator_.fit.float_scale = options.scale() == Options::FLOAT;
    samples_.batches = options.batches();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) {
    MASE_ASSIGN_OR_RETURN(const std::string caption, TakeSamples(context));
    MASE_ASSIGN_OR_RETURN(float_run_, RunFloat(graph, samples_, options_.momentum()));
    if (float_run_.operands.empty()) {
      return absl::InvalidArgumentError(
          "no node has a number format; run quantize before calibrate");
    }
    std::vector<Outcome> outcomes;
    for (const CalibrationMethod method : methods_) {
      Outcome outcome{.name = std::string(CalibrationMethodName(method))};
      for (const OperandValues& operand : float_run_.operands) {
        MASE_ASSIGN_OR_RETURN(outcome.choices.emplace_back(), Choose(graph, operand, method));
      }
      outcomes.push_back(std::move(outcome));
    }
    MASE_ASSIGN_OR_RETURN(Outcome given, AsGiven(outcomes[0]));
    if (given.choices.empty()) return LeaveAlone(graph, context);
    outcomes.insert(outcomes.begin(), std::move(given));
    for (Outcome& outcome : outcomes) {
      MASE_RETURN_IF_ERROR(MeasureNet(graph, context, &outcome));
    }
    const size_t best = BestOf(outcomes);
    MASE_RETURN_IF_ERROR(Report(caption, outcomes, best, context));
    MASE_RETURN_IF_ERROR(Apply(outcomes[best], graph));
    return Note(outcomes[best], graph, context);
  }

 private:
  // Fills in samples_ and returns what they are. A program without data has none.
  absl::StatusOr<std::string> TakeSamples(PassContext& context) {
    absl::StatusOr<SampleRows> rows = context.Samples(options_.rows());
    if (absl::IsUnimplemented(rows.status())) return "no data";
    MASE_RETURN_IF_ERROR(rows.status());
    samples_.inputs = std::move(rows->inputs);
    samples_.watch = [&context](int64_t done, int64_t all) {
      return context.Progress(done, all, "row");
    };
    return std::move(rows->caption);
  }

  absl::StatusOr<Choice> Choose(const Graph& graph, const OperandValues& operand,
                                CalibrationMethod method) const {
    if (!CanFit(operand.format)) return Choice{.decision = "left", .format = operand.format};
    if (operand.observer.empty()) return ChooseMissing(graph, operand);
    MASE_ASSIGN_OR_RETURN(const FormatProto format,
                          CalibrateOperand(operand, method, calibrator_, BlocksOf(operand)));
    MASE_ASSIGN_OR_RETURN(const OperandError error, MeasureOperand(operand, format));
    return Choice{"calibrated", format, error};
  }

  absl::StatusOr<Choice> ChooseMissing(const Graph& graph, const OperandValues& operand) const {
    const absl::string_view seen = operand.observer.count() == 0 ? "nothing" : "only zeros";
    if (options_.on_missing() == Options::OnMissing::FLOAT) return Choice{.decision = "float"};
    if (options_.on_missing() != Options::OnMissing::ESTIMATE) {
      return absl::InvalidArgumentError(absl::StrCat(
          operand.node, " (", operand.op, "): ", operand.operand, ": calibration saw ", seen,
          "; on_missing = \"FLOAT\" leaves it float, \"ESTIMATE\" assumes a range"));
    }
    const double end = EstimatedEnd(graph, operand);
    MASE_ASSIGN_OR_RETURN(const FormatProto format,
                          FitToRange(operand.format, {-end, end}, calibrator_.fit));
    return Choice{"estimated", format};
  }

  static bool HasOutputsFirst(const OperandValues& operand) {
    return FindOp(operand.op)->Is(OpTrait::kOutputsFirst);
  }

  // See on_missing in calibrate_options.proto.
  static double EstimatedEnd(const Graph& graph, const OperandValues& operand) {
    if (operand.tensors.empty()) return 4;
    const std::string* weight = graph.FindNode(operand.node)->FindParameter(operands::kWeight);
    if (!HasOutputsFirst(operand) || weight == nullptr) return 1;
    const Shape& shape = graph.FindTensor(*weight)->value.shape();
    const double inputs =
        static_cast<double>(shape.elements()) / static_cast<double>(std::max<int64_t>(shape[0], 1));
    return 1 / std::sqrt(std::max(inputs, 1.0));
  }

  std::vector<int64_t> BlocksOf(const OperandValues& operand) const {
    const bool weight = HasOutputsFirst(operand) && operand.operand == operands::kWeight;
    if (options_.granularity() == Options::TENSOR) return {};
    if (!weight || !IsFixedPoint(operand.format)) return {};
    std::vector<int64_t> blocks(operand.tensors[0].shape().rank(), -1);
    blocks[0] = 1;
    if (options_.granularity() == Options::GROUP) blocks[1] = options_.group_size();
    return blocks;
  }

  // The calibrated operands with their formats as given; no choices if there is none.
  absl::StatusOr<Outcome> AsGiven(const Outcome& outcome) const {
    Outcome given{.name = kGiven};
    bool any = false;
    for (size_t i = 0; i < outcome.choices.size(); ++i) {
      const OperandValues& operand = float_run_.operands[i];
      Choice choice = {.decision = outcome.choices[i].decision, .format = operand.format};
      any |= choice.decision != "left";
      if (choice.decision == "calibrated") {
        MASE_ASSIGN_OR_RETURN(choice.error, MeasureOperand(operand, operand.format));
      }
      given.choices.push_back(std::move(choice));
    }
    if (!any) given.choices.clear();
    return given;
  }

  absl::StatusOr<PassResult> LeaveAlone(const Graph& graph, PassContext& context) const {
    for (const OperandValues& operand : float_run_.operands) {
      const Family& family = *FindFamily(operand.format);
      context.Note(*graph.FindNode(operand.node), "left",
                   absl::StrCat(family.name, " has no parameter to calibrate"));
    }
    return PassResult::Unchanged();
  }

  absl::Status MeasureNet(const Graph& graph, PassContext& context, Outcome* outcome) const {
    int calibrated = 0;
    for (const Choice& choice : outcome->choices) {
      if (choice.decision != "calibrated") continue;
      outcome->mean_sqnr_db += choice.error.sqnr_db;
      ++calibrated;
    }
    if (calibrated > 0) outcome->mean_sqnr_db /= calibrated;
    Graph candidate = graph.Clone();
    MASE_RETURN_IF_ERROR(Apply(*outcome, candidate));
    MASE_ASSIGN_OR_RETURN(const std::vector<float> outputs, RunQuantized(candidate, samples_));
    if (!outputs.empty()) {
      const double sqnr = MeasureQuantizationError(float_run_.outputs, outputs).sqnr_db;
      outcome->output_sqnr_db = std::isnan(sqnr) ? 0 : std::min(sqnr, kMaxSqnrDb);
    }
    const absl::StatusOr<Evaluation> evaluation = context.Evaluate(candidate);
    if (evaluation.ok()) {
      outcome->accuracy = evaluation->accuracy;
    } else if (!absl::IsUnimplemented(evaluation.status())) {
      return evaluation.status();
    }
    return absl::OkStatus();
  }

  // The calibrator with the smallest error of the outputs; without outputs, of the operands.
  static size_t BestOf(const std::vector<Outcome>& outcomes) {
    size_t best = 1;
    const auto figure = [&](size_t i) {
      return outcomes[i].output_sqnr_db.value_or(outcomes[i].mean_sqnr_db);
    };
    for (size_t i = 2; i < outcomes.size(); ++i) {
      if (figure(i) > figure(best)) best = i;
    }
    return best;
  }

  absl::Status Report(const std::string& caption, const std::vector<Outcome>& outcomes, size_t best,
                      PassContext& context) const {
    const std::string title = absl::StrCat("Calibration on ", caption);
    Table methods("comparison", absl::StrCat(title, ", by method"),
                  {{"calibration"},
                   {"operand_sqnr", "dB", 2},
                   {"output_sqnr", "dB", 2},
                   {"accuracy", "", 6},
                   {"kept"}});
    const auto figure = [](const std::optional<double>& value) {
      return value.has_value() ? Cell(*value) : Cell();
    };
    for (size_t i = 0; i < outcomes.size(); ++i) {
      methods.AddRow({outcomes[i].name, figure(outcomes[i].mean_sqnr_db),
                      figure(outcomes[i].output_sqnr_db), figure(outcomes[i].accuracy), i == best});
    }
    MASE_RETURN_IF_ERROR(context.AddTable(OperandTable(title, outcomes[0], outcomes[best])));
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(methods)));
    // Only a difference that the table shows is worth a warning.
    if (outcomes[0].output_sqnr_db.value_or(0) - outcomes[best].output_sqnr_db.value_or(0) >=
        0.01) {
      context.Warn(absl::StrFormat(
          "the formats as given are nearer to the float net: output SQNR %.2f dB, %s %.2f dB",
          *outcomes[0].output_sqnr_db, outcomes[best].name, *outcomes[best].output_sqnr_db));
    }
    return absl::OkStatus();
  }

  // People see `from` and `to`; programs have the whole formats.
  Table OperandTable(const std::string& title, const Outcome& given, const Outcome& kept) const {
    Table table("operands", title,
                {{"node"},
                 {.name = "op", .rank = 3},
                 {"operand"},
                 {"from"},
                 {"to"},
                 {.name = "given_sqnr_db", .decimals = 2, .rank = 1},
                 {.name = "sqnr_db", .decimals = 2},
                 {.name = "given_saturated", .decimals = 5, .rank = 2},
                 {.name = "saturated", .decimals = 5, .rank = 1},
                 {.name = "decision", .rank = 2},
                 {.name = "method", .rank = 4},
                 {.name = "values", .rank = 4},
                 {.name = "min", .rank = 4},
                 {.name = "max", .rank = 4},
                 {.name = "given", .rank = 5},
                 {.name = "calibrated", .rank = 5}});
    for (size_t i = 0; i < kept.choices.size(); ++i) {
      const Choice &before = given.choices[i], &after = kept.choices[i];
      const OperandValues& operand = float_run_.operands[i];
      const bool measured = after.decision == "calibrated";
      const bool changed = measured || after.decision == "estimated";
      const auto figure = [measured](double value) { return measured ? Cell(value) : Cell(); };
      table.AddRow({operand.node, operand.op, operand.operand, Describe(operand.format),
                    changed ? Describe(*after.format) : "as given", figure(before.error.sqnr_db),
                    figure(after.error.sqnr_db), figure(before.error.saturated),
                    figure(after.error.saturated), after.decision, kept.name,
                    operand.observer.count(), operand.observer.range().lo,
                    operand.observer.range().hi, FormatText(operand.format),
                    after.format.has_value() ? FormatText(*after.format) : ""});
    }
    return table;
  }

  // Gives the nodes of `graph` the outcome's formats.
  absl::Status Apply(const Outcome& outcome, Graph& graph) const {
    absl::btree_map<std::string, Quantization> records;
    for (size_t i = 0; i < outcome.choices.size(); ++i) {
      const OperandValues& operand = float_run_.operands[i];
      auto [entry, is_new] = records.try_emplace(operand.node);
      Quantization& record = entry->second;
      if (is_new) {
        record = *graph.FindNode(operand.node)->quantization();
        record.clear_operand();
      }
      if (!outcome.choices[i].format.has_value()) continue;
      OperandFormat& added = *record.add_operand();
      added.set_operand(operand.operand);
      *added.mutable_format() = *outcome.choices[i].format;
    }
    for (auto& [name, record] : records) {
      Node* node = graph.FindNode(name);
      if (record.operand().empty()) {
        graph.ClearQuantization(node);
      } else {
        graph.SetQuantization(node, std::move(record));
      }
      MASE_RETURN_IF_ERROR(UpdatePrecision(*node));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<PassResult> Note(const Outcome& kept, const Graph& graph,
                                  PassContext& context) const {
    std::vector<std::string> texts;
    for (size_t i = 0; i < kept.choices.size(); ++i) {
      const OperandValues& operand = float_run_.operands[i];
      const Choice& choice = kept.choices[i];
      context.Count(absl::StrCat("operands_", choice.decision));
      std::string text = choice.decision;
      if (choice.format.has_value()) {
        text = Describe(*choice.format);
      }
      texts.push_back(absl::StrCat(operand.operand, " ", text));
      const bool last =
          i + 1 == kept.choices.size() || float_run_.operands[i + 1].node != operand.node;
      if (!last) continue;
      context.Note(*graph.FindNode(operand.node), "calibrated", absl::StrJoin(texts, ", "),
                   "method");
      texts.clear();
    }
    return PassResult::Changed();
  }

  const Options& options_;
  std::vector<CalibrationMethod> methods_;
  CalibratorOptions calibrator_;
  SampleBatches samples_;
  FloatRun float_run_;
};

class CalibratePass final : public Pass {
 public:
  using Options = CalibrateOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<CalibratePass>(options);
  }

  explicit CalibratePass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    return Calibration(options_).Run(graph, context);
  }

 private:
  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<CalibratePass>(
      "calibrate", "Sets the scales of quantized operands by data.", {.keeps_notes = true});
}

}  // namespace
}  // namespace mase::plugins::calibrate

MASE_DEFINE_PLUGIN("calibrate", "1.0.0", mase::plugins::calibrate::Register)
