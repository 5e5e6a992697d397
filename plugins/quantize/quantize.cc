// Pass plugin `quantize`: gives nodes a number format, by rules.
//
//   before: Linear(16, 5)      after: LinearInteger(16, 5), data_in 8/4, weight 8/4, bias 8/4
//
// What a node computes, its tensors and its edges stay; it only gets a quantization
// record, which executors, cost models and exporters read. Nodes that no rule
// covers stay as they are, also quantized ones. All rules are checked, and all
// records made, before the first node is touched. Every operation is reported with
// the reason for its fate. Cost: O(nodes), times rules for regular expressions.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/message_differencer.h"
#include "mase/base/error_list.h"
#include "mase/base/pattern.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/shape_inference.h"
#include "mase/pass/common_metadata.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/operands.h"
#include "mase/quantize/reference.h"
#include "mase/quantize/rule.h"
#include "plugins/quantize/quantize_options.pb.h"

namespace mase::plugins::quantize {
namespace {

struct Rule {
  std::string match;
  std::optional<Pattern> pattern;  // For REGEX_NAME.
  RuleFormat format;
};

std::vector<std::string> QuantizableOps() {
  std::vector<std::string> ops;
  for (const OpSchema* schema : AllOps()) {
    if (schema->quantizable) ops.emplace_back(schema->name);
  }
  return ops;
}

bool IsOperation(const Node& node) {
  return node.kind() == NodeKind::kCallModule || node.kind() == NodeKind::kCallFunction ||
         node.kind() == NodeKind::kCallMethod;
}

// What will happen to one node.
struct Plan {
  Node* node = nullptr;
  const Rule* rule = nullptr;  // The one that matches; null: the default's.
  Quantization record;
  bool quantize = false;
  std::string reason;
};

class QuantizePass final : public Pass {
 public:
  using Options = QuantizeOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    auto pass = std::make_unique<QuantizePass>();
    MASE_RETURN_IF_ERROR(pass->Init(options));
    return pass;
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    if (!options_.baseline_weight_path().empty()) {
      context.Warn("baseline_weight_path is not read: weights are those of the graph");
    }
    MASE_ASSIGN_OR_RETURN(const std::vector<Plan> plans, MakePlans(graph));
    int changed = 0;
    for (const Plan& plan : plans) {
      context.Note(*plan.node, plan.quantize ? "quantized" : "unchanged", plan.reason,
                   OptionOf(plan));
      context.Count(plan.quantize ? "nodes_quantized" : "nodes_unchanged");
      if (KeepsFloat(*plan.node) && plan.node->quantization() != nullptr) {
        graph.ClearQuantization(plan.node);
        MASE_RETURN_IF_ERROR(UpdatePrecision(*plan.node));
        ++changed;
      }
      if (!plan.quantize) continue;
      changed += !HasRecord(*plan.node, plan.record);
      MASE_RETURN_IF_ERROR(Apply(plan, graph));
    }
    MASE_RETURN_IF_ERROR(context.AddTable(NodeTable(plans)));
    if (const std::string taken = TakenByDefault(plans); !taken.empty()) context.Print(taken);
    return changed > 0 ? PassResult::Changed() : PassResult::Unchanged();
  }

 private:
  absl::Status Init(const Options& options) {
    options_ = options;
    if (options.semantics() != Options::EXACT) semantics_ = FormatProto::REFERENCE;
    if (options.semantics() == Options::REFERENCE_2024) version_ = MaseVersion::kFebruary2024;
    ErrorList errors;
    errors.Add(InitDefault());
    for (const QuantizeRule& rule : options.rules()) {
      errors.Add(Annotate(AddRule(rule), rule.match()));
    }
    return errors.Combined();
  }

  absl::Status InitDefault() {
    auto format = CheckConfig(options_.default_().config(), semantics_);
    if (!format.ok()) return Annotate(format.status(), "default");
    default_ = *std::move(format);
    return absl::OkStatus();
  }

