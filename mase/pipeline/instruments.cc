#include "mase/pipeline/instruments.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/status.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/verifier.h"

namespace mase {

Instrumentation::~Instrumentation() = default;
bool Instrumentation::Wants(const RunningPass&) { return true; }
absl::Status Instrumentation::BeforePass(const RunningPass&, const Graph&) {
  return absl::OkStatus();
}
absl::Status Instrumentation::AfterPass(const RunningPass&, const Graph&, const PassReport&,
                                        absl::Duration) {
  return absl::OkStatus();
}
absl::Status Instrumentation::PassFailed(const RunningPass&, const absl::Status& status) {
  return status;
}
void Instrumentation::AfterPipeline() {}

namespace {

bool IsCalled(const PipelineStep& step, const std::string& name) {
  return name == step.config.label() || name == step.info->name ||
         absl::c_linear_search(step.info->traits.aliases, name);
}

class GraphPrinter final : public Instrumentation {
 public:
  GraphPrinter(std::vector<std::string> names, ShowText show)
      : names_(std::move(names)), show_(std::move(show)) {}

  absl::Status AfterPass(const RunningPass& pass, const Graph& graph, const PassReport&,
                         absl::Duration) override {
    const bool asked =
        absl::c_any_of(names_, [&](const std::string& name) { return IsCalled(pass.step, name); });
    if (asked) show_(absl::StrCat("# After ", pass.step.info->name, ":\n", WriteGraphText(graph)));
    return absl::OkStatus();
  }

 private:
  const std::vector<std::string> names_;
  const ShowText show_;
};

class EachVerifier final : public Instrumentation {
 public:
  absl::Status BeforePass(const RunningPass& pass, const Graph& graph) override {
    return pass.number > 1 ? absl::OkStatus() : Check(graph, "the graph is broken before ", pass);
  }
  absl::Status AfterPass(const RunningPass& pass, const Graph& graph, const PassReport&,
                         absl::Duration) override {
    return Check(graph, "the graph is broken after ", pass);
  }

 private:
  static absl::Status Check(const Graph& graph, absl::string_view when, const RunningPass& pass) {
    const absl::Status valid = VerifyGraph(graph);
    if (valid.ok()) return valid;
    return absl::InternalError(absl::StrCat(when, pass.step.info->name, ": ", valid.message()));
  }
};

class PassLimit final : public Instrumentation {
 public:
  PassLimit(int count, ShowText show) : count_(count), show_(std::move(show)) {}

  bool Wants(const RunningPass& pass) override {
    if (pass.number > count_) {
      ++left_out_;
      return false;
    }
    last_ = pass.step.info->name;
    return true;
  }

  void AfterPipeline() override {
    if (left_out_ == 0) return;
    show_(absl::StrCat("max_passes: ", last_.empty() ? "no pass ran" : "the last pass was ", last_,
                       "; ", left_out_, " more did not run\n"));
  }

 private:
  const int count_;
  const ShowText show_;
  std::string last_;
  int left_out_ = 0;
};

class PassTimer final : public Instrumentation {
 public:
  explicit PassTimer(ShowText show) : show_(std::move(show)) {}

  absl::Status AfterPass(const RunningPass& pass, const Graph&, const PassReport& report,
                         absl::Duration verify) override {
    Row row{pass.step.info->name, report.seconds(), absl::ToDoubleSeconds(verify)};
    const std::string& label = pass.step.config.label();
    if (absl::StartsWith(label, "needed by ")) {
      waiting_.push_back(std::move(row));  // Shown under the pass that comes after.
      return absl::OkStatus();
    }
    rows_.push_back(std::move(row));
    for (Row& each : waiting_) {
      each.name = absl::StrCat("  needs ", each.name);
      rows_.push_back(std::move(each));
    }
    waiting_.clear();
    return absl::OkStatus();
  }

  void AfterPipeline() override {
    double total = 0;
    for (const Row& row : rows_) total += row.seconds;
    Table table({{"Pass"}, {"time", "ms", 3}, {"verifying", "ms", 3}, {"share", "%", 1}});
    const auto add = [&](const std::string& name, double seconds, double verify) {
      table.AddRow({name, 1e3 * seconds, 1e3 * verify, total > 0 ? 100 * seconds / total : 0});
    };
    double verify = 0;
    for (const Row& row : rows_) {
      add(row.name, row.seconds, row.verify);
      verify += row.verify;
    }
    add("all", total, verify);
    show_(table.Text());
  }

 private:
  struct Row {
    std::string name;
    double seconds, verify;
  };

  const ShowText show_;
  std::vector<Row> rows_, waiting_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Instrumentation>> PrintGraphAfter(
    const std::vector<std::string>& names, const Pipeline& pipeline, ShowText show) {
  std::vector<const PipelineStep*> steps;
  for (const PipelineStep& step : pipeline.steps) steps.push_back(&step);
  for (const auto& [name, step] : pipeline.needed) steps.push_back(&step);
  std::vector<std::string> known;
  for (const PipelineStep* step : steps) known.push_back(step->info->name);
  std::sort(known.begin(), known.end());
  for (const std::string& name : names) {
    if (absl::c_any_of(steps, [&](const PipelineStep* step) { return IsCalled(*step, name); })) {
      continue;
    }
    return absl::NotFoundError(
        absl::StrCat("print_after: no pass '", name, "' in this run", Suggest(name, known)));
  }
  return std::make_unique<GraphPrinter>(names, std::move(show));
}

std::unique_ptr<Instrumentation> VerifyEachPass() { return std::make_unique<EachVerifier>(); }

std::unique_ptr<Instrumentation> RunFirstPasses(int count, ShowText show) {
  return std::make_unique<PassLimit>(count, std::move(show));
}

std::unique_ptr<Instrumentation> ShowTimes(ShowText show) {
  return std::make_unique<PassTimer>(std::move(show));
}

}  // namespace mase
