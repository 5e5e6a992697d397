// WithDefaults: what holds where a format's text or message says nothing.
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/plugin_values.h"

namespace mase {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// A field that may be left out, and its value as docs/formats.md writes it: a number, a word, or
// one of kFormulas.
struct Default {
  FormatProto::FamilyCase family;
  absl::string_view field;
  absl::string_view value;
};

constexpr Default kDefaults[] = {
    {FormatProto::kInteger, "frac_width", "width / 2"},
    {FormatProto::kInteger, "is_signed", "true"},
    {FormatProto::kScaleInteger, "is_signed", "true"},
    {FormatProto::kScaleInteger, "quantile", "1"},
    {FormatProto::kAffine, "is_signed", "true"},
    {FormatProto::kMinifloatDenorm, "exponent_bias", "2^(exponent_width-1) - 1"},
    {FormatProto::kMinifloatIeee, "exponent_bias", "2^(exponent_width-1) - 1"},
    {FormatProto::kMinifloat, "is_finite", "true"},
    {FormatProto::kMinifloat, "round_mode", "rn"},
    {FormatProto::kLog, "exponent_bias", "2^(width-2) - 1"},
    {FormatProto::kLog, "has_zero", "true"},
    {FormatProto::kBlockFp, "width", "12"},
    {FormatProto::kBlockFp, "exponent_width", "8"},
    {FormatProto::kBlockFp, "exponent_bias", "2^(exponent_width-1) - 1"},
    {FormatProto::kBlockFp, "block_size", "16"},
    {FormatProto::kBlockFp, "skip_first_dim", "true"},
    {FormatProto::kBlockMinifloat, "block_size", "16"},
    {FormatProto::kBlockMinifloat, "skip_first_dim", "false"},
    {FormatProto::kBlockLog, "block_size", "16"},
    {FormatProto::kBlockLog, "skip_first_dim", "false"},
    {FormatProto::kBlockLog, "has_zero", "true"},
    {FormatProto::kBinaryResidual, "levels", "2"},
    {FormatProto::kLsq, "scale", "1"},
    {FormatProto::kMxint, "block_dim", "-1"},
    {FormatProto::kMxint, "scale_bits", "8"},
    {FormatProto::kMxfp, "block_dim", "-1"},
    {FormatProto::kMxfp, "scale_exp_bits", "8"},
    {FormatProto::kMxintHardware, "width", "12"},
    {FormatProto::kMxintHardware, "exponent_width", "6"},
    {FormatProto::kMx, "axis", "-1"},
    {FormatProto::kMx, "scale_bits", "8"},
    {FormatProto::kMx, "shared_exp_method", "max"},
    {FormatProto::kMx, "allow_denorm", "true"},
    {FormatProto::kLogicnets, "frac_width", "width / 2"},
    {FormatProto::kLutnet, "levels", "2"},
    {FormatProto::kLutnet, "binarization_level", "1"},
};

// An integer of another field of the message.
struct Formula {
  absl::string_view text;
  absl::string_view of;
  int (*value)(int of);
};

// Of a width out of every family's range, which Create refuses, nothing follows.
int BiasOf(int bits) { return bits >= 1 && bits <= 30 ? (1 << (bits - 1)) - 1 : 0; }

constexpr Formula kFormulas[] = {
    {"width / 2", "width", [](int width) { return width / 2; }},
    {"2^(exponent_width-1) - 1", "exponent_width", BiasOf},
    {"2^(width-2) - 1", "width", [](int width) { return width > 1 ? BiasOf(width - 1) : 0; }},
};

const FieldDescriptor& FieldOf(const Message& message, absl::string_view name) {
  return *message.GetDescriptor()->FindFieldByName(std::string(name));
}

int IntegerOf(absl::string_view value, const Message& message) {
  for (const Formula& formula : kFormulas) {
    if (value != formula.text) continue;
    return formula.value(message.GetReflection()->GetInt32(message, &FieldOf(message, formula.of)));
  }
  int number = 0;
  (void)absl::SimpleAtoi(value, &number);
  return number;
}

void Set(const Default& given, Message* message) {
  const FieldDescriptor& field = FieldOf(*message, given.field);
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  if (field.is_repeated()) {
    if (reflection.FieldSize(*message, &field) > 0) return;
    return reflection.AddInt32(message, &field, IntegerOf(given.value, *message));
  }
  if (reflection.HasField(*message, &field)) return;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(message, &field, IntegerOf(given.value, *message));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(message, &field, given.value == "true");
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(message, &field,
                                 static_cast<float>(IntegerOf(given.value, *message)));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(message, &field, IntegerOf(given.value, *message));
    default:
      return reflection.SetString(message, &field, std::string(given.value));
  }
}

}  // namespace

FormatProto WithDefaults(const FormatProto& format) {
  FormatProto full = format;
  if (format.family_case() == FormatProto::FAMILY_NOT_SET) return full;
  if (format.has_plugin()) {
    // What it cannot complete stays as it is, for Create to refuse.
    PluginFormat values = format.plugin();
    if (FillPluginValues(*FindFamily(format), &values).ok()) *full.mutable_plugin() = values;
    return full;
  }
  Message* message = full.GetReflection()->MutableMessage(
      &full, FormatProto::descriptor()->FindFieldByNumber(format.family_case()));
  for (const Default& given : kDefaults) {
    if (given.family == format.family_case()) Set(given, message);
  }
  return full;
}

}  // namespace mase
