#include "mase/search/search_space.h"

#include <algorithm>
#include <cmath>
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
#include "mase/quantize/reference.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::ordered_json;
using google::protobuf::FieldDescriptor;

constexpr char kConfig[] = "config";
constexpr char kDefault[] = "default";
constexpr char kName[] = "name";

absl::Status Wrong(absl::string_view where, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("search.search_space.", where, ": ", what));
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

// "data_in_frac_width" is {"data_in", "frac_width"}; {"", key} for keys of no operand.
std::pair<absl::string_view, absl::string_view> SplitKey(absl::string_view key) {
  for (const absl::string_view operand :
       {operands::kDataIn, operands::kWeight, operands::kBias, operands::kDataOut}) {
    if (absl::StartsWith(key, absl::StrCat(operand, "_"))) {
      return {operand, key.substr(operand.size() + 1)};
    }
  }
  return {"", key};
}

// Where a rule has a key. No field: nowhere.
struct KeyPlace {
  google::protobuf::Message* message;
  const FieldDescriptor* field;
};

KeyPlace FindKey(absl::string_view key, QuantizeConfig& config) {
  google::protobuf::Message* message = &config;
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(std::string(key));
  if (field != nullptr) return {message, field};
  const auto flat = FindFlatKey(*message->GetDescriptor(), key);
  if (!flat.has_value()) return {message, nullptr};
  message = message->GetReflection()->MutableMessage(message, flat->field);
  return {message, message->GetDescriptor()->FindFieldByName(std::string(flat->rest))};
}

bool HasOperand(const Node& node, absl::string_view operand) {
  if (operand == operands::kDataOut) return true;
  for (const ArgumentSpec& argument : node.schema().arguments) {
    if (argument.operand == operand) return true;
  }
  for (const TensorRole& role : node.schema().tensor_roles) {
    if (role.operand == operand && node.FindParameter(role.tensor) != nullptr) return true;
  }
  return false;
}

// Whether a format, by the name that a config gives it, has a use for the key.
bool Knows(const ParameterChoice& format, absl::string_view key) {
  const std::string* name = std::get_if<std::string>(&format);
  if (name == nullptr) return false;  // "NA": nothing is read.
  const Family* family = FindFamily(*name);
  const auto [operand, parameter] = SplitKey(key);
  if (family == nullptr || operand.empty() || parameter == kName) return true;
  return absl::c_any_of(family->parameters, [&parameter = parameter](const FamilyParameter& known) {
    return known.name == parameter;
  });
}

// What no format has, as neither its name nor one of its keys.
absl::Status CheckWords(absl::string_view key, const SearchParameter& parameter) {
  std::vector<std::string> known;
  if (key == kName) {
    for (const Family* family : Families()) known.emplace_back(family->name);
    for (const ParameterChoice& choice : parameter.choices) {
      const std::string* name = std::get_if<std::string>(&choice);
      if (name == nullptr || FindFamily(*name) != nullptr) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("unknown format '", *name, "'", Suggest(*name, known)));
    }
    return absl::OkStatus();
  }
  QuantizeConfig config;
  const auto [operand, rest] = SplitKey(key);
  if (operand.empty() && FindKey(key, config).field == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("is no key of a rule", Suggest(key, KnownKeys(*config.GetDescriptor()))));
  }
  if (operand.empty() || rest == kName) return absl::OkStatus();
  for (const Family* family : Families()) {
    for (const FamilyParameter& has : family->parameters) {
      if (has.name == rest) return absl::OkStatus();
      known.push_back(absl::StrCat(operand, "_", has.name));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("no format has this key", Suggest(key, known)));
}

