#include "mase/search/search_space.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/config/scalar.h"
#include "mase/config/schema.h"
#include "mase/config/struct_value.h"
#include "mase/config/value.h"
#include "mase/data/dataset.h"
#include "mase/format/family.h"
#include "mase/graph/ops.h"
#include "mase/model/widths.h"
#include "mase/quantize/reference.h"
#include "mase/search/seed_keys.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kConfig[] = "config";
constexpr char kDefault[] = "default";
constexpr char kPasses[] = "passes.";
constexpr char kWidths[] = "change_widths";

std::string Place(absl::string_view where) { return absl::StrCat("search.search_space.", where); }

absl::Status Wrong(absl::string_view where, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(Place(where), ": ", what));
}

// A value of the file as a choice. Whole numbers are integers; lists are their text.
absl::StatusOr<ParameterChoice> ChoiceOf(const google::protobuf::Value& value) {
  const ConfigValue read = FromStructValue(value, Position());
  if (read.is_null()) return ParameterChoice(std::monostate());
  if (const bool* truth = std::get_if<bool>(&read.data)) return ParameterChoice(*truth);
  if (const int64_t* whole = std::get_if<int64_t>(&read.data)) return ParameterChoice(*whole);
  if (const double* real = std::get_if<double>(&read.data)) return ParameterChoice(*real);
  if (read.string() != nullptr) return ParameterChoice(*read.string());
  if (read.list() != nullptr) return ParameterChoice(ShowValue(read, /*max_bytes=*/1000));
  return absl::InvalidArgumentError("a table is no value");
}

absl::StatusOr<std::vector<ParameterChoice>> ChoicesOf(const SearchChoice& choice) {
  std::vector<ParameterChoice> choices;
  for (const google::protobuf::Value& value : choice.values()) {
    MASE_ASSIGN_OR_RETURN(ParameterChoice next, ChoiceOf(value));
    if (absl::c_linear_search(choices, next)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the value ", ChoiceJson(next), " stands there twice"));
    }
    choices.push_back(std::move(next));
  }
  return choices;
}

// The range or list of a choice. Conditions are the caller's.
absl::StatusOr<SearchParameter> ParameterOf(const std::string& name, const SearchChoice& choice) {
  if (!choice.has_low() && !choice.has_high()) {
    MASE_ASSIGN_OR_RETURN(std::vector<ParameterChoice> choices, ChoicesOf(choice));
    if (choices.empty()) {
      return absl::InvalidArgumentError("no values; want a list of them, or low and high");
    }
    if (choice.has_step() || choice.has_log()) {
      return absl::InvalidArgumentError("step and log are for ranges, with low and high");
    }
    return CategoricalParameter(name, std::move(choices));
  }
  if (!choice.has_low() || !choice.has_high() || choice.values_size() > 0) {
    return absl::InvalidArgumentError("want a list of values, or both low and high");
  }
  const auto whole = [](double number) { return std::trunc(number) == number; };
  const bool is_integer =
      choice.has_step() && whole(choice.low()) && whole(choice.high()) && whole(choice.step());
  SearchParameter parameter = RealParameter(name, choice.low(), choice.high(), choice.log());
  if (is_integer) parameter.kind = SearchParameter::Kind::kInteger;
  parameter.step = choice.step();
  return parameter;
}

// The pass whose option a setting is, as the setting writes it: "change_widths" of
// "passes.change_widths.fc1.config.channels"; "" of others.
absl::string_view PassOf(absl::string_view setting) {
  if (!absl::ConsumePrefix(&setting, kPasses)) return "";
  const char quote = setting.empty() ? '.' : setting[0];
  const bool quoted = quote == '"' || quote == '\'';
  const size_t end = quoted ? setting.find(quote, 1) : setting.find('.');
  return end == absl::string_view::npos ? "" : setting.substr(0, end + (quoted ? 1 : 0));
}

Json JsonOf(const SearchParameter& parameter, double value) {
  return Json::parse(parameter.kind == SearchParameter::Kind::kCategorical
                         ? ChoiceJson(parameter.choices[static_cast<size_t>(value)])
                     : parameter.kind == SearchParameter::Kind::kInteger
                         ? absl::StrCat(static_cast<int64_t>(value))
                         : ChoiceJson(value));
}

}  // namespace

