#include "mase/pipeline/pipeline.h"

#include <map>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mase/base/call_foreign.h"
#include "mase/base/last_words.h"
#include "mase/base/quote.h"
#include "mase/base/recorded.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table_report.h"
#include "mase/format/shared_format.h"
#include "mase/graph/graph_hash.h"
#include "mase/graph/verifier.h"

namespace mase {
namespace {

using google::protobuf::RepeatedPtrField;

std::string WhoIs(const PassInfo& info) {
  return absl::StrCat("pass ", info.name, " of plugin ", info.plugin);
}

// A pass that another one needs, or that follows it.
absl::StatusOr<const PassInfo*> LookUpFor(const PassInfo& info, absl::string_view why,
                                          const std::string& name, PassSource& source) {
  absl::StatusOr<const PassInfo*> found = source.LookUp(name);
  if (found.ok()) return found;
  return Annotate(found.status(), absl::StrCat(WhoIs(info), " ", why, " ", Quoted(name)));
}

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
      MASE_ASSIGN_OR_RETURN(const PassInfo* need, LookUpFor(top, "needs", name, source));
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
  Builder(PassSource& source, RunsAlone alone) : source_(source), alone_(alone) {}

  absl::Status AddConfigured(const PassConfig& config, const PassInfo& info,
                             const PassInfo* following) {
    MASE_RETURN_IF_ERROR(Add(config, info));
    if (alone_ == RunsAlone::kYes) return absl::OkStatus();
    for (const std::string& name : info.traits.then) {
      MASE_ASSIGN_OR_RETURN(const PassInfo* then,
                            LookUpFor(info, "is to be followed by", name, source_));
      if (then == following) continue;
      MASE_RETURN_IF_ERROR(Add(ByItself(*then, "after ", info), *then));
    }
    return absl::OkStatus();
  }

  Pipeline Finish() && { return std::move(pipeline_); }

 private:
  static PassConfig ByItself(const PassInfo& info, absl::string_view why, const PassInfo& cause) {
    PassConfig config;
    config.set_name(info.name);
    config.set_label(absl::StrCat(why, cause.name));
    return config;
  }

  absl::Status Add(const PassConfig& config, const PassInfo& info) {
    PipelineStep step = {.info = &info, .config = config};
    MASE_ASSIGN_OR_RETURN(step.pass, CreatePass(info, config.options()));
    if (alone_ == RunsAlone::kNo) {
      MASE_ASSIGN_OR_RETURN(step.needs, NeedsInOrder(info, source_));
    }
    for (const std::string& name : step.needs) {
      if (pipeline_.needed.contains(name)) continue;
      MASE_ASSIGN_OR_RETURN(const PassInfo* need, source_.LookUp(name));
      PipelineStep& needed = pipeline_.needed[name];
      needed.info = need;
      needed.config = ByItself(*need, "needed by ", info);
      MASE_ASSIGN_OR_RETURN(needed.pass, CreatePass(*need, {}));
    }
    pipeline_.steps.push_back(std::move(step));
    return absl::OkStatus();
  }