std::string Quoted(absl::string_view key) {
  const bool bare = absl::c_all_of(key, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
  return bare ? std::string(key) : absl::StrCat("\"", key, "\"");
}

Json JsonOf(const SearchParameter& parameter, double value) {
  return Json::parse(parameter.kind == SearchParameter::Kind::kCategorical
                         ? ChoiceJson(parameter.choices[static_cast<size_t>(value)])
                     : parameter.kind == SearchParameter::Kind::kInteger
                         ? absl::StrCat(static_cast<int64_t>(value))
                         : ChoiceJson(value));
}

}  // namespace

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

  absl::Status AddFormats() {
    const bool by_type = settings.setup().by() == "type";
    for (const Node* node : graph.NodesInOrder()) {
      if (!node->schema().quantizable) continue;
      const std::string key = by_type ? std::string(node->mase_op()) : node->name();
      const SearchSeed* seed = FindSeed(key);
      if (seed == nullptr) seed = FindSeed(kDefault);
      if (seed == nullptr) continue;
      used_seeds.insert(seed->match());
      // The default is for what MASE's space has; norms and pools are there where a seed names
      // them.
      const bool taken = IsTaken(node->op(), MaseVersion::kFebruary2024);
      if (seed->match() == kDefault && !taken) continue;
      MASE_RETURN_IF_ERROR(AddNode(*node, *seed));
    }
    for (const SearchSeed& seed : settings.seed()) {
      if (seed.match() == kDefault || used_seeds.contains(seed.match())) continue;
      std::vector<std::string> known;
      for (const Node* node : graph.NodesInOrder()) {
        if (!node->schema().quantizable) continue;
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
    const int index = static_cast<int>(nodes.size());
    nodes.push_back(node.name());
    of_node.emplace_back();
    int name_at = -1;
    // The format first, as the other keys depend on it.
    std::vector<const SearchChoice*> keys;
    for (const SearchChoice& choice : seed.config()) {
      if (choice.name() == kName) keys.insert(keys.begin(), &choice);
      if (choice.name() != kName) keys.push_back(&choice);
    }
    if (keys.empty()) return Wrong(absl::StrCat("seed.", seed.match()), "has no config");
    for (const SearchChoice* key : keys) {
      const auto [operand, rest] = SplitKey(key->name());
      if (!operand.empty() && !HasOperand(node, operand)) continue;
      const std::string where = absl::StrCat("seed.", seed.match(), ".config.", key->name());
      absl::StatusOr<SearchParameter> parameter =
          ParameterOf(absl::StrCat(node.name(), "/", kConfig, "/", key->name()), *key);
      if (!parameter.ok()) return Wrong(where, parameter.status().message());
      if (const absl::Status status = CheckWords(key->name(), *parameter); !status.ok()) {
        return Wrong(where, status.message());
      }
      if (name_at >= 0 && !DependOnFormat(parameters[name_at], name_at, key->name(), *parameter)) {
        continue;
      }
      if (key->name() == kName) name_at = static_cast<int>(parameters.size());
      Target target{index, key->name(),
                    absl::StrCat("passes.", Quoted(quantize), ".", Quoted(node.name()), ".",
                                 kConfig, ".", key->name())};
      parameter->group = node.name();
      Add(*std::move(parameter), std::move(target));
    }
    return absl::OkStatus();
  }

  // Makes the key there where the node's format knows it; false where none does.
  static bool DependOnFormat(const SearchParameter& formats, int index, absl::string_view key,
                             SearchParameter& parameter) {
    for (size_t i = 0; i < formats.choices.size(); ++i) {
      if (Knows(formats.choices[i], key)) parameter.parent_values.push_back(static_cast<double>(i));
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
      const std::string where = absl::StrCat("settings.", Quoted(choice.name()));
      absl::StatusOr<SearchParameter> parameter = ParameterOf(choice.name(), choice);
      if (!parameter.ok()) return Wrong(where, parameter.status().message());
      if (const absl::Status status = AddCondition(choice, *parameter); !status.ok()) {
        return Wrong(where, status.message());
      }
      Add(*std::move(parameter), {-1, "", choice.name()});
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
  const bool formats = !settings.name().empty();
  if (!formats && !settings.seed().empty()) {
    return Wrong("seed", "is read in the space name = \"graph/quantize/mixed_precision_ptq\"");
  }
  if (formats) MASE_RETURN_IF_ERROR(builder.AddFormats());
  MASE_RETURN_IF_ERROR(builder.AddSettings());
  if (builder.parameters.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the search space is empty: ",
        formats ? "no node takes a seed of [search.search_space.seed]"
                : "want [search.search_space.settings] with values for settings, or the name and "
                  "seeds of MASE's space"));
  }
  MASE_ASSIGN_OR_RETURN(ParameterSpace parameters,
                        ParameterSpace::Create(std::move(builder.parameters)));
  SearchSpace space(std::move(parameters));
  space.targets_ = std::move(builder.targets);
  space.nodes_ = std::move(builder.nodes);
  space.of_node_ = std::move(builder.of_node);
  space.formats_alone_ = formats && settings.settings().empty();
  if (!space.nodes_.empty()) {
    // What the file itself says of formats is not searched.
    const std::string pass = absl::StrCat("passes.", Quoted(quantize));
    space.fixed_ = {{absl::StrCat(pass, ".rules"), "[]"},
                    {absl::StrCat(pass, ".default"), "NA"},
                    {absl::StrCat(pass, ".by"), "name"},
                    {absl::StrCat(pass, ".allow_unchanged"), "true"}};
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
    if (targets_[i].node < 0) {
      json[targets_[i].setting] = value;
    } else {
      json[nodes_[targets_[i].node]][kConfig][targets_[i].key] = value;
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