  absl::Status AddRule(const QuantizeRule& config) {
    auto rule = std::make_unique<Rule>();
    rule->match = config.match();
    MASE_ASSIGN_OR_RETURN(rule->format, CheckConfig(config.config(), semantics_));
    if (options_.by() == Options::TYPE) {
      MASE_ASSIGN_OR_RETURN(const OpSchema* schema, LookUpOp(rule->match));
      if (!schema->quantizable) {
        return absl::InvalidArgumentError(
            absl::StrCat("this op cannot be quantized; those that can are ",
                         absl::StrJoin(QuantizableOps(), ", ")));
      }
      MASE_RETURN_IF_ERROR(CheckOp(rule->format, rule->match));
    } else if (options_.by() == Options::REGEX_NAME) {
      MASE_ASSIGN_OR_RETURN(rule->pattern, Pattern::Compile(rule->match));
    }
    // The first of equal rules wins, as it does for regular expressions.
    rule_by_match_.emplace(rule->match, rule.get());
    rules_.push_back(std::move(rule));
    return absl::OkStatus();
  }

  const Rule* FindRule(const Node& node) const {
    if (options_.by() == Options::REGEX_NAME) {
      for (const auto& rule : rules_) {
        if (rule->pattern->Matches(node.name())) return rule.get();
      }
      return nullptr;
    }
    const auto it = rule_by_match_.find(Key(node));
    return it == rule_by_match_.end() ? nullptr : it->second;
  }

  std::string Key(const Node& node) const {
    return options_.by() == Options::TYPE ? std::string(node.mase_op()) : node.name();
  }

  bool Fits(const Rule& rule, const Node& node) const {
    return options_.by() == Options::REGEX_NAME ? rule.pattern->Matches(node.name())
                                                : rule.match == Key(node);
  }

  // A misspelt rule must not go unnoticed.
  void CheckRulesMatch(const std::vector<Plan>& plans, ErrorList* errors) const {
    absl::flat_hash_set<const Rule*> effective;
    for (const Plan& plan : plans) {
      if (plan.node->schema().quantizable) effective.insert(plan.rule);
    }
    for (const auto& rule : rules_) {
      if (!effective.contains(rule.get()) && !options_.allow_unmatched()) {
        errors->Add(WhyWithoutEffect(*rule, plans));
      }
    }
  }

  // Why no node that can be quantized got this rule.
  absl::Status WhyWithoutEffect(const Rule& rule, const std::vector<Plan>& plans) const {
    std::vector<std::string> taken, keys;
    absl::flat_hash_set<std::string> seen;
    absl::btree_set<std::string> takers;
    bool fits = false;
    for (const Plan& plan : plans) {
      if (seen.insert(Key(*plan.node)).second) keys.push_back(Key(*plan.node));
      if (!Fits(rule, *plan.node)) continue;
      fits = true;
      if (plan.rule == &rule || !plan.node->schema().quantizable) continue;
      taken.push_back(plan.node->name());
      takers.insert(absl::StrCat("'", plan.rule->match, "'"));
    }
    std::string why;
    if (!taken.empty()) {
      why = absl::StrCat("takes no node: ", Some(taken), taken.size() == 1 ? " goes" : " go",
                         " to ", absl::StrJoin(takers, ", "), ", which stands before it");
    } else if (fits) {
      if (rule.format.leaves_alone()) return absl::OkStatus();
      why = absl::StrCat("matches only nodes that cannot be quantized; the ops that can are ",
                         absl::StrJoin(QuantizableOps(), ", "));
    } else {
      const std::string nearest = Suggest(rule.match, keys);
      const bool all = options_.by() == Options::TYPE || nearest.empty();
      why = absl::StrCat("matches no node", nearest,
                         all ? absl::StrCat("; the graph has ", Some(keys)) : "");
    }
    return absl::InvalidArgumentError(
        absl::StrCat("rule '", rule.match, "' ", why, " (allow_unmatched = true permits it)"));
  }

  // The first names of a list that may be long.
  static std::string Some(absl::Span<const std::string> names) {
    constexpr size_t kMost = 12;
    const bool cut = names.size() > kMost;
    return absl::StrCat(absl::StrJoin(names.subspan(0, kMost), ", "), cut ? ", ..." : "");
  }

