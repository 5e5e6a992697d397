#include "mase/model/layer.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"

namespace mase {
namespace {

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// Short names whose op depends on the number of spatial axes.
struct RankedName {
  absl::string_view name;
  absl::string_view op;  // Followed by "1d" or "2d".
};
constexpr RankedName kRankedNames[] = {
    {"BN", "batch_norm"},
    {"Conv", "conv"},
    {"MaxPool", "max_pool"},
    {"AvgPool", "avg_pool"},
    {"GlobalAvgPool", "adaptive_avg_pool"},
};

absl::StatusOr<const OpSchema*> FindLayer(absl::string_view name, const Shape& input) {
  for (const RankedName& ranked : kRankedNames) {
    if (!absl::EqualsIgnoreCase(name, ranked.name)) continue;
    // [batch, features] and [batch, channels, length] are 1d, [batch, channels, h, w] is 2d.
    return LookUpOp(absl::StrCat(ranked.op, input.rank() >= 4 ? "2d" : "1d"));
  }
  std::vector<std::string> known;
  for (const RankedName& ranked : kRankedNames) known.emplace_back(ranked.name);
  for (const OpSchema* schema : AllOps()) {
    if (schema->module_class.empty()) continue;
    if (absl::EqualsIgnoreCase(name, schema->module_class) ||
        absl::EqualsIgnoreCase(name, schema->name)) {
      return schema;
    }
    known.emplace_back(schema->module_class);
  }
  if (const size_t bracket = name.find('('); bracket != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "layer '", name, "': values follow a blank, without brackets, as in Linear 32; ",
        "ReLU and the like take none"));
  }
  return absl::NotFoundError(absl::StrCat("unknown layer '", name, "'", Suggest(name, known)));
}

// Attributes that follow from the input; false for all others.
bool InferAttribute(absl::string_view name, const Shape& input, Attribute* value) {
  const bool has_channels = input.rank() >= 2;
  if (name == "in_features") {
    *value = input.rank() > 0 ? input[-1] : int64_t{0};
  } else if (name == "in_channels" || name == "num_features" || name == "num_channels") {
    *value = has_channels ? input[1] : int64_t{0};
  } else if (name == "normalized_shape") {
    *value = std::vector<int64_t>{input.rank() > 0 ? input[-1] : int64_t{0}};
  } else {
    return false;
  }
  return true;
}

absl::StatusOr<int64_t> ParseInt(absl::string_view text, int64_t classes) {
  int64_t value = 0;
  if (text == "classes") return classes;
  if (!absl::SimpleAtoi(text, &value)) return Invalid("'", text, "' is no whole number");
  return value;
}

// Reads `text` as a value of the type of `like`.
absl::StatusOr<Attribute> ParseValue(absl::string_view text, const Attribute& like,
                                     int64_t classes) {
  if (std::holds_alternative<bool>(like)) {
    bool value = false;
    if (!absl::SimpleAtob(text, &value)) return Invalid("'", text, "' is neither true nor false");
    return Attribute(value);
  }
  if (std::holds_alternative<int64_t>(like)) {
    MASE_ASSIGN_OR_RETURN(int64_t value, ParseInt(text, classes));
    return Attribute(value);
  }
  if (std::holds_alternative<double>(like)) {
    double value = 0;
    if (!absl::SimpleAtod(text, &value)) return Invalid("'", text, "' is no number");
    return Attribute(value);
  }
  if (std::holds_alternative<std::string>(like)) return Attribute(std::string(text));
  std::vector<int64_t> values;
  for (absl::string_view part : absl::StrSplit(text, 'x')) {
    MASE_ASSIGN_OR_RETURN(int64_t value, ParseInt(part, classes));
    values.push_back(value);
  }
  const size_t axes = std::get<std::vector<int64_t>>(like).size();
  if (values.size() == 1 && axes > 1) values.assign(axes, values[0]);
  return Attribute(values);
}

// The attributes that a bare value may fill, in order. Switches want KEY=VALUE, so that
// "ReLU 16", where the 16 looks like a width, is an error.
std::vector<const AttributeSpec*> Positions(const OpSchema& schema, const Shape& input) {
  std::vector<const AttributeSpec*> positions;
  Attribute unused;
  for (const AttributeSpec& spec : schema.attributes) {
    if (InferAttribute(spec.name, input, &unused)) continue;
    if (std::holds_alternative<bool>(spec.fallback)) continue;
    positions.push_back(&spec);
  }
  return positions;
}

absl::StatusOr<Attributes> ParseAttributes(const OpSchema& schema,
                                           absl::Span<const absl::string_view> words,
                                           const Shape& input, int64_t classes) {
  Attributes given;
  const std::vector<const AttributeSpec*> positions = Positions(schema, input);
  size_t next = 0;
  for (absl::string_view word : words) {
    const std::vector<absl::string_view> sides = absl::StrSplit(word, absl::MaxSplits('=', 1));
    const AttributeSpec* spec = nullptr;
    if (sides.size() == 1) {
      if (next == positions.size()) {
        return Invalid("takes ", positions.size(), " values, '", word, "' is one more");
      }
      spec = positions[next++];
    } else {
      std::vector<std::string> known;
      for (const AttributeSpec& candidate : schema.attributes) {
        if (candidate.name == sides[0]) spec = &candidate;
        known.emplace_back(candidate.name);
      }
      if (spec == nullptr) {
        return Invalid("has no attribute '", sides[0], "'", Suggest(sides[0], known));
      }
    }
    if (given.Find(spec->name) != nullptr) return Invalid("'", spec->name, "' is given twice");
    absl::StatusOr<Attribute> value = ParseValue(sides.back(), spec->fallback, classes);
    if (!value.ok()) return Annotate(value.status(), spec->name);
    given.Set(spec->name, *std::move(value));
  }
  return given;
}

// Fills in what was not given: from the input, by MASE's habits, else the op's default.
absl::StatusOr<Attributes> Complete(const OpSchema& schema, const Attributes& given,
                                    const Shape& input) {
  Attributes complete;
  for (const AttributeSpec& spec : schema.attributes) {
    Attribute value = spec.fallback;
    if (const Attribute* explicit_value = given.Find(spec.name)) {
      value = *explicit_value;
    } else if (InferAttribute(spec.name, input, &value)) {
    } else if (spec.name == "stride" && spec.required) {
      value = complete.Ints("kernel_size");
    } else if (spec.name == "inplace" && schema.name != ops::kDropout) {
      value = true;
    } else if (spec.required && spec.name != "output_size") {
      return Invalid("needs a value for '", spec.name, "'");
    }
    complete.Set(spec.name, std::move(value));
  }
  return complete;
}

}  // namespace

absl::StatusOr<Layer> ParseLayer(absl::string_view text, const Shape& input, int64_t classes) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t\n"), absl::SkipWhitespace());
  if (words.empty()) return Invalid("an empty layer");
  Layer layer;
  MASE_ASSIGN_OR_RETURN(layer.schema, FindLayer(words[0], input));
  absl::StatusOr<Attributes> attributes =
      ParseAttributes(*layer.schema, absl::MakeConstSpan(words).subspan(1), input, classes);
  if (attributes.ok()) attributes = Complete(*layer.schema, *attributes, input);
  if (!attributes.ok()) {
    return Annotate(attributes.status(),
                    absl::StrCat("layer '", absl::StripAsciiWhitespace(text), "'"));
  }
  layer.attributes = *std::move(attributes);
  return layer;
}

}  // namespace mase
