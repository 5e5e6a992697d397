#include "mase/run/execution.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mase/base/error_list.h"
#include "mase/base/progress.h"
#include "mase/base/recorded.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/base/table_text.h"
#include "mase/data/dataset.h"
#include "mase/exec/run_net.h"
#include "mase/format/format_text.h"
#include "mase/format/shared_format.h"
#include "mase/quantize/operands.h"
#include "mase/run/execution_tables.h"

namespace mase {
namespace {

// Of what is measured: enough calls for a 99th percentile, in bounded time.
constexpr int kMostCalls = 1000, kLeastCalls = 20;
constexpr absl::Duration kTimeForCalls = absl::Milliseconds(400);

Execution ExecutionOf(const RunConfig& config) {
  for (const Execution way : {Execution::kFloat, Execution::kInteger}) {
    if (config.evaluation().execution() == ExecutionName(way)) return way;
  }
  return Execution::kSimulated;
}

// A kernel, or, without time, a layer of one.
void TellStep(const StepExecution& step, double all_seconds, bool is_part, RunReport* run) {
  StepReport* report = run->add_execution();
  report->set_node(step.nodes.size() > 1
                       ? absl::StrCat(step.nodes.front(), " to ", step.nodes.back())
                       : step.label);
  for (const std::string& node : step.nodes) report->add_nodes(node);
  report->set_kernel(absl::StrCat(is_part ? kPartOfChain : "", step.kernel));
  report->set_implementation(step.implementation);
  report->set_isa(step.isa);
  for (const DType dtype : step.operands) report->add_operands(std::string(DTypeName(dtype)));
  report->set_result(std::string(DTypeName(step.result)));
  if (step.bias.has_value()) report->set_bias(std::string(DTypeName(*step.bias)));
  report->set_macs(static_cast<uint64_t>(step.macs));
  if (!is_part) {
    report->set_microseconds(step.seconds * 1e6);
    report->set_share(all_seconds > 0 ? step.seconds / all_seconds : 0);
    if (step.macs > 0) {
      const bool known = step.seconds > 0;
      report->set_macs_per_second(known ? static_cast<double>(step.macs) / step.seconds : 0);
    }
  }
  if (step.sum_bits > 0) report->set_accumulator_bits(static_cast<uint32_t>(step.sum_bits));
}

// The steps in their order, each with the layers that it is, where it is a chain.
void TellSteps(ExecutionReport ran, bool shows, Session& session) {
  double all = 0;
  for (StepExecution& step : ran.steps) step.seconds = IsReproducible() ? 0 : step.seconds;
  for (const StepExecution& step : ran.steps) all += step.seconds;
  session.report.clear_execution();
  for (const StepExecution& step : ran.steps) {
    TellStep(step, all, /*is_part=*/false, &session.report);
    for (const StepExecution& part : step.parts) {
      TellStep(part, all, /*is_part=*/true, &session.report);
    }
  }
  if (shows) session.reporter().Show(ExecutionTable(session.report), "");
}

// Why the node did not run on codes; empty where it did.
std::string ReasonOf(const NodeExecution& node, Execution asked) {
  if (asked == Execution::kInteger) return node.reason;
  return absl::StrCat("--execution=", ExecutionName(asked),
                      "; codes run with --execution=", ExecutionName(Execution::kInteger));
}

void TellNodes(const ExecutionReport& ran, Execution asked, bool shows, Session& session) {
  session.report.clear_nodes();
  for (const NodeExecution& node : ran.nodes) {
    NodeReport* report = session.report.add_nodes();
    report->set_node(node.node);
    report->set_op(node.op);
    report->set_execution(ExecutionName(node.way));
    report->set_has_record(node.has_record);
    report->set_reason(ReasonOf(node, asked));
    if (node.way == Execution::kInteger) report->set_exact(node.exact);
  }
  if (!shows) return;
  if (const Table table = NodesNotOnCodes(session.report);
      asked == Execution::kInteger && table.num_rows() > 0) {
    session.reporter().Show(table, "");
  }
  session.reporter().Print(absl::StrCat(NodesVerdict(session.report), "\n"));
}

Tensor FirstRows(const Tensor& features, int64_t rows) {
  return features.Rows(0, std::min(rows, features.shape()[0]));
}

absl::Status RunOnce(Executor& executor, const Tensor& batch) {
  return executor.Forward(ExecutionMode::kInference, batch.shape()[0],
                          {InputData(batch.data<float>().data())});
}

// The format that the net's one result is rounded to, or null: by the last node, or before it,
// where that only renames its input or cuts it at zero.
const FormatProto* ResultFormat(const Graph& graph) {
  const Node* node = graph.output()->inputs()[0]->producer();
  while (true) {
    if (const FormatProto* format = FindFormat(*node, operands::kDataOut)) return format;
    const bool keeps = node->Is(OpTrait::kCutsNegatives) || node->Is(OpTrait::kRenames) ||
                       node->Is(OpTrait::kRenamesAtRest);
    if (!keeps) return nullptr;
    if (const FormatProto* format = FindFormat(*node, operands::kDataIn)) return format;
    node = node->inputs()[0]->producer();
  }
}

// A step of that format; where there is none, or it has no steps of one size, the last place of
// results of magnitude `largest`.
struct ResultStep {
  double size;
  std::string of;
};
absl::StatusOr<ResultStep> FindResultStep(const Graph& graph, double largest) {
  if (const FormatProto* format = ResultFormat(graph); format != nullptr) {
    MASE_ASSIGN_OR_RETURN(const auto made, SharedFormat(*format));
    if (made->step() > 0) return ResultStep{made->step(), FormatText(*format)};
  }
  // Of nothing but zeros there is none.
  const float number =
      largest > 0 ? static_cast<float>(largest) : std::numeric_limits<float>::infinity();
  const float next = std::nextafter(number, std::numeric_limits<float>::infinity());
  return ResultStep{static_cast<double>(next) - static_cast<double>(number),
                    std::string(DTypeName(DType::kFloat32))};
}

// Infinite where one alone is NaN, or infinite.
double Distance(float a, float b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double distance = std::abs(static_cast<double>(a) - static_cast<double>(b));
  return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance;
}

// Tells how far integers are from the simulation on all rows: where steps are no powers of two,
// they are not equal to the bit.
absl::Status TellDifferences(ExecutorOptions options, int64_t batch_size, const Graph& graph,
                             const Tensor& features, Session& session) {
  MASE_ASSIGN_OR_RETURN(const auto integer, Executor::Create(graph, options));
  options.execution = Execution::kSimulated;
  MASE_ASSIGN_OR_RETURN(const auto simulated, Executor::Create(graph, options));
  double size = 0, largest = 0;  // Of results, and of their differences.
  uint64_t decisions = 0;
  const int64_t all = features.shape()[0];
  Progress progress("comparing", all, "row", session.reporter().progress());
  const auto compare = [&](int64_t first, int64_t rows) -> absl::Status {
    progress.Update(first);
    MASE_RETURN_IF_ERROR(RunOnce(*integer, features.Rows(first, first + rows)));
    const absl::Span<const float> a = integer->output(), b = simulated->output();
    for (size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, Distance(a[i], b[i]));
      size = std::max(size, std::abs(static_cast<double>(b[i])));
    }
    const size_t width = a.size() / static_cast<size_t>(rows);
    const auto decision = [&](absl::Span<const float> results, int64_t row) {
      const auto begin = results.begin() + row * static_cast<int64_t>(width);
      return std::max_element(begin, begin + static_cast<int64_t>(width)) - begin;
    };
    for (int64_t r = 0; r < rows; ++r) decisions += decision(a, r) != decision(b, r);
    return absl::OkStatus();
  };
  MASE_RETURN_IF_ERROR(
      RunNet<float>(*simulated, {features}, RowBatches::OfSize(all, batch_size), compare));
  MASE_ASSIGN_OR_RETURN(const ResultStep step, FindResultStep(graph, size));
  DifferenceReport& difference = *session.report.mutable_difference();
  difference.set_rows(static_cast<uint64_t>(all));
  difference.set_largest_result(size);
  difference.set_largest_difference(largest);
  difference.set_step_of(step.of);
  if (std::isfinite(step.size)) {
    difference.set_step(step.size);
    difference.set_steps(largest / step.size);
  }
  difference.set_decisions(decisions);
  session.reporter().Print(table_text::Paragraph(DifferenceVerdict(session.report)));
  return absl::OkStatus();
}

// As often as a median of times wants.
absl::Status CallOften(Executor& executor, const Tensor& batch, Session& session) {
  Progress progress("timing kernels", kLeastCalls, "call", session.reporter().progress());
  for (int call = 0; call < kLeastCalls; ++call) {
    progress.Update(call);
    MASE_RETURN_IF_ERROR(RunOnce(executor, batch));
  }
  return absl::OkStatus();
}

// Says whether the nodes meet --require_int8; if not, which do not, and why.
absl::Status CheckRequirement(const std::string& required, const RunReport& report,
                              Reporter& reporter) {
  const bool all = required == "all";
  const std::string flag = absl::StrCat("--require_int8", all ? "=all" : "");
  const char* which = all ? " nodes from the first with a record on" : " nodes with a record";
  ErrorList broken;
  bool rounded = false;  // Something was.
  int counted = 0, integers = 0;
  for (const NodeReport& node : report.nodes()) {
    rounded |= node.has_record();
    if (!(all ? rounded : node.has_record())) continue;
    ++counted;
    if (node.execution() == ExecutionName(Execution::kInteger)) {
      ++integers;
      continue;
    }
    broken.Add(
        absl::AbortedError(absl::StrCat(node.node(), " (", node.op(), ") ran ", node.execution(),
                                        node.reason().empty() ? "" : ": ", node.reason())));
  }
  if (!rounded) {
    return absl::AbortedError(
        absl::StrCat(flag, " is not met: no node has a record; quantize the net first"));
  }
  if (broken.empty()) {
    reporter.Print(absl::StrCat(flag, " is met: ", integers, " of ", counted, which,
                                " ran on integer codes.\n"));
    return absl::OkStatus();
  }
  return absl::AbortedError(absl::StrCat(flag, " is not met: ", counted - integers, " of ", counted,
                                         which, " did not run on integer codes:\n",
                                         broken.Combined().message()));
}

constexpr Execution kWays[] = {Execution::kFloat, Execution::kSimulated, Execution::kInteger};
constexpr size_t kWayCount = std::size(kWays);

// Seconds of calls in each way, in turns, so that none has the machine to itself. `called(way)`
// is told of each call before it is made; of those that were made to warm up, too.
absl::StatusOr<std::vector<std::vector<double>>> TimeCalls(
    const std::vector<std::unique_ptr<Executor>>& executors, const Tensor& batch,
    absl::FunctionRef<void(size_t way)> called) {
  std::vector<std::vector<double>> seconds(kWayCount);
  for (size_t i = 0; i < kWayCount; ++i) {
    called(i);
    MASE_RETURN_IF_ERROR(RunOnce(*executors[i], batch));
  }
  const absl::Time end = absl::Now() + kTimeForCalls * kWayCount;
  for (int call = 0; call < kMostCalls && (call < kLeastCalls || absl::Now() < end); ++call) {
    for (size_t i = 0; i < kWayCount; ++i) {
      called(i);
      const absl::Time begun = absl::Now();
      MASE_RETURN_IF_ERROR(RunOnce(*executors[i], batch));
      seconds[i].push_back(absl::ToDoubleSeconds(absl::Now() - begun));
    }
  }
  for (std::vector<double>& each : seconds) std::sort(each.begin(), each.end());
  return seconds;
}

absl::Status Benchmark(ExecutorOptions options, int64_t batch_size, const Graph& graph,
                       const Tensor& features, Session& session) {
  const bool bfloat16 = options.bfloat16;
  std::vector<std::unique_ptr<Executor>> executors;
  for (const Execution way : kWays) {
    options.execution = way;
    options.bfloat16 = bfloat16 && way != Execution::kInteger;
    MASE_ASSIGN_OR_RETURN(executors.emplace_back(), Executor::Create(graph, options));
  }
  session.report.clear_timings();
  const int64_t most = std::min(batch_size, features.shape()[0]);
  for (const int64_t rows : {int64_t{1}, most}) {
    const Tensor batch = FirstRows(features, rows);
    // Fast nets are called more often than that, but are done before a line is drawn.
    constexpr int64_t kCalls = (1 + kLeastCalls) * kWayCount;
    Progress progress(absl::StrCat("timing ", RowsText(rows)), kCalls, "call",
                      session.reporter().progress());
    int64_t calls = 0;
    const auto show = [&](size_t way) {
      progress.Update(std::min(calls++, kCalls), [way] { return ExecutionName(kWays[way]); });
    };
    MASE_ASSIGN_OR_RETURN(const auto seconds, TimeCalls(executors, batch, show));
    for (size_t i = 0; i < kWayCount; ++i) {
      const std::vector<double>& sorted = seconds[i];
      const double median = sorted[sorted.size() / 2];
      TimingReport* report = session.report.add_timings();
      report->set_execution(ExecutionName(kWays[i]));
      report->set_rows(static_cast<uint32_t>(rows));
      report->set_median_microseconds(median * 1e6);
      report->set_p99_microseconds(sorted[(sorted.size() * 99 + 99) / 100 - 1] * 1e6);
      report->set_rows_per_second(static_cast<double>(rows) / median);
    }
    if (most == 1) break;
  }
  session.reporter().Show(TimingTable(session.report), "");
  for (const std::string& verdict : TimingVerdicts(session.report)) {
    session.reporter().Print(table_text::Paragraph(verdict));
  }
  return absl::OkStatus();
}

}  // namespace

