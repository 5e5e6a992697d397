// Pass plugin `change_widths`: gives layers other numbers of channels.
//
//   before: Linear(16, 8), BatchNorm1d(8), Linear(8, 5)
//   after:  Linear(16, 32), BatchNorm1d(32), Linear(32, 5)
//
// What reads the channels follows: norms, pools, the layers after, also behind flatten and through
// adds, where all that meet have as many. Weights are those of the channels that stay, new ones
// PyTorch's initial numbers by the run's seed. Nothing changes unless all rules can be kept; a
// width that cannot be is refused with the layer, the setting and the reason. Cost: O(nodes +
// elements of the weights), times layers with a rule.
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/error_list.h"
#include "mase/base/pattern.h"
#include "mase/base/random.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/graph/graph_hash.h"
#include "mase/graph/op_schema.h"
#include "mase/model/widths.h"
#include "mase/plugin/plugin.h"
#include "plugins/change_widths/change_widths_options.pb.h"

namespace mase::plugins::change_widths {
namespace {

constexpr char kDefault[] = "default";

struct Rule {
  WidthRule settings;
  std::optional<Pattern> pattern;  // For REGEX_NAME.

  bool acts() const {
    return settings.config().has_channels() || settings.config().has_channel_multiplier();
  }
  // "channel_multiplier = 2", for messages.
  std::string Text() const {
    const WidthConfig& config = settings.config();
    return config.has_channels()
               ? absl::StrCat("channels = ", config.channels())
               : absl::StrCat("channel_multiplier = ", config.channel_multiplier());
  }
};

// The number of channels that a rule makes of `channels`.
absl::StatusOr<int64_t> ChannelsBy(const WidthConfig& config, int64_t channels) {
  if (config.has_channels()) return config.channels();
  const double product = static_cast<double>(channels) * config.channel_multiplier();
  const double whole = std::round(product);
  if (std::abs(product - whole) < 1e-6 && whole >= 1) return static_cast<int64_t>(whole);
  return absl::InvalidArgumentError(
      absl::StrFormat("%d times that are %.9g channels; want a whole number", channels, product));
}

class ChangeWidthsPass final : public Pass {
 public:
  using Options = ChangeWidthsOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    auto pass = std::make_unique<ChangeWidthsPass>();
    pass->options_ = options;
    ErrorList errors;
    errors.Add(Annotate(CheckConfig(options.default_().config()), kDefault));
    pass->default_.settings = options.default_();
    for (const WidthRule& rule : options.rules()) {
      errors.Add(Annotate(pass->AddRule(rule), rule.match()));
    }
    MASE_RETURN_IF_ERROR(errors.Combined());
    return pass;
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(Widths widths, Widths::Of(graph));
    std::vector<const Node*> layers;
    for (const Node* node : graph.NodesInOrder()) {
      if (widths.WidthOf(*node) > 0) layers.push_back(node);
    }
    MASE_RETURN_IF_ERROR(CheckRulesMatch(graph, layers));
    ErrorList errors;
    std::vector<Outcome> outcomes(layers.size());
    // Layers that a rule names before those that have to go along with them.
    for (const bool named : {true, false}) {
      for (size_t i = 0; i < layers.size(); ++i) {
        if (IsNamed(*layers[i]) == named) errors.Add(Ask(*layers[i], widths, outcomes[i]));
      }
    }
    MASE_RETURN_IF_ERROR(errors.Combined());
    const size_t hash = HashGraph(graph);
    TorchGenerator generator(context.seed());
    MASE_RETURN_IF_ERROR(widths.Apply(options_.weights() != "initial", generator, graph));
    if (!options_.weights_from().empty()) {
      MASE_ASSIGN_OR_RETURN(const Graph other, context.ReadGraph(options_.weights_from()));
      const absl::StatusOr<TakenWeights> weights = TakeWeights(other, graph);
      if (!weights.ok()) return Annotate(weights.status(), options_.weights_from());
      const std::string taken =
          absl::StrCat(weights->taken, " of ", weights->of, " tensors of weights are taken from ",
                       options_.weights_from());
      if (weights->taken == weights->of) {
        context.Print(absl::StrCat(taken, "\n"));
      } else {
        context.Warn(absl::StrCat(taken, "; the others keep their numbers: it has no such layers"));
      }
    }
    MASE_RETURN_IF_ERROR(Report(layers, outcomes, widths, context));
    return HashGraph(graph) != hash ? PassResult::Changed() : PassResult::Unchanged();
  }

 private:
  static absl::Status CheckConfig(const WidthConfig& config) {
    if (config.has_channels() && config.has_channel_multiplier()) {
      return absl::InvalidArgumentError(
          "channels and channel_multiplier both say how many; want one of them");
    }
    if (!config.name().empty() && !config.has_channels() && !config.has_channel_multiplier()) {
      return absl::InvalidArgumentError(
          absl::StrCat(config.name(), " wants a channel_multiplier, or channels"));
    }
    return absl::OkStatus();
  }

  absl::Status AddRule(const WidthRule& settings) {
    MASE_RETURN_IF_ERROR(CheckConfig(settings.config()));
    Rule& rule = rules_.emplace_back();
    rule.settings = settings;
    if (options_.by() == Options::TYPE) return LookUpOp(settings.match()).status();
    if (options_.by() != Options::REGEX_NAME) return absl::OkStatus();
    MASE_ASSIGN_OR_RETURN(rule.pattern, Pattern::Compile(settings.match()));
    return absl::OkStatus();
  }