  absl::StatusOr<std::vector<Plan>> MakePlans(const Graph& graph) const {
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph));
    for (const std::string& name : options_.keep_float()) {
      MASE_RETURN_IF_ERROR(Annotate(graph.LookUpNode(name).status(), "keep_float"));
    }
    std::vector<Plan> plans;
    for (Node* node : graph.NodesInOrder()) {
      if (IsOperation(*node)) plans.push_back({.node = node, .rule = FindRule(*node)});
    }
    ErrorList errors;
    CheckRulesMatch(plans, &errors);
    for (Plan& plan : plans) {
      errors.Add(Annotate(Decide(shapes, &plan),
                          absl::StrCat(plan.node->name(), " (", plan.node->op(), ")")));
    }
    MASE_RETURN_IF_ERROR(errors.Combined());
    return plans;
  }

  // What happens to a node, given its rule.
  absl::Status Decide(const InferredShapes& shapes, Plan* plan) const {
    const Node& node = *plan->node;
    if (!node.schema().quantizable) {
      plan->reason = absl::StrCat(node.op(), " cannot be quantized");
      return absl::OkStatus();
    }
    if (KeepsFloat(node)) {
      plan->reason = "keep_float names it";
      return absl::OkStatus();
    }
    const RuleFormat& format = plan->rule == nullptr ? default_ : plan->rule->format;
    if (format.leaves_alone()) {
      plan->reason = plan->rule == nullptr
                         ? absl::StrCat("no rule for ", Key(node))
                         : absl::StrCat("rule '", plan->rule->match, "' says none");
      return absl::OkStatus();
    }
    // A default or a regular expression means what MASE's pass makes of it; to name an op or a node
    // means just that.
    const bool names_it = plan->rule != nullptr && options_.by() != Options::REGEX_NAME;
    if (format.reference() && !names_it && !IsTaken(node.op(), version_)) {
      plan->reason =
          absl::StrCat("MASE's pass", version_ == MaseVersion::kFebruary2024 ? " of 2024" : "",
                       " does not take ", node.op());
      return absl::OkStatus();
    }
    plan->quantize = true;
    MASE_ASSIGN_OR_RETURN(plan->record, QuantizationFor(node, format, shapes));
    plan->reason =
        absl::StrCat(plan->rule == nullptr ? "by default: " : "", DescribeRecord(plan->record));
    return absl::OkStatus();
  }

  bool KeepsFloat(const Node& node) const {
    return absl::c_linear_search(options_.keep_float(), node.name());
  }

  // The key of the rule that decided.
  std::string OptionOf(const Plan& plan) const {
    if (plan.node->schema().quantizable && KeepsFloat(*plan.node)) return "keep_float";
    if (plan.rule != nullptr) return plan.rule->match;
    return plan.quantize ? "default" : "";
  }

  static bool HasRecord(const Node& node, const Quantization& record) {
    return node.quantization() != nullptr &&
           google::protobuf::util::MessageDifferencer::Equals(*node.quantization(), record);
  }

  static absl::Status Apply(const Plan& plan, Graph& graph) {
    if (HasRecord(*plan.node, plan.record)) return absl::OkStatus();
    graph.SetQuantization(plan.node, plan.record);
    return UpdatePrecision(*plan.node);
  }

  static Table NodeTable(const std::vector<Plan>& plans) {
    Table table("nodes", "What was decided of each node",
                {{"node"}, {"op"}, {"decision"}, {"reason"}});
    for (const Plan& plan : plans) {
      table.AddRow({plan.node->name(), std::string(plan.node->mase_op()),
                    plan.quantize ? "quantized" : "unchanged", plan.reason});
    }
    return table;
  }

  // "The default took 3 x batch_norm1d, 2 x linear.\n"; empty if it took nothing.
  static std::string TakenByDefault(const std::vector<Plan>& plans) {
    absl::btree_map<std::string, int> ops;
    for (const Plan& plan : plans) {
      if (plan.quantize && plan.rule == nullptr) ++ops[std::string(plan.node->mase_op())];
    }
    if (ops.empty()) return "";
    return absl::StrCat("The default took ",
                        absl::StrJoin(ops, ", ",
                                      [](std::string* out, const auto& op) {
                                        absl::StrAppend(out, op.second, " x ", op.first);
                                      }),
                        ".\n");
  }

  Options options_;
  FormatProto::Semantics semantics_ = FormatProto::EXACT;
  MaseVersion version_ = MaseVersion::kApril2026;
  RuleFormat default_;
  std::vector<std::unique_ptr<Rule>> rules_;
  absl::flat_hash_map<std::string, const Rule*> rule_by_match_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<QuantizePass>(
      "quantize", "Gives nodes a number format, by rules.",
      {.needs = {"add_common_metadata"}, .then = {"summarize_quantization"}, .keeps_notes = true});
}

}  // namespace
}  // namespace mase::plugins::quantize

MASE_DEFINE_PLUGIN("quantize", "1.0.0", mase::plugins::quantize::Register)