  PassSource& source_;
  const RunsAlone alone_;
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

// Whether every record says formats that there are: a checkpoint with another one is not read.
absl::Status CheckRecords(const Graph& graph) {
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    const Quantization* record = node->quantization();
    if (record == nullptr) continue;
    if (record->format().empty()) {  // Without operands: the name alone, as of bypassed nodes.
      return absl::InternalError(
          absl::StrCat("left node ", node->name(), " with a quantization record without a format"));
    }
    for (const OperandFormat& operand : record->operand()) {
      const absl::Status made = SharedFormat(operand.format()).status();
      if (made.ok()) continue;
      return absl::InternalError(absl::StrCat("left node ", node->name(), " with a format of ",
                                              operand.operand(),
                                              " that is none: ", made.message()));
    }
  }
  return absl::OkStatus();
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
  if (!moved && !step.config.allow_unchanged()) return NothingChanged(graph, record);
  return absl::OkStatus();
}

google::protobuf::Value Text(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return value;
}

// Decisions go into the result as a list "nodes" of {node, op, decision, reason, option}.
void FillReport(const PassRecord& record, PassReport* report) {
  for (const auto& [counter, amount] : record.counts) (*report->mutable_counts())[counter] = amount;
  *report->mutable_result() = record.result;
  for (const Table& table : record.tables) *report->add_tables() = ReportOf(table);
  if (record.decisions.empty()) return;
  auto& nodes = *(*report->mutable_result()->mutable_fields())["nodes"].mutable_list_value();
  for (const Decision& decision : record.decisions) {
    auto& fields = *nodes.add_values()->mutable_struct_value()->mutable_fields();
    fields["node"] = Text(decision.node);
    fields["op"] = Text(decision.op);
    fields["decision"] = Text(decision.decision);
    fields["reason"] = Text(decision.reason);
    if (!decision.option.empty()) fields["option"] = Text(decision.option);
  }
}

class Runner {
 public:
  Runner(const Pipeline& pipeline, Graph& graph, const Graph& original, PassHost& host,
         RunReport* report, absl::Span<Instrumentation* const> instruments)
      : pipeline_(pipeline),
        graph_(graph),
        original_(original),
        host_(host),
        report_(report),
        instruments_(instruments) {}

  absl::Status Run() {
    hash_ = HashGraph(graph_);
    for (const PipelineStep& step : pipeline_.steps) {
      for (const std::string& need : step.needs) {
        if (!noted_.contains(need)) MASE_RETURN_IF_ERROR(RunStep(pipeline_.needed.at(need)));
      }
      MASE_RETURN_IF_ERROR(RunStep(step));
    }
    for (Instrumentation* instrument : instruments_) instrument->AfterPipeline();
    return absl::OkStatus();
  }

 private:
  absl::Status RunStep(const PipelineStep& step) {
    LastWords last_words = {.who = WhoIs(*step.info)};
    const RunningPass running{step, ++reached_, original_, last_words};
    for (Instrumentation* instrument : instruments_) {
      if (!instrument->Wants(running)) return absl::OkStatus();
    }
    for (Instrumentation* instrument : instruments_) {
      MASE_RETURN_IF_ERROR(instrument->BeforePass(running, graph_));
    }
    PassReport report;
    absl::Duration verify;
    absl::Status status = Annotate(RunChecked(running, &report, &verify), step.info->name);
    if (!status.ok()) {
      // A goal that was missed: what the pass found belongs to the report.
      if (absl::IsAborted(status)) *report_->add_passes() = report;
      for (Instrumentation* instrument : instruments_) {
        status = instrument->PassFailed(running, status);
      }
      return status;
    }
    *report_->add_passes() = report;
    for (Instrumentation* instrument : instruments_) {
      MASE_RETURN_IF_ERROR(instrument->AfterPass(running, graph_, report, verify));
    }
    return absl::OkStatus();
  }

  absl::Status RunChecked(const RunningPass& running, PassReport* report, absl::Duration* verify) {
    const PipelineStep& step = running.step;
    const absl::Time start = RecordedTime();
    PassContext context(original_, host_, NextFolder(step));
    const auto describe = [&](bool changed) {
      report->set_name(step.info->name);
      report->set_label(step.config.label());
      report->set_changed(changed);
      report->set_seconds(absl::ToDoubleSeconds(RecordedTime() - start));
      FillReport(context.record(), report);
      for (const std::string& warning : context.record().warnings) {
        report_->add_warnings(absl::StrCat(step.info->name, ": ", warning));
      }
    };
    const absl::StatusOr<PassResult> result = RunPass(running, context);
    if (absl::IsAborted(result.status())) describe(/*changed=*/false);
    MASE_RETURN_IF_ERROR(result.status());
    const size_t hash = HashGraph(graph_);
    const bool moved = hash != hash_;
    MASE_RETURN_IF_ERROR(CheckResult(step, *result, graph_, moved, context.record()));
    hash_ = hash;
    if (moved) {
      const absl::Time verify_start = absl::Now();
      const absl::Status valid = VerifyGraph(graph_);
      if (!valid.ok()) {
        return absl::InternalError(absl::StrCat("left a broken graph: ", valid.message()));
      }
      MASE_RETURN_IF_ERROR(CheckRecords(graph_));
      *verify = absl::Now() - verify_start;
    }

    const PassTraits& traits = step.info->traits;
    if (traits.discards_notes || (moved && !traits.keeps_notes)) noted_.clear();
    noted_.insert(step.info->name);

    describe(moved);
    return absl::OkStatus();
  }

