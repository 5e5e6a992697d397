// Pass plugin `sensitivity`: which nodes it is whose number formats cost.
//
// For every node that has a format the net is measured twice on rows of the run's data: with that
// node alone quantized, and with all others. Figures are accuracy, loss (mean softmax
// cross-entropy) and the SQNR of the outputs against those of the float net. Writes
// sensitivity/nodes.csv. The graph stays as it is. Cost: 2 n + 2 runs of the net on the rows, for n
// nodes.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/calibrate/samples.h"
#include "mase/exec/evaluation.h"
#include "mase/exec/executor.h"
#include "mase/format/metrics.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"
#include "plugins/sensitivity/sensitivity_options.pb.h"

namespace mase::plugins::sensitivity {
namespace {

constexpr int64_t kBatch = 256;

struct Figures {
  std::optional<Evaluation> evaluation;  // Where the rows have labels.
  double sqnr_db = 0;
};

struct Row {
  const Node* node = nullptr;
  Figures alone, others;  // This node quantized; all but this one.
};

// Measures variants of a net on the same rows, against the outputs of the first.
class Meter {
 public:
  explicit Meter(SampleRows rows) : labels_(rows.labels), samples_{std::move(rows.inputs)} {
    const int64_t count = samples_.rows();
    samples_.batches = std::max<int64_t>(1, (count + kBatch - 1) / kBatch);
    has_labels_ = samples_.inputs.size() == 1 && labels_.elements() == count;
  }

  // `watch` is asked after each batch; an error ends the run with it.
  absl::StatusOr<Figures> Measure(const Graph& graph, bool quantized,
                                  absl::FunctionRef<absl::Status()> watch) {
    const bool first = wanted_.empty();
    ErrorSum sum;
    const auto compare = [&](int64_t offset, absl::Span<const float> outputs) {
      if (first) wanted_.insert(wanted_.end(), outputs.begin(), outputs.end());
      sum.Add(absl::MakeConstSpan(wanted_).subspan(offset, outputs.size()), outputs);
      return watch();
    };
    Figures figures;
    const ExecutorOptions options = {.execution =
                                         quantized ? Execution::kSimulated : Execution::kFloat};
    if (has_labels_) {
      MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, options));
      MASE_ASSIGN_OR_RETURN(figures.evaluation,
                            Evaluate(*executor, samples_.inputs.begin()->second, labels_, kBatch,
                                     [&](int64_t row, absl::Span<const float> outputs) {
                                       const int64_t classes = executor->output_shape()[1];
                                       return compare(row * classes, outputs);
                                     }));
    } else {
      int64_t seen = 0;
      MASE_RETURN_IF_ERROR(
          RunSamples(graph, samples_, options, [&](const Executor& executor, int64_t) {
            const int64_t offset = seen;
            seen += static_cast<int64_t>(executor.output().size());
            return compare(offset, executor.output());
          }));
    }
    figures.sqnr_db = sum.Total().sqnr_db;
    return figures;
  }

 private:
  Tensor labels_;
  SampleBatches samples_;
  bool has_labels_ = false;
  std::vector<float> wanted_;  // The outputs of the first net.
};

// Larger is more sensitive.
double Severity(const Row& row, SensitivityOptions::Sort sort) {
  const auto number = [](double x, double of_nan) { return std::isnan(x) ? of_nan : x; };
  switch (sort) {
    case SensitivityOptions::LOSS:
      if (row.alone.evaluation.has_value()) return number(row.alone.evaluation->loss, INFINITY);
      break;
    case SensitivityOptions::ACCURACY:
      if (row.alone.evaluation.has_value()) return -double{row.alone.evaluation->accuracy};
      break;
    case SensitivityOptions::SQNR_WITHOUT:
      return number(row.others.sqnr_db, -INFINITY);
    default:
      break;
  }
  return -number(row.alone.sqnr_db, -INFINITY);
}

Cell Accuracy(const Figures& figures) {
  return figures.evaluation.has_value() ? Cell(figures.evaluation->accuracy) : Cell();
}

Cell Loss(const Figures& figures) {
  if (!figures.evaluation.has_value()) return Cell();
  return std::isfinite(figures.evaluation->loss) ? Cell(figures.evaluation->loss) : Cell("nan");
}

