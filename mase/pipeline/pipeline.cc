#include "mase/pipeline/pipeline.h"

#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/verifier.h"

namespace mase {
namespace {

using google::protobuf::RepeatedPtrField;

// All that must run before `info`, in that order. Iterative: what needs what comes
// from plugins, in any number and perhaps in a circle.
absl::StatusOr<std::vector<std::string>> NeedsInOrder(const PassInfo& info, PassSource& source) {
  enum class State { kEntered, kDone };
  std::map<std::string, State> states;
  std::vector<std::string> order;
  std::vector<const PassInfo*> stack = {&info};
  while (!stack.empty()) {
    const PassInfo& top = *stack.back();
    states.emplace(top.name, State::kEntered);
    const PassInfo* missing = nullptr;
    for (const std::string& name : top.traits.needs) {
      MASE_ASSIGN_OR_RETURN(const PassInfo* need, source.LookUp(name));
      const auto state = states.find(need->name);
      if (state == states.end()) {
        missing = need;
      } else if (state->second == State::kEntered) {
        return absl::InternalError(absl::StrCat(info.name, ": pass ", need->name, " needs itself"));
      }
    }
    if (missing != nullptr) {
      stack.push_back(missing);
      continue;
    }
    states[top.name] = State::kDone;
    order.push_back(top.name);
    stack.pop_back();
  }
  order.pop_back();  // `info` itself.
  return order;
}

class Builder {
 public:
  explicit Builder(PassSource& source) : source_(source) {}

  absl::Status AddConfigured(const PassConfig& config, const PassInfo& info,
                             const PassInfo* following) {
    PipelineStep step = {.label = config.label(), .allow_unchanged = config.allow_unchanged()};
    MASE_RETURN_IF_ERROR(Add(std::move(step), info, config.options()));
    for (const std::string& name : info.traits.then) {
      MASE_ASSIGN_OR_RETURN(const PassInfo* then, source_.LookUp(name));
      if (then == following) continue;
      MASE_RETURN_IF_ERROR(Add({.label = absl::StrCat("after ", info.name)}, *then, {}));
    }
    return absl::OkStatus();
  }

  absl::Status MarkPrinted(const std::string& name) {
    std::vector<std::string> known;
    bool found = false;
    const auto mark = [&](PipelineStep& step) {
      known.push_back(step.info->name);
      if (name != step.label && name != step.info->name &&
          std::count(step.info->traits.aliases.begin(), step.info->traits.aliases.end(), name) == 0)
        return;
      step.print = found = true;
    };
    for (PipelineStep& step : pipeline_.steps) mark(step);
    for (auto& [unused, step] : pipeline_.needed) mark(step);
    if (found) return absl::OkStatus();
    return absl::NotFoundError(
        absl::StrCat("print_after: no pass '", name, "' in this run", Suggest(name, known)));
  }

  Pipeline Finish() && { return std::move(pipeline_); }

 private:
  absl::Status Add(PipelineStep step, const PassInfo& info, const google::protobuf::Any& options) {
    step.info = &info;
    MASE_ASSIGN_OR_RETURN(step.pass, CreatePass(info, options));
    MASE_ASSIGN_OR_RETURN(step.needs, NeedsInOrder(info, source_));
    for (const std::string& name : step.needs) {
      if (pipeline_.needed.contains(name)) continue;
      MASE_ASSIGN_OR_RETURN(const PassInfo* need, source_.LookUp(name));
      PipelineStep& needed = pipeline_.needed[name];
      needed.info = need;
      needed.label = absl::StrCat("needed by ", info.name);
      MASE_ASSIGN_OR_RETURN(needed.pass, CreatePass(*need, {}));
    }
    pipeline_.steps.push_back(std::move(step));
    return absl::OkStatus();
  }