  // Of the files of a pass's tables: the label that the user gave, else the name; "quantize-2"
  // where another pass of the run has that already.
  std::string NextFolder(const PipelineStep& step) {
    std::string name = step.config.label();
    const bool usable = !name.empty() && name[0] != '.' && absl::c_all_of(name, [](char c) {
      return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
    });
    if (!usable) name = step.info->name;
    const int used = ++folders_[name];
    return used == 1 ? name : absl::StrCat(name, "-", used);
  }

  absl::StatusOr<PassResult> RunPass(const RunningPass& running, PassContext& context) {
    const PipelineStep& step = running.step;
    const EndWatch watch(running.last_words, /*exit_code=*/1,
                         step.info->isolated ? absl::InfiniteDuration() : pipeline_.pass_limit);
    const auto run = [&] { return step.pass->Run(graph_, context); };
    const std::string whose = absl::StrCat("of plugin ", step.info->plugin);
    if (step.info->isolated) return CallForeign(whose, run);
    CatchOutput output;
    absl::StatusOr<PassResult> result = CallForeign(whose, run);
    if (const std::string text = output.Take(); !text.empty()) {
      const std::string warning = absl::StrCat("it wrote to stdout: ", Quoted(text));
      context.Warn(warning);
      if (!result.ok()) host_.Print(absl::StrCat(step.info->name, ": ", warning, "\n"));
    }
    return result;
  }

  const Pipeline& pipeline_;
  Graph& graph_;
  const Graph& original_;
  PassHost& host_;
  RunReport* const report_;
  const absl::Span<Instrumentation* const> instruments_;
  size_t hash_ = 0;  // Of the graph as the last pass left it.
  int reached_ = 0;
  // Passes whose notes on the graph are still true.
  absl::flat_hash_set<std::string> noted_;
  absl::flat_hash_map<std::string, int> folders_;  // How often each was taken.
};

}  // namespace

absl::StatusOr<Pipeline> BuildPipeline(const RepeatedPtrField<PassConfig>& passes,
                                       PassSource& source, RunsAlone alone) {
  std::vector<const PassInfo*> infos;
  for (const PassConfig& config : passes) {
    MASE_ASSIGN_OR_RETURN(const PassInfo* info, source.LookUp(config.name()));
    infos.push_back(info);
  }
  Builder builder(source, alone);
  for (int i = 0; i < passes.size(); ++i) {
    const PassInfo* following = i + 1 < passes.size() ? infos[i + 1] : nullptr;
    MASE_RETURN_IF_ERROR(builder.AddConfigured(passes[i], *infos[i], following));
  }
  return std::move(builder).Finish();
}

absl::Status RunPipeline(const Pipeline& pipeline, Graph& graph, PassHost& host, RunReport* report,
                         absl::Span<Instrumentation* const> instruments, const Graph* original) {
  if (original != nullptr) {
    return Runner(pipeline, graph, *original, host, report, instruments).Run();
  }
  const Graph as_it_comes = graph.Clone();
  return Runner(pipeline, graph, as_it_comes, host, report, instruments).Run();
}

}  // namespace mase
