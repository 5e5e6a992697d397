#include "mase/model/keras_json.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/ops.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxLayers = 10000;

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("Keras's JSON: ", parts...));
}
template <typename... Parts>
absl::Status CannotRead(const Parts&... parts) {
  return absl::UnimplementedError(absl::StrCat(parts...));
}

// A member of an object, or null.
const Json& At(const Json& object, const char* key) {
  static const Json* const none = new Json();
  if (!object.is_object()) return *none;
  const auto found = object.find(key);
  return found == object.end() ? *none : *found;
}
std::string TextAt(const Json& object, const char* key) {
  const Json& value = At(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

// A quantizer, of an object or a call as text: its name and its arguments by name.
struct Quantizer {
  std::string name;
  std::map<std::string, std::string> arguments;  // Numbers and words as JSON writes them.

  std::string Get(const std::string& key, const std::string& fallback) const {
    const auto found = arguments.find(key);
    return found == arguments.end() || found->second == "null" || found->second == "None"
               ? fallback
               : found->second;
  }
};

// The parameters of QKeras's constructors, in order.
struct Signature {
  absl::string_view name;
  std::vector<std::string> parameters;
};
const std::vector<Signature>& Signatures() {
  static const auto* const signatures = new std::vector<Signature>{
      {"quantized_bits", {"bits", "integer", "symmetric", "keep_negative", "alpha"}},
      {"quantized_relu", {"bits", "integer", "use_sigmoid", "negative_slope"}},
  };
  return *signatures;
}

absl::StatusOr<Quantizer> ParseQuantizer(const Json& json) {
  Quantizer quantizer;
  if (json.is_object()) {
    quantizer.name = TextAt(json, "class_name");
    for (const auto& [key, value] : At(json, "config").items()) {
      quantizer.arguments[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    return quantizer;
  }
  // "quantized_bits(6,0,alpha=1)"
  std::string text = json.is_string() ? json.get<std::string>() : "";
  const size_t open = text.find('(');
  quantizer.name = text.substr(0, open);
  const auto signature =
      std::find_if(Signatures().begin(), Signatures().end(),
                   [&](const Signature& known) { return known.name == quantizer.name; });
  if (open == std::string::npos || signature == Signatures().end()) return quantizer;
  if (text.back() != ')') return Bad("quantizer ", Quoted(text));
  size_t place = 0;
  const std::string inside = text.substr(open + 1, text.size() - open - 2);
  for (const absl::string_view argument : absl::StrSplit(inside, ',', absl::SkipWhitespace())) {
    const std::vector<std::string> parts = absl::StrSplit(argument, absl::MaxSplits('=', 1));
    const std::string value(absl::StripAsciiWhitespace(parts.back()));
    if (parts.size() == 2) {
      quantizer.arguments[std::string(absl::StripAsciiWhitespace(parts[0]))] = value;
    } else if (place < signature->parameters.size()) {
      quantizer.arguments[signature->parameters[place++]] = value;
    } else {
      return Bad("quantizer ", Quoted(text), " has more arguments than are known");
    }
  }
  return quantizer;
}

bool IsTrue(const std::string& value) {
  double number = 0;
  if (absl::SimpleAtod(value, &number)) return number != 0;
  return absl::EqualsIgnoreCase(value, "true");
}

// What QKeras's quantizer rounds to.
absl::StatusOr<FormatProto> FormatOf(const Quantizer& quantizer) {
  const bool relu = quantizer.name == "quantized_relu";
  if (!relu && quantizer.name != "quantized_bits") {
    return CannotRead("quantizer ", Quoted(quantizer.name),
                      "; quantized_bits and quantized_relu become records");
  }
  double bits = 0, integer = 0, alpha = 0, slope = 0;
  const bool numbers = absl::SimpleAtod(quantizer.Get("bits", "8"), &bits) &&
                       absl::SimpleAtod(quantizer.Get("integer", "0"), &integer) &&
                       absl::SimpleAtod(quantizer.Get("negative_slope", "0"), &slope);
  if (!numbers || bits != static_cast<int>(bits) || integer != static_cast<int>(integer) ||
      bits < 1 || bits > 32 || integer < -64 || integer > 64) {
    return Bad("quantizer ", quantizer.name, " of ", Quoted(quantizer.Get("bits", "8")), " bits, ",
               Quoted(quantizer.Get("integer", "0")), " of them integer");
  }
  const std::string scale = quantizer.Get("alpha", "1");
  if (!absl::SimpleAtod(scale, &alpha) || alpha != 1) {
    return CannotRead("quantizer ", quantizer.name, " with alpha=", Quoted(scale),
                      ", a scale that follows the data; alpha=1 is read");
  }
  if (IsTrue(quantizer.Get("symmetric", "0"))) {
    return CannotRead("quantizer ", quantizer.name,
                      " with symmetric=1, which leaves the lowest code out");
  }
  if (IsTrue(quantizer.Get("use_sigmoid", "0")) || slope != 0 ||
      !quantizer.Get("relu_upper_bound", "").empty() ||
      IsTrue(quantizer.Get("use_stochastic_rounding", "0"))) {
    return CannotRead("quantizer ", quantizer.name,
                      " with use_sigmoid, a slope, an upper bound or stochastic rounding");
  }
  const bool is_signed = !relu && IsTrue(quantizer.Get("keep_negative", "1"));
  if (is_signed && bits < 2) return CannotRead("quantizer ", quantizer.name, " of one bit");
  FormatProto format;
  format.mutable_integer()->set_width(static_cast<int>(bits));
  format.mutable_integer()->set_frac_width(static_cast<int>(bits - integer - (is_signed ? 1 : 0)));
  if (!is_signed) format.mutable_integer()->set_is_signed(false);
  return format;
}

void AddOperand(absl::string_view operand, const FormatProto& format, Quantization& record) {
  record.set_format("integer");
  record.set_class_suffix("Integer");
  OperandFormat* added = record.add_operand();
  added->set_operand(std::string(operand));
  *added->mutable_format() = format;
}

// Activations of Keras that are modules here.
constexpr std::pair<absl::string_view, absl::string_view> kActivations[] = {
    {"relu", "ReLU"},
    {"tanh", "Tanh"},
    {"sigmoid", "Sigmoid"},
    {"softmax", "Softmax dim=-1"},
};

class NetReader {
 public:
  absl::Status Add(const std::string& kind, const Json& config) {
    if (kind == "InputLayer") return SetSample(config);
    if (segments_.empty()) MASE_RETURN_IF_ERROR(SetSample(config));
    if (kind == "Dense" || kind == "QDense") return AddDense(config);
    if (kind == "Activation" || kind == "QActivation" || kind == "ReLU" || kind == "Softmax") {
      const Json& named = At(config, "activation");
      const bool own = kind == "ReLU" || kind == "Softmax";
      const double kNone = 0, kLast = -1;
      MASE_RETURN_IF_ERROR(CheckNeutral(config, {{"max_value", std::nullopt},
                                                 {"negative_slope", kNone},
                                                 {"threshold", kNone},
                                                 {"axis", kLast}}));
      return AddActivation(own ? Json(absl::AsciiStrToLower(kind)) : named, Name(config));
    }
    if (kind == "BatchNormalization") {
      // Of vectors axis 1 is the last.
      const Json& given = At(config, "axis");
      const Json& axis = given.is_array() && given.size() == 1 ? given[0] : given;
      if (!axis.is_null() && axis != -1 && axis != 1) {
        return CannotRead("normalizes along axis ", axis.dump(), "; the last one is read");
      }
      for (const char* affine : {"center", "scale"}) {
        if (At(config, affine) == false) {
          return CannotRead("has ", affine, "=false; batch norms with both are read");
        }
      }
      EndRounding();
      const Json& epsilon = At(config, "epsilon");
      AddLayer(Name(config), absl::StrCat("BatchNorm1d eps=",
                                          epsilon.is_number() ? epsilon.get<double>() : 1e-3));
      return absl::OkStatus();
    }
    if (kind == "Dropout") {
      const Json& rate = At(config, "rate");
      AddLayer(Name(config), absl::StrCat("Dropout ", rate.is_number() ? rate.get<double>() : 0.5));
      return absl::OkStatus();
    }
    if (kind == "Flatten") {
      AddLayer(Name(config), "Flatten");
      return absl::OkStatus();
    }
    return CannotRead("layers of ", Quoted(kind), " are not read from JSON; as ONNX they are");
  }

  absl::StatusOr<KerasNet> Finish() {
    EndRounding();
    if (segments_.empty()) return Bad("there is no layer");
    net_.layers = absl::StrJoin(segments_, "; ");
    for (auto& [path, record] : records_) net_.records.push_back({path, std::move(record)});
    return std::move(net_);
  }

 private:
  // Refuses arguments that change what an activation computes; nullopt: it may only be null.
  static absl::Status CheckNeutral(
      const Json& config, const std::vector<std::pair<const char*, std::optional<double>>>& known) {
    for (const auto& [key, neutral] : known) {
      const Json& value = At(config, key);
      const bool is_neutral = neutral.has_value() && value.is_number() && value == *neutral;
      if (value.is_null() || is_neutral) continue;
      return CannotRead("has ", key, "=", value.dump(), ", which is not read from JSON");
    }
    return absl::OkStatus();
  }

  absl::Status SetSample(const Json& config) {
    for (const char* key : {"batch_input_shape", "batch_shape"}) {
      const Json& shape = At(config, key);
      if (!shape.is_array()) continue;
      net_.sample.clear();
      for (size_t axis = 1; axis < shape.size(); ++axis) {
        if (!shape[axis].is_number_unsigned()) return Bad("axis ", axis, " of its input is open");
        net_.sample.push_back(shape[axis].get<int64_t>());
      }
    }
    return absl::OkStatus();
  }

  // The layer's name as a module's, without the others'.
  std::string Name(const Json& config) {
    std::string name = TextAt(config, "name").substr(0, limits::kMaxQuotedBytes);
    for (char& c : name) {
      if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
    }
    if (name.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(name[0]))) {
      name = absl::StrCat("layer", segments_.size(), name);
    }
    while (!names_.emplace(name, 0).second) absl::StrAppend(&name, "_");
    return name;
  }

  void AddLayer(const std::string& name, const std::string& layer) {
    segments_.push_back(absl::StrCat(name, " = ", layer));
  }
  Quantization& RecordOf(const std::string& path) {
    for (auto& [known, record] : records_) {
      if (known == path) return record;
    }
    records_.emplace_back(path, Quantization());
    return records_.back().second;
  }
  // What was rounded has no layer behind it that reads it so: the relu's result is.
  void EndRounding() {
    if (rounded_.has_value()) AddOperand(operands::kDataOut, *rounded_, RecordOf(rounder_));
    rounded_.reset();
  }

  absl::Status AddDense(const Json& config) {
    const Json& units = At(config, "units");
    if (!units.is_number_unsigned() || units.get<uint64_t>() > (1 << 24)) {
      return Bad("units ", Quoted(units.dump()));
    }
    const Json& has_bias = At(config, "use_bias");
    const bool bias = !has_bias.is_boolean() || has_bias.get<bool>();
    const std::string name = Name(config);
    AddLayer(name,
             absl::StrCat("Linear ", units.get<int64_t>(), " bias=", bias ? "true" : "false"));
    Quantization record;
    if (rounded_.has_value()) AddOperand(operands::kDataIn, *rounded_, record);
    rounded_.reset();
    const std::pair<const char*, absl::string_view> tensors[] = {
        {"kernel_quantizer", operands::kWeight}, {"bias_quantizer", operands::kBias}};
    for (const auto& [key, operand] : tensors) {
      const Json& json = At(config, key);
      if (json.is_null() || (operand == operands::kBias && !bias)) continue;
      MASE_ASSIGN_OR_RETURN(const Quantizer quantizer, ParseQuantizer(json));
      MASE_ASSIGN_OR_RETURN(const FormatProto format, FormatOf(quantizer));
      AddOperand(operand, format, record);
    }
    if (record.operand_size() > 0) RecordOf(name) = record;
    const Json& activation = At(config, "activation");
    if (activation.is_null() || activation == "linear") return absl::OkStatus();
    return AddActivation(activation, Name({{"name", absl::StrCat(name, "_activation")}}));
  }

  absl::Status AddActivation(const Json& json, const std::string& name) {
    MASE_ASSIGN_OR_RETURN(const Quantizer activation, ParseQuantizer(json));
    if (activation.name == "linear") return absl::OkStatus();
    EndRounding();
    for (const auto& [theirs, ours] : kActivations) {
      if (activation.name != theirs) continue;
      AddLayer(name, std::string(ours));
      return absl::OkStatus();
    }
    if (activation.name != "quantized_relu") {
      return CannotRead("activation ", Quoted(activation.name),
                        " is not read; quantized_relu, relu, tanh, sigmoid and softmax are");
    }
    MASE_ASSIGN_OR_RETURN(rounded_, FormatOf(activation));
    rounder_ = name;
    AddLayer(name, "ReLU");
    return absl::OkStatus();
  }

  KerasNet net_;
  std::vector<std::string> segments_;
  std::vector<std::pair<std::string, Quantization>> records_;
  std::map<std::string, int> names_;
  std::optional<FormatProto> rounded_;  // What the last relu rounds its result to,
  std::string rounder_;                 // and its name.
};

// The layers that a layer of a functional net reads, by name.
std::vector<std::string> InboundOf(const Json& layer) {
  std::vector<std::string> names;
  for (const Json& node : At(layer, "inbound_nodes")) {
    if (!node.is_array()) return {"?", "?"};  // Keras 3's, by keras_history: told apart below.
    for (const Json& input : node) {
      const bool named = input.is_array() && !input.empty() && input[0].is_string();
      names.push_back(named ? input[0].get<std::string>() : "?");
    }
  }
  return names;
}

}  // namespace

bool LooksLikeKerasJson(absl::string_view text) {
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "{");
}

absl::StatusOr<KerasNet> ParseKerasNet(absl::string_view json) {
  const auto shallow = [](int depth, Json::parse_event_t, Json&) {
    return depth < limits::kMaxConfigNesting;
  };
  const Json net = Json::parse(json.begin(), json.end(), shallow, /*allow_exceptions=*/false);
  const Json& layers = At(At(net, "config"), "layers");
  if (!layers.is_array() || layers.empty() || layers.size() > kMaxLayers) {
    return Bad(
        "want {\"class_name\": \"Sequential\", \"config\": {\"layers\": [...]}}, as "
        "model.to_json() gives");
  }
  NetReader reader;
  std::string last;
  for (const Json& layer : layers) {
    const std::string kind = TextAt(layer, "class_name");
    const Json& config = At(layer, "config");
    const std::string name = TextAt(config, "name");
    const std::vector<std::string> inbound = InboundOf(layer);
    const bool chain = inbound.empty() || (inbound.size() == 1 && inbound[0] == last);
    absl::Status status = chain ? reader.Add(kind, config)
                                : CannotRead(
                                      "reads others than the layer before it; only chains "
                                      "are read from JSON, as ONNX other nets are");
    if (!status.ok()) return Annotate(status, absl::StrCat("layer ", Quoted(name)));
    last = name;
  }
  return reader.Finish();
}

absl::Status SetRecords(const KerasNet& net, Graph& graph) {
  for (const KerasNet::Record& record : net.records) {
    bool found = false;
    for (Node* node : graph.NodesInOrder()) {
      if (node->target() != record.path) continue;
      graph.SetQuantization(node, record.quantization);
      found = true;
    }
    if (!found) return absl::InternalError(absl::StrCat("no module ", Quoted(record.path)));
  }
  return absl::OkStatus();
}

}  // namespace mase