ExecutorOptions ExecutorOptionsOf(const RunConfig& config, const RunEnvironment& environment) {
  return {.execution = ExecutionOf(config), .interrupted = environment.interrupted()};
}

ExecutorOptions TestOptionsOf(const RunConfig& config, const RunEnvironment& environment) {
  ExecutorOptions options = ExecutorOptionsOf(config, environment);
  options.bfloat16 = AsksForBfloat16(config) && options.execution != Execution::kInteger;
  return options;
}

absl::Status CheckNothingRequired(const RunConfig& config) {
  if (config.evaluation().require_int8() == "false") return absl::OkStatus();
  return absl::AbortedError(
      "--require_int8 is not met: there are no rows to run the net on; name a data set that has "
      "some, or another evaluation.split");
}

absl::Status ReportExecution(const RunConfig& config, ExecutorOptions options, const Graph& graph,
                             const Tensor& features, Session& session) {
  const EvaluationConfig& evaluation = config.evaluation();
  const bool requires_integers = evaluation.require_int8() != "false";
  session.report.clear_difference();  // Of a net that was measured before.
  if (features.shape()[0] == 0) return CheckNothingRequired(config);
  if (evaluation.benchmark()) {
    MASE_RETURN_IF_ERROR(
        SayInterrupted(Benchmark(options, config.batch_size(), graph, features, session),
                       "while --benchmark timed the net"));
  }
  if (!evaluation.report_execution() && !requires_integers) return absl::OkStatus();
  options.measure_steps = true;
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, options));
  const Tensor batch = FirstRows(features, config.batch_size());
  MASE_RETURN_IF_ERROR(
      SayInterrupted(CallOften(*executor, batch, session), "while its kernels were timed"));
  MASE_ASSIGN_OR_RETURN(const ExecutionReport ran, executor->Report());
  session.report.mutable_call()->set_execution(ExecutionName(options.execution));
  session.report.mutable_call()->set_rows(static_cast<uint32_t>(batch.shape()[0]));
  TellSteps(ran, evaluation.report_execution(), session);
  TellNodes(ran, options.execution, evaluation.report_execution(), session);
  const bool differs = std::any_of(ran.nodes.begin(), ran.nodes.end(), [](const NodeExecution& n) {
    return n.way == Execution::kInteger && !n.exact;
  });
  if (evaluation.report_execution() && differs) {
    MASE_RETURN_IF_ERROR(
        SayInterrupted(TellDifferences(options, config.batch_size(), graph, features, session),
                       "while integers were compared with the simulation"));
  }
  if (!requires_integers) return absl::OkStatus();
  return CheckRequirement(evaluation.require_int8(), session.report, session.reporter());
}

}  // namespace mase
