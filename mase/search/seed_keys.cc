#include "mase/search/seed_keys.h"

#include <string>
#include <variant>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/suggest.h"
#include "mase/config/schema.h"
#include "mase/format/family.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/ops.h"

namespace mase {

bool IsWidthKey(absl::string_view key) { return key == "channels" || key == "channel_multiplier"; }

std::pair<absl::string_view, absl::string_view> SplitKey(absl::string_view key) {
  for (const absl::string_view operand :
       {operands::kDataIn, operands::kWeight, operands::kBias, operands::kDataOut}) {
    if (absl::StartsWith(key, absl::StrCat(operand, "_"))) {
      return {operand, key.substr(operand.size() + 1)};
    }
  }
  return {"", key};
}

KeyPlace FindKey(absl::string_view key, QuantizeConfig& config) {
  google::protobuf::Message* message = &config;
  const google::protobuf::FieldDescriptor* field =
      message->GetDescriptor()->FindFieldByName(std::string(key));
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

bool FormatKnows(const ParameterChoice& format, absl::string_view key) {
  const std::string* name = std::get_if<std::string>(&format);
  if (name == nullptr) return false;  // "NA": nothing is read.
  const Family* family = FindFamily(*name);
  const auto [operand, parameter] = SplitKey(key);
  if (family == nullptr || operand.empty() || parameter == kFormatName) return true;
  return absl::c_any_of(family->parameters, [&parameter = parameter](const FamilyParameter& known) {
    return known.name == parameter;
  });
}

absl::Status CheckSeedKey(absl::string_view key, const SearchParameter& parameter) {
  std::vector<std::string> known;
  if (key == kFormatName) {
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
    std::vector<std::string> keys = KnownKeys(*config.GetDescriptor());
    keys.insert(keys.end(), {"channels", "channel_multiplier"});
    return absl::InvalidArgumentError(absl::StrCat("is no key of a rule", Suggest(key, keys)));
  }
  if (operand.empty() || rest == kFormatName) return absl::OkStatus();
  for (const Family* family : Families()) {
    for (const FamilyParameter& has : family->parameters) {
      if (has.name == rest) return absl::OkStatus();
      known.push_back(absl::StrCat(operand, "_", has.name));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("no format has this key", Suggest(key, known)));
}

}  // namespace mase