std::string QuotedKey(absl::string_view key) {
  const bool bare = absl::c_all_of(key, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
  return bare ? std::string(key) : absl::StrCat("\"", key, "\"");
}

std::string SettingText(const SearchParameter& parameter, double value) {
  if (parameter.kind == SearchParameter::Kind::kInteger)
    return absl::StrCat(static_cast<int64_t>(value));
  if (parameter.kind == SearchParameter::Kind::kReal) return ChoiceJson(value);
  const ParameterChoice& choice = parameter.choices[static_cast<size_t>(value)];
  if (const std::string* text = std::get_if<std::string>(&choice)) return *text;
  return std::holds_alternative<std::monostate>(choice) ? "NA" : ChoiceJson(choice);
}

struct SearchSpace::Builder {
  const SearchSpaceSettings& settings;
  const Graph& graph;
  const std::string quantize;

  std::vector<SearchParameter> parameters;
  std::vector<Target> targets;
  std::vector<std::string> nodes;
  std::vector<std::vector<int>> of_node;
  std::set<std::string> used_seeds;
  std::optional<Widths> widths = {};      // Of the graph, where seeds have choices of them.
  std::vector<const Node*> widened = {};  // That have one.

  const SearchSeed* FindSeed(const std::string& match) const {
    for (const SearchSeed& seed : settings.seed()) {
      if (seed.match() == match) return &seed;
    }
    return nullptr;
  }

  void Add(SearchParameter parameter, Target target) {
    if (target.node >= 0) of_node[target.node].push_back(static_cast<int>(parameters.size()));
    parameters.push_back(std::move(parameter));
    targets.push_back(std::move(target));
  }

  // Whether a seed can be for the node.
  bool CanChoose(const Node& node) const {
    return node.schema().quantizable || (widths.has_value() && widths->WidthOf(node) > 0);
  }

  absl::Status AddSeeds() {
    const bool by_type = settings.setup().by() == "type";
    for (const SearchSeed& seed : settings.seed()) {
      const bool chooses = absl::c_any_of(
          seed.config(), [](const SearchChoice& choice) { return IsWidthKey(choice.name()); });
      if (!chooses || widths.has_value()) continue;
      MASE_ASSIGN_OR_RETURN(widths, Widths::Of(graph));
    }
    for (const Node* node : graph.NodesInOrder()) {
      if (!CanChoose(*node)) continue;
      const std::string key = by_type ? std::string(node->mase_op()) : node->name();
      const SearchSeed* seed = FindSeed(key);
      if (seed == nullptr) seed = FindSeed(kDefault);
      if (seed == nullptr) continue;
      used_seeds.insert(seed->match());
      MASE_RETURN_IF_ERROR(AddNode(*node, *seed));
    }
    for (const SearchSeed& seed : settings.seed()) {
      if (seed.match() == kDefault || used_seeds.contains(seed.match())) continue;
      std::vector<std::string> known;
      for (const Node* node : graph.NodesInOrder()) {
        if (!CanChoose(*node)) continue;
        known.push_back(by_type ? std::string(node->mase_op()) : node->name());
      }
      absl::c_sort(known);
      known.erase(std::unique(known.begin(), known.end()), known.end());
      return Wrong(
          absl::StrCat("seed.", seed.match()),
          absl::StrCat("no ", by_type ? "op" : "node",
                       " of the net that can have a format is called so",
                       Suggest(seed.match(), known), "; it has ", absl::StrJoin(known, ", ")));
    }
    return absl::OkStatus();
  }

  absl::Status AddNode(const Node& node, const SearchSeed& seed) {
    if (seed.config().empty()) return Wrong(absl::StrCat("seed.", seed.match()), "has no config");
    std::vector<const SearchChoice*> of_format;
    for (const SearchChoice& choice : seed.config()) {
      if (IsWidthKey(choice.name())) {
        MASE_RETURN_IF_ERROR(AddWidth(node, seed, choice));
      } else if (choice.name() == kFormatName) {
        of_format.insert(of_format.begin(), &choice);  // The other keys depend on it.
      } else {
        of_format.push_back(&choice);
      }
    }
    // The default is for what MASE's space has; norms and pools are there where a seed names them.
    const bool taken = node.schema().quantizable &&
                       (seed.match() != kDefault || IsTaken(node.op(), MaseVersion::kFebruary2024));
    return of_format.empty() || !taken ? absl::OkStatus() : AddFormat(node, seed, of_format);
  }

  // Channels that several layers share are one choice, the first one's.
  absl::Status AddWidth(const Node& node, const SearchSeed& seed, const SearchChoice& choice) {
    const std::string where = absl::StrCat("seed.", seed.match(), ".config.", choice.name());
    std::string why = widths->WhyFixed(node);
    for (const Node* other : widened) {
      if (!why.empty() || !widths->Share(node, *other)) continue;
      why = other == &node ? "want channels or channel_multiplier, not both"
                           : absl::StrCat("its channels are those of '", other->name(),
                                          "', too, which chooses for both");
    }
    const bool names_it = settings.setup().by() != "type" && seed.match() != kDefault;
    if (!why.empty()) return names_it ? Wrong(where, why) : absl::OkStatus();
    absl::StatusOr<SearchParameter> parameter =
        ParameterOf(absl::StrCat(node.name(), "/", kConfig, "/", choice.name()), choice);
    if (!parameter.ok()) return Wrong(where, parameter.status().message());
    parameter->group = node.name();
    widened.push_back(&node);
    Add(*std::move(parameter), {-1, node.name(), choice.name(),
                                absl::StrCat(kPasses, kWidths, ".", QuotedKey(node.name()), ".",
                                             kConfig, ".", choice.name()),
                                Place(where)});
    return absl::OkStatus();
  }

  absl::Status AddFormat(const Node& node, const SearchSeed& seed,
                         const std::vector<const SearchChoice*>& keys) {
    const int index = static_cast<int>(nodes.size());
    nodes.push_back(node.name());
    of_node.emplace_back();
    int name_at = -1;
    for (const SearchChoice* key : keys) {
      const auto [operand, rest] = SplitKey(key->name());
      if (!operand.empty() && !HasOperand(node, operand)) continue;
      const std::string where = absl::StrCat("seed.", seed.match(), ".config.", key->name());
      absl::StatusOr<SearchParameter> parameter =
          ParameterOf(absl::StrCat(node.name(), "/", kConfig, "/", key->name()), *key);
      if (!parameter.ok()) return Wrong(where, parameter.status().message());
      if (const absl::Status status = CheckSeedKey(key->name(), *parameter); !status.ok()) {
        return Wrong(where, status.message());
      }
      if (name_at >= 0 && !DependOnFormat(parameters[name_at], name_at, key->name(), *parameter)) {
        continue;
      }
      if (key->name() == kFormatName) name_at = static_cast<int>(parameters.size());
      Target target{index, node.name(), key->name(),
                    absl::StrCat(kPasses, QuotedKey(quantize), ".", QuotedKey(node.name()), ".",
                                 kConfig, ".", key->name()),
                    Place(where)};
      parameter->group = node.name();
      Add(*std::move(parameter), std::move(target));
    }
    return absl::OkStatus();
  }

  // Makes the key there where the node's format knows it; false where none does.
  static bool DependOnFormat(const SearchParameter& formats, int index, absl::string_view key,
                             SearchParameter& parameter) {
    for (size_t i = 0; i < formats.choices.size(); ++i) {
      if (FormatKnows(formats.choices[i], key))
        parameter.parent_values.push_back(static_cast<double>(i));
    }
    if (parameter.parent_values.empty()) return false;
    if (parameter.parent_values.size() == formats.choices.size()) {
      parameter.parent_values.clear();
    } else {
      parameter.parent = index;
    }
    return true;
  }

  absl::Status AddSettings() {
    for (const SearchChoice& choice : settings.settings()) {
      const std::string where = absl::StrCat("settings.", QuotedKey(choice.name()));
      absl::StatusOr<SearchParameter> parameter = ParameterOf(choice.name(), choice);
      if (!parameter.ok()) return Wrong(where, parameter.status().message());
      if (const absl::Status status = AddCondition(choice, *parameter); !status.ok()) {
        return Wrong(where, status.message());
      }
      Add(*std::move(parameter), {.setting = choice.name(), .place = Place(where)});
    }
    return absl::OkStatus();
  }

  absl::Status AddCondition(const SearchChoice& choice, SearchParameter& parameter) const {
    if (choice.when().empty()) return absl::OkStatus();
    if (choice.when_size() > 1) {
      return absl::InvalidArgumentError(
          "`when` names one other choice; conditions on more are those of that choice");
    }
    const SearchChoice& when = choice.when(0);
    std::vector<std::string> names;
    for (size_t i = 0; i < parameters.size(); ++i) {
      names.push_back(parameters[i].name);
      if (parameters[i].name == when.name()) parameter.parent = static_cast<int>(i);
    }
    if (parameter.parent < 0) {
      return absl::InvalidArgumentError(absl::StrCat("when: '", when.name(),
                                                     "' is no choice that stands before",
                                                     Suggest(when.name(), names)));
    }
    const SearchParameter& parent = parameters[parameter.parent];
    MASE_ASSIGN_OR_RETURN(const std::vector<ParameterChoice> values, ChoicesOf(when));
    for (const ParameterChoice& value : values) {
      const auto found = absl::c_find(parent.choices, value);
      if (found == parent.choices.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("when: '", when.name(), "' never is ", ChoiceJson(value)));
      }
      parameter.parent_values.push_back(static_cast<double>(found - parent.choices.begin()));
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<SearchSpace> SearchSpace::Create(const SearchSpaceSettings& settings,
                                                const Graph& graph, absl::string_view quantize) {
  Builder builder{settings, graph, std::string(quantize)};
  MASE_RETURN_IF_ERROR(builder.AddSeeds());
  MASE_RETURN_IF_ERROR(builder.AddSettings());
  if (builder.parameters.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the search space is empty: ",
        settings.seed_size() > 0
            ? "no node takes a seed of [search.search_space.seed]"
            : "want [search.search_space.settings] with values for settings, or seeds for "
              "nodes"));
  }
  MASE_ASSIGN_OR_RETURN(ParameterSpace parameters,
                        ParameterSpace::Create(std::move(builder.parameters)));
  SearchSpace space(std::move(parameters));
  space.targets_ = std::move(builder.targets);
  space.nodes_ = std::move(builder.nodes);
  space.of_node_ = std::move(builder.of_node);
  space.formats_alone_ = builder.widened.empty() && settings.settings().empty();
  std::set<std::string> passes;
  for (const Target& target : space.targets_) {
    const absl::string_view pass = PassOf(target.setting);
    if (!pass.empty()) passes.emplace(pass);
  }
  // What the file itself says of what is searched gives way. Formats are for nets of their widths.
  if (!builder.widened.empty()) {
    const std::string pass = absl::StrCat(kPasses, kWidths);
    space.fixed_ = {{absl::StrCat(pass, ".rules"), "[]"}, {absl::StrCat(pass, ".by"), "name"}};
  }
  if (!space.nodes_.empty()) {
    const std::string pass = absl::StrCat(kPasses, QuotedKey(quantize));
    space.fixed_.insert(space.fixed_.end(), {{absl::StrCat(pass, ".rules"), "[]"},
                                             {absl::StrCat(pass, ".default"), "NA"},
                                             {absl::StrCat(pass, ".by"), "name"}});
  }
  // A point may well be the net as it is.
  for (const absl::string_view pass : passes) {
    space.fixed_.push_back({absl::StrCat(kPasses, pass, ".allow_unchanged"), "true"});
  }
  return space;
}

std::vector<Assignment> SearchSpace::AssignmentsOf(absl::Span<const double> point) const {
  std::vector<Assignment> assignments = fixed_;
  for (size_t i = 0; i < targets_.size(); ++i) {
    if (std::isnan(point[i])) continue;
    assignments.push_back({targets_[i].setting, SettingText(parameters_[i], point[i])});
  }
  return assignments;
}

absl::StatusOr<QuantizeConfig> SearchSpace::ConfigOf(size_t node,
                                                     absl::Span<const double> point) const {
  QuantizeConfig config;
  for (const int i : of_node_[node]) {
    if (std::isnan(point[i])) continue;
    const auto [message, field] = FindKey(targets_[i].key, config);
    const ConfigValue value =
        Resolve({RawText{SettingText(parameters_[i], point[i])}, Position()}, *field);
    if (value.is_null()) continue;
    const ValueList items = value.list() != nullptr ? *value.list() : ValueList{value};
    for (const ConfigValue& item : items) {
      const absl::Status status = SetScalar(item, *field, Source(), *message);
      if (!status.ok()) return Annotate(status, parameters_[i].name);
    }
  }
  return config;
}

std::string SearchSpace::SampledConfig(absl::Span<const double> point) const {
  Json json = Json::object();
  for (size_t i = 0; i < targets_.size(); ++i) {
    if (std::isnan(point[i])) continue;
    const Json value = JsonOf(parameters_[i], point[i]);
    if (targets_[i].layer.empty()) {
      json[targets_[i].setting] = value;
    } else {
      json[targets_[i].layer][kConfig][targets_[i].key] = value;
    }
  }
  if (!nodes_.empty()) json["by"] = "name";
  return json.dump();
}

std::string SearchSpace::Describe() const {
  const absl::optional<uint64_t> size = parameters_.size();
  const std::string points = !size.has_value()     ? "infinitely many points"
                             : *size >= kHugeSpace ? "more than 10^19 points"
                             : *size == 1
                                 ? "1 point"
                                 : absl::StrCat(WithCommas(static_cast<int64_t>(std::min<uint64_t>(
                                                    *size, std::numeric_limits<int64_t>::max()))),
                                                " points");
  std::string of = absl::StrCat(parameters_.dimensions(),
                                parameters_.dimensions() == 1 ? " choice" : " choices");
  if (!nodes_.empty()) {
    absl::StrAppend(&of, formats_alone_ ? " for " : ", some for ", nodes_.size(),
                    nodes_.size() == 1 ? " node" : " nodes");
  }
  return absl::StrCat(points, ": ", of);
}

}  // namespace mase
