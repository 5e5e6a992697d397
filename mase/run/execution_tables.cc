#include "mase/run/execution_tables.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/data/dataset.h"
#include "mase/exec/execution_report.h"
#include "mase/kernel/kernel.h"

namespace mase {
namespace {

// "integer_conv + relu (AVX-512 VNNI)", "conv2d (oneDNN jit:avx512_core)".
std::string KernelOf(const StepReport& step) {
  std::string by = step.implementation();
  if (by == kOwnImplementation) {
    by = step.isa();
  } else if (!step.isa().empty() && !absl::StrContains(by, step.isa())) {
    absl::StrAppend(&by, ", ", step.isa());
  }
  return by.empty() ? step.kernel() : absl::StrCat(step.kernel(), " (", by, ")");
}

// "uint8 x int8 + int32, sum 17 bits -> float32"; "float32" where all are that.
std::string TypesOf(const StepReport& step) {
  std::string types = absl::StrJoin(step.operands(), " x ");
  if (step.has_bias()) absl::StrAppend(&types, " + ", step.bias());
  const bool is_one = absl::c_all_of(
      step.operands(), [&](const std::string& type) { return type == step.result(); });
  const bool all = is_one && (!step.has_bias() || step.bias() == step.result());
  if (all) types = step.result();
  if (step.has_accumulator_bits()) {
    absl::StrAppend(&types, ", sum ", step.accumulator_bits(), " bits");
  }
  return all ? types : absl::StrCat(types, " -> ", step.result());
}

// ", 1 steps of integer 8/4"; the steps of floats are their last places.
std::string StepsText(const DifferenceReport& found) {
  if (!found.has_steps() || found.largest_difference() == 0) return "";
  const bool is_float = found.step_of() == DTypeName(DType::kFloat32);
  return absl::StrCat(
      absl::StrFormat(", %.4g ", found.steps()),
      is_float ? "in the last place of the largest" : absl::StrCat("steps of ", found.step_of()));
}

}  // namespace

std::string RowsText(int64_t rows) {
  return absl::StrCat(WithCommas(rows), rows == 1 ? " row" : " rows");
}

Table ExecutionTable(const RunReport& report) {
  const std::string calls =
      report.has_call() ? absl::StrCat(", ", RowsText(report.call().rows()), " a call") : "";
  Table table("execution", absl::StrCat("Kernels that ran", calls),
              {{"node"},
               {"kernel"},
               {"types"},
               {"time", "us", 1},
               {"share", "%", 1},
               {.name = "GMAC/s", .decimals = 1}});
  for (const StepReport& step : report.execution()) {
    table.AddRow({step.node(), KernelOf(step), TypesOf(step),
                  step.has_microseconds() ? Cell(step.microseconds()) : Cell(),
                  step.has_share() ? Cell(step.share() * 100) : Cell(),
                  step.has_macs_per_second() ? Cell(step.macs_per_second() / 1e9) : Cell()});
  }
  return table;
}

Table NodesNotOnCodes(const RunReport& report) {
  Table table("nodes", "Nodes that did not run on integer codes", {{"node"}, {"ran"}, {"why"}});
  for (const NodeReport& node : report.nodes()) {
    if (node.execution() == ExecutionName(Execution::kInteger)) continue;
    table.AddRow(
        {absl::StrCat(node.node(), " (", node.op(), ")"), node.execution(), node.reason()});
  }
  return table;
}

std::string NodesVerdict(const RunReport& report) {
  if (report.nodes().empty()) return "";
  const std::string integer = ExecutionName(Execution::kInteger);
  int integers = 0, inexact = 0;
  for (const NodeReport& node : report.nodes()) {
    if (node.execution() != integer) continue;
    ++integers;
    inexact += !node.exact();
  }
  const bool other = report.has_call() && report.call().execution() != integer;
  return absl::StrCat(
      integers, " of ", report.nodes_size(), " nodes ran on integer codes",
      other ? absl::StrCat(": --execution=", report.call().execution()) : "",
      inexact == 0 ? "" : absl::StrCat(", ", inexact, " with steps that are no powers of two"),
      ".");
}

Table TimingTable(const RunReport& report) {
  Table table("timings", "Time of a call",
              {{"rows"},
               {"execution"},
               {"median", "us", 1},
               {"p99", "us", 1},
               {.name = "rows/s", .decimals = 0}});
  for (const TimingReport& timing : report.timings()) {
    table.AddRow({static_cast<int64_t>(timing.rows()), timing.execution(),
                  timing.median_microseconds(), timing.p99_microseconds(),
                  timing.rows_per_second()});
  }
  return table;
}

std::string DifferenceVerdict(const RunReport& report) {
  if (!report.has_difference()) return "";
  const DifferenceReport& found = report.difference();
  return absl::StrCat("Beside the simulation, on ", WithCommas(static_cast<int64_t>(found.rows())),
                      " rows: results of up to ", absl::StrFormat("%.4g", found.largest_result()),
                      " differ by at most ", absl::StrFormat("%.4g", found.largest_difference()),
                      StepsText(found), "; ", WithCommas(static_cast<int64_t>(found.decisions())),
                      " of ", WithCommas(static_cast<int64_t>(found.rows())), " decisions differ.");
}

std::vector<std::string> TimingVerdicts(const RunReport& report) {
  std::vector<std::string> verdicts;
  const auto& timings = report.timings();
  for (auto begin = timings.begin(); begin != timings.end();) {
    const uint32_t rows = begin->rows();
    const auto end = std::find_if(
        begin, timings.end(), [&](const TimingReport& timing) { return timing.rows() != rows; });
    const auto best =
        std::min_element(begin, end, [](const TimingReport& a, const TimingReport& b) {
          return a.median_microseconds() < b.median_microseconds();
        });
    std::string verdict = absl::StrCat(RowsText(rows), ": ", best->execution(), " is the fastest");
    for (auto other = begin; other != end; ++other) {
      if (other == best) continue;
      absl::StrAppendFormat(&verdict, ", %s takes %.2f times as long", other->execution(),
                            other->median_microseconds() / best->median_microseconds());
    }
    verdicts.push_back(absl::StrCat(verdict, "."));
    begin = end;
  }
  return verdicts;
}

}  // namespace mase