  bool Fits(const Rule& rule, const Node& node) const {
    if (rule.pattern.has_value()) return rule.pattern->Matches(node.name());
    return rule.settings.match() == KeyOf(node);
  }

  std::string KeyOf(const Node& node) const {
    return options_.by() == Options::TYPE ? std::string(node.mase_op()) : node.name();
  }

  const Rule& RuleOf(const Node& node) const {
    for (const Rule& rule : rules_) {
      if (Fits(rule, node)) return rule;
    }
    return default_;
  }

  // A misspelt rule must not go unnoticed, nor one for a node that has its channels from others.
  absl::Status CheckRulesMatch(const Graph& graph, const std::vector<const Node*>& layers) const {
    absl::flat_hash_set<const Rule*> effective;
    std::vector<std::string> keys;
    for (const Node* layer : layers) {
      effective.insert(&RuleOf(*layer));
      if (keys.empty() || keys.back() != KeyOf(*layer)) keys.push_back(KeyOf(*layer));
    }
    ErrorList errors;
    for (const Rule& rule : rules_) {
      if (effective.contains(&rule)) continue;
      std::string why = absl::StrCat("no layer is called so", Suggest(rule.settings.match(), keys));
      for (const Node* node : graph.NodesInOrder()) {
        if (!Fits(rule, *node)) continue;
        why = absl::StrCat("'", node->name(), "' (", node->op(), ") has no channels of its own");
        for (const Node* layer : layers) {
          if (layer == node) why = absl::StrCat("'", node->name(), "' goes to a rule before it");
        }
        break;
      }
      errors.Add(absl::InvalidArgumentError(absl::StrCat("rule '", rule.settings.match(),
                                                         "': ", why, "; those with channels are ",
                                                         absl::StrJoin(keys, ", "))));
    }
    return errors.Combined();
  }

  // Whether the layer's rule is for it, and not for all of a kind.
  bool IsNamed(const Node& layer) const {
    return &RuleOf(layer) != &default_ && options_.by() != Options::TYPE;
  }

  // What became of a layer's rule: the rule, or why it was not asked for.
  struct Outcome {
    bool has_rule = false;
    std::string reason;
  };

  // Asks for what the layer's rule wants.
  absl::Status Ask(const Node& layer, Widths& widths, Outcome& outcome) const {
    const Rule& rule = RuleOf(layer);
    const std::string whose = &rule == &default_ ? kDefault : rule.settings.match();
    if (!rule.acts()) {
      outcome.reason =
          &rule == &default_ ? "no rule" : absl::StrCat("rule '", whose, "' says none");
      return absl::OkStatus();
    }
    absl::Status asked = absl::InvalidArgumentError(widths.WhyFixed(layer));
    const bool fixed = !asked.message().empty();
    if (!fixed || IsNamed(layer)) asked = AskFor(layer, rule.settings.config(), widths);
    if (!asked.ok() && !IsNamed(layer)) {
      outcome = {true, std::string(asked.message())};
      return absl::OkStatus();
    }
    outcome = {true, absl::StrCat("rule '", whose, "': ", rule.Text())};
    return Annotate(asked, absl::StrCat("'", layer.name(), "' (", layer.op(), "): ", rule.Text()));
  }

  static absl::Status AskFor(const Node& layer, const WidthConfig& config, Widths& widths) {
    const bool input = config.name() == "input_only" || config.name() == "both";
    const int64_t before = widths.WidthOf(layer), inputs_before = widths.InputWidthOf(layer);
    if (!input) {
      MASE_ASSIGN_OR_RETURN(const int64_t channels, ChannelsBy(config, before));
      return widths.Set(layer, channels);
    }
    if (inputs_before == 0) {
      return absl::InvalidArgumentError(absl::StrCat(config.name(), ": it reads no channels"));
    }
    MASE_ASSIGN_OR_RETURN(const int64_t inputs, ChannelsBy(config, inputs_before));
    if (config.name() == "input_only") {
      return Annotate(widths.SetInput(layer, inputs), "the channels that it reads");
    }
    MASE_ASSIGN_OR_RETURN(const int64_t channels, ChannelsBy(config, before));
    return widths.SetBoth(layer, channels, inputs);
  }

  static absl::Status Report(const std::vector<const Node*>& layers,
                             const std::vector<Outcome>& outcomes, const Widths& widths,
                             PassContext& context) {
    Table table("widths", "Channels of each layer",
                {{"node"}, {"op"}, {"before"}, {"after"}, {"reason"}});
    for (size_t i = 0; i < layers.size(); ++i) {
      const Node& layer = *layers[i];
      const int64_t before = widths.WidthOf(layer), after = widths.NewWidthOf(layer);
      const std::string reason = before != after && !outcomes[i].has_rule
                                     ? "goes along with a layer that has a rule"
                                     : outcomes[i].reason;
      context.Note(layer, before != after ? "changed" : "unchanged", reason);
      context.Count(before != after ? "layers_changed" : "layers_unchanged");
      table.AddRow({layer.name(), std::string(layer.mase_op()), before, after, reason});
    }
    return context.AddTable(std::move(table));
  }

  Options options_;
  Rule default_;
  std::vector<Rule> rules_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<ChangeWidthsPass>(
      "change_widths", "Gives layers other numbers of channels, and all that reads them.",
      {.aliases = {"redefine_linear", "redefine_linear_transform_pass"}});
}

}  // namespace
}  // namespace mase::plugins::change_widths

MASE_DEFINE_PLUGIN("change_widths", "1.0.0", mase::plugins::change_widths::Register)