class SensitivityPass final : public Pass {
 public:
  using Options = SensitivityOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<SensitivityPass>(options);
  }

  explicit SensitivityPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    std::vector<Row> rows;
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      if (node->quantization() != nullptr) rows.push_back({node});
    }
    if (rows.empty()) {
      return absl::InvalidArgumentError(
          "no node has a number format: there is nothing to be sensitive to; run quantize before");
    }
    MASE_ASSIGN_OR_RETURN(SampleRows samples, context.Samples(options_.rows(), options_.split()));
    const std::string caption = samples.caption;
    Meter meter(std::move(samples));
    const int64_t runs = 2 * static_cast<int64_t>(rows.size()) + 2;
    int64_t done = 0;
    const auto measure = [&](const Graph& net, bool quantized) -> absl::StatusOr<Figures> {
      const auto watch = [&] { return context.Progress(done, runs, "net"); };
      MASE_ASSIGN_OR_RETURN(const Figures figures, meter.Measure(net, quantized, watch));
      MASE_RETURN_IF_ERROR(context.Progress(++done, runs, "net"));
      return figures;
    };
    MASE_ASSIGN_OR_RETURN(const Figures in_float, measure(graph, false));
    MASE_ASSIGN_OR_RETURN(const Figures all, measure(graph, true));
    for (Row& row : rows) {
      Graph alone = graph.Clone(), others = graph.Clone();
      for (const Row& other : rows) {
        Graph& without = other.node == row.node ? others : alone;
        without.ClearQuantization(without.FindNode(other.node->name()));
      }
      absl::StatusOr<Figures> figures = measure(alone, true);
      if (!figures.ok()) return Annotate(figures.status(), row.node->name());
      row.alone = *figures;
      figures = measure(others, true);
      if (!figures.ok()) return Annotate(figures.status(), row.node->name());
      row.others = *figures;
    }
    absl::c_stable_sort(rows, [this](const Row& a, const Row& b) {
      return Severity(a, options_.sort()) > Severity(b, options_.sort());
    });
    return Report(rows, in_float, all, caption, context);
  }

 private:
  static absl::StatusOr<PassResult> Report(const std::vector<Row>& rows, const Figures& in_float,
                                           const Figures& all, const std::string& caption,
                                           PassContext& context) {
    Table table("nodes", absl::StrCat("Each node quantized alone, and all but it, on ", caption),
                {{"node"},
                 {.name = "op", .rank = 3},
                 {"alone: accuracy", "", 4},
                 {.name = "alone: loss", .decimals = 4, .rank = 1},
                 {"alone: SQNR", "dB", 2},
                 {"all but: accuracy", "", 4},
                 {.name = "all but: loss", .decimals = 4, .rank = 1},
                 {"all but: SQNR", "dB", 2}});
    for (const Row& row : rows) {
      table.AddRow({row.node->name(), std::string(row.node->mase_op()), Accuracy(row.alone),
                    Loss(row.alone), SqnrCell(row.alone.sqnr_db), Accuracy(row.others),
                    Loss(row.others), SqnrCell(row.others.sqnr_db)});
      context.Count("nodes");
    }
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(table)));
    auto& fields = *context.result().mutable_fields();
    const auto set = [&](const char* key, double value) {
      if (std::isfinite(value)) fields[key].set_number_value(value);
    };
    std::string line = absl::StrFormat("All quantized: SQNR %.2f dB", all.sqnr_db);
    set("sqnr_db", all.sqnr_db);
    if (all.evaluation.has_value()) {
      absl::StrAppendFormat(&line, ", accuracy %.4f, loss %.4f; float: %.4f, %.4f",
                            all.evaluation->accuracy, all.evaluation->loss,
                            in_float.evaluation->accuracy, in_float.evaluation->loss);
      set("accuracy", all.evaluation->accuracy);
      set("loss", all.evaluation->loss);
      set("float_accuracy", in_float.evaluation->accuracy);
      set("float_loss", in_float.evaluation->loss);
    }
    context.Print(line);
    return PassResult::Unchanged();
  }

  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<SensitivityPass>(
      "sensitivity", "What each node's number formats cost: quantized alone, and all but it.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::sensitivity

MASE_DEFINE_PLUGIN("sensitivity", "1.0.0", mase::plugins::sensitivity::Register)