  PassSource& source_;
  Pipeline pipeline_;
};

// A transform without effect is nearly always a mistake in its options: say what
// was there to be changed.
absl::Status NothingChanged(const Graph& graph, const PassRecord& record) {
  std::set<std::string> ops;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (node->kind() != NodeKind::kPlaceholder && node->kind() != NodeKind::kOutput) {
      ops.insert(std::string(node->mase_op()));
    }
  }
  std::map<std::string, int> reasons;
  for (const Decision& decision : record.decisions) ++reasons[decision.reason];
  std::string why;
  for (const auto& [reason, count] : reasons) absl::StrAppend(&why, "; ", count, " x ", reason);
  return absl::InvalidArgumentError(absl::StrCat("0 nodes changed", why, "; the graph has the ops ",
                                                 absl::StrJoin(ops, ", "),
                                                 "; set allow_unchanged to go on all the same"));
}

// Whether the pass told the truth, and did something.
absl::Status CheckResult(const PipelineStep& step, const PassResult& result, const Graph& graph,
                         bool moved, const PassRecord& record) {
  if (result.changed() && !moved) {
    return absl::InternalError("says that it changed the graph, but nothing was changed");
  }
  if (!result.changed() && moved) {
    return absl::InternalError("changed the graph, but says that it did not");
  }
  if (step.info->traits.kind == PassKind::kAnalysis) {
    return moved ? absl::InternalError("is an analysis, but changed the graph") : absl::OkStatus();
  }
  if (!moved && !step.allow_unchanged) return NothingChanged(graph, record);
  if (!moved) return absl::OkStatus();
  const absl::Status valid = VerifyGraph(graph);
  if (valid.ok()) return valid;
  return absl::InternalError(absl::StrCat("left a broken graph: ", valid.message()));
}

google::protobuf::Value Text(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return value;
}

// Decisions go into the result as a list "nodes" of {node, op, decision, reason}.
void FillReport(const PassRecord& record, PassReport* report) {
  for (const auto& [counter, amount] : record.counts) (*report->mutable_counts())[counter] = amount;
  *report->mutable_result() = record.result;
  if (record.decisions.empty()) return;
  auto& nodes = *(*report->mutable_result()->mutable_fields())["nodes"].mutable_list_value();
  for (const Decision& decision : record.decisions) {
    auto& fields = *nodes.add_values()->mutable_struct_value()->mutable_fields();
    fields["node"] = Text(decision.node);
    fields["op"] = Text(decision.op);
    fields["decision"] = Text(decision.decision);
    fields["reason"] = Text(decision.reason);
  }
}

class Runner {
 public:
  Runner(Pipeline& pipeline, Graph& graph, PassHost& host, RunReport* report)
      : pipeline_(pipeline),
        graph_(graph),
        original_(graph.Clone()),
        analyses_(graph),
        host_(host),
        report_(report) {}

  absl::Status Run() {
    for (PipelineStep& step : pipeline_.steps) {
      for (const std::string& need : step.needs) {
        if (!noted_.contains(need)) MASE_RETURN_IF_ERROR(RunStep(pipeline_.needed.at(need)));
      }
      MASE_RETURN_IF_ERROR(RunStep(step));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status RunStep(PipelineStep& step) {
    const PassTraits& traits = step.info->traits;
    const int64_t before = graph_.version();
    const absl::Time start = absl::Now();
    PassContext context(original_, analyses_, host_);
    const absl::StatusOr<PassResult> result = RunPass(step, context);
    if (!result.ok()) return Annotate(result.status(), step.info->name);
    const bool moved = graph_.version() != before;
    MASE_RETURN_IF_ERROR(
        Annotate(CheckResult(step, *result, graph_, moved, context.record()), step.info->name));

    if (moved) analyses_.Preserve(result->preserved(), before);
    if (traits.discards_notes || (moved && !traits.keeps_notes)) noted_.clear();
    noted_.insert(step.info->name);

    PassReport& report = *report_->add_passes();
    report.set_name(step.info->name);
    report.set_label(step.label);
    report.set_changed(moved);
    report.set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
    FillReport(context.record(), &report);
    for (const std::string& warning : context.record().warnings) {
      report_->add_warnings(absl::StrCat(step.info->name, ": ", warning));
    }
    if (step.print) {
      host_.Print(absl::StrCat("# After ", step.info->name, ":\n", WriteGraphText(graph_)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<PassResult> RunPass(PipelineStep& step, PassContext& context) {
    try {
      return step.pass->Run(graph_, context);
    } catch (const std::exception& error) {
      return absl::InternalError(
          absl::StrCat("of plugin ", step.info->plugin, " threw: ", error.what()));
    } catch (...) {
      return absl::InternalError(absl::StrCat("of plugin ", step.info->plugin, " threw something"));
    }
  }

  Pipeline& pipeline_;
  Graph& graph_;
  const Graph original_;
  AnalysisManager analyses_;
  PassHost& host_;
  RunReport* const report_;
  // Passes whose notes on the graph are still true.
  absl::flat_hash_set<std::string> noted_;
};

}  // namespace

absl::StatusOr<Pipeline> BuildPipeline(const RepeatedPtrField<PassConfig>& passes,
                                       PassSource& source, const PipelineOptions& options) {
  std::vector<const PassInfo*> infos;
  for (const PassConfig& config : passes) {
    MASE_ASSIGN_OR_RETURN(const PassInfo* info, source.LookUp(config.name()));
    infos.push_back(info);
  }
  Builder builder(source);
  for (int i = 0; i < passes.size(); ++i) {
    const PassInfo* following = i + 1 < passes.size() ? infos[i + 1] : nullptr;
    MASE_RETURN_IF_ERROR(builder.AddConfigured(passes[i], *infos[i], following));
  }
  for (const std::string& name : options.print_after) {
    MASE_RETURN_IF_ERROR(builder.MarkPrinted(name));
  }
  return std::move(builder).Finish();
}

absl::Status RunPipeline(Pipeline& pipeline, Graph& graph, PassHost& host, RunReport* report) {
  return Runner(pipeline, graph, host, report).Run();
}

}  // namespace mase
