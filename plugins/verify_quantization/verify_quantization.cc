// Pass plugin `verify_quantization`: the proof that a net computes with the values that its number
// formats promise.
//
//   seq_blocks_2.weight: integer 8/4, 80 values, all on the grid
//     -0.2631 -> -0.2500 (-4)   0.2186 -> 0.1875 (3)   ...
//
// Every operand that has a format is rounded as the executor rounds it: weights as they are,
// activations on rows of the run's data. Prints the first values with their codes, and a table of
// errors; writes verify_quantization/{operands,values}.csv. Fails if a weight is off its grid, that
// is, becomes a value that none of the format's codes stands for. Needs no pass before it: a stored
// net carries its formats. Cost: one run of the net on the rows, and two roundings of every
// operand.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/calibrate/rounding.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"
#include "mase/format/metrics.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"
#include "plugins/verify_quantization/verify_quantization_options.pb.h"

namespace mase::plugins::verify_quantization {
namespace {

constexpr int kValuesALine = 3;

// Codes of integers as the numbers they are; others as bits.
std::string CodeText(const Rounding& rounding, uint32_t code) {
  const int bits = rounding.code_bits;
  switch (rounding.code_kind) {
    case CodeKind::kBits:
      return absl::StrFormat("0x%0*x", (bits + 3) / 4, code);
    case CodeKind::kUnsigned:
      return absl::StrCat(code);
    case CodeKind::kTwosComplement:
      break;
  }
  const int64_t wrap = code >> (bits - 1) != 0 ? int64_t{1} << bits : 0;
  return absl::StrCat(int64_t{code} - wrap);
}

// What kept values from their grid, for weights that must not be off.
std::string Fault(const OperandRounding& operand, bool stored) {
  const Rounding& rounding = operand.rounding;
  if (!operand.is_stored) return "";
  if (rounding.on_grid == false) return rounding.off_grid;
  if (!stored || rounding.unchanged == rounding.values) return "";
  return absl::StrCat(rounding.values - rounding.unchanged, " of ", rounding.values,
                      " stored values are not rounded yet");
}

std::string OnGrid(const OperandRounding& operand, bool stored) {
  if (!Fault(operand, stored).empty()) return "NO";
  if (!operand.rounding.on_grid.has_value()) return "no codes";
  return *operand.rounding.on_grid ? "yes" : "NO";
}

Cell Share(const std::optional<double>& share) {
  return share.has_value() ? Cell(100 * *share) : Cell();
}

// "seq_blocks_2.weight: integer 8/4, 80 values" and its first values, three a line.
std::string FirstValues(const OperandRounding& operand) {
  std::string text =
      absl::StrCat(operand.node, ".", operand.tensor, ": ", FormatText(operand.format), ", ",
                   operand.rounding.values, " values\n");
  std::string line;
  for (size_t i = 0; i < operand.rounding.first.size(); ++i) {
    const RoundedValue& value = operand.rounding.first[i];
    std::string entry = absl::StrFormat("%.4f -> %.4f", value.original, value.quantized);
    if (value.code.has_value())
      absl::StrAppend(&entry, " (", CodeText(operand.rounding, *value.code), ")");
    absl::StrAppendFormat(&line, "%s%-24s", line.empty() ? "  " : " ", entry);
    if ((i + 1) % kValuesALine != 0 && i + 1 < operand.rounding.first.size()) continue;
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
    line.clear();
  }
  return text;
}

class VerifyQuantizationPass final : public Pass {
 public:
  using Options = VerifyQuantizationOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<VerifyQuantizationPass>(options);
  }

  explicit VerifyQuantizationPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    for (const std::string& name : options_.nodes()) {
      MASE_RETURN_IF_ERROR(graph.LookUpNode(name).status());
    }
    SampleRows samples;
    if (options_.rows() > 0) {
      absl::StatusOr<SampleRows> rows = context.Samples(options_.rows(), options_.split());
      if (rows.ok()) {
        samples = *std::move(rows);
      } else if (!absl::IsUnimplemented(rows.status())) {
        return rows.status();
      }
    }
    MASE_ASSIGN_OR_RETURN(std::vector<OperandRounding> all,
                          MeasureRounding(graph, samples.inputs, options_.show()));
    if (!options_.nodes().empty()) {
      all.erase(std::remove_if(all.begin(), all.end(),
                               [this](const OperandRounding& operand) {
                                 return !absl::c_linear_search(options_.nodes(), operand.node);
                               }),
                all.end());
    }
    if (all.empty()) {
      return absl::InvalidArgumentError(
          "no node has a number format: there is nothing to verify; run quantize before");
    }
    return Report(all, samples.inputs.empty() ? "no activations" : samples.caption, context);
  }

 private:
  absl::StatusOr<PassResult> Report(const std::vector<OperandRounding>& all,
                                    const std::string& caption, PassContext& context) const {
    Table operands("operands", absl::StrCat("Operands with a number format; ", caption),
                   {{"node"},
                    {"tensor"},
                    {.name = "format", .rank = 3},
                    {.name = "values", .rank = 4},
                    {"SQNR", "dB", 2},
                    {.name = "max error", .rank = 1},
                    {.name = "mean error", .rank = 5},
                    {.name = "saturated", .unit = "%", .decimals = 3, .rank = 1},
                    {.name = "zero", .unit = "%", .decimals = 2, .rank = 2},
                    {.name = "distinct", .rank = 2},
                    {"on grid"}});
    Table values("values", "First values of every operand",
                 {{"node"}, {"tensor"}, {"index"}, {"original"}, {"quantized"}, {"code"}});
    std::vector<std::string> faults;
    std::string shown;
    for (const OperandRounding& operand : all) {
      const Rounding& r = operand.rounding;
      operands.AddRow({operand.node, operand.tensor, FormatText(operand.format), r.values,
                       SqnrCell(r.error.sqnr_db), r.error.max, r.error.mean, Share(r.saturated),
                       Share(r.zero), r.distinct, OnGrid(operand, options_.stored())});
      for (size_t i = 0; i < r.first.size(); ++i) {
        const RoundedValue& value = r.first[i];
        values.AddRow(
            {operand.node, operand.tensor, i, value.original, value.quantized,
             value.code.has_value() ? Cell(CodeText(operand.rounding, *value.code)) : Cell()});
      }
      absl::StrAppend(&shown, r.first.empty() ? "" : FirstValues(operand));
      const std::string fault = Fault(operand, options_.stored());
      if (!fault.empty()) {
        faults.push_back(absl::StrCat(operand.node, ".", operand.tensor, ": ", fault));
      }
      context.Count(operand.is_stored ? "weights" : "activations");
    }
    context.Print(shown);
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(operands)));
    MASE_RETURN_IF_ERROR(context.WriteArtifact("verify_quantization/values.csv", values.Csv()));
    context.Count("off_grid", static_cast<double>(faults.size()));
    if (faults.empty()) return PassResult::Unchanged();
    return absl::AbortedError(absl::StrCat(
        faults.size(), " of the weights are off their grids:\n  ", absl::StrJoin(faults, "\n  ")));
  }

  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<VerifyQuantizationPass>(
      "verify_quantization",
      "What rounding makes of every operand; fails if a weight is off its grid.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::verify_quantization

MASE_DEFINE_PLUGIN("verify_quantization", "1.0.0", mase::plugins::verify_quantization::Register)
