#include "plugins/compare_formats/named_formats.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/calibrate/fit.h"
#include "mase/format/family.h"
#include "mase/format/format.h"

namespace mase::plugins::compare_formats {
namespace {

constexpr std::pair<absl::string_view, absl::string_view> kStandard[] = {
    {"float16", "mx { element_format: 'float16' }"},
    {"bfloat16", "mx { element_format: 'bfloat16' }"},
    {"fp8_e4m3", "mx { element_format: 'fp8_e4m3' }"},
    {"fp8_e5m2", "mx { element_format: 'fp8_e5m2' }"},
    {"fp6_e2m3", "mx { element_format: 'fp6_e2m3' }"},
    {"fp6_e3m2", "mx { element_format: 'fp6_e3m2' }"},
    {"fp4_e2m1", "mx { element_format: 'fp4_e2m1' }"},
    {"minifloat_ieee 8/4", "minifloat_ieee { width: 8 exponent_width: 4 }"},
    {"minifloat_ieee 6/3", "minifloat_ieee { width: 6 exponent_width: 3 }"},
    {"minifloat_ieee 5/2", "minifloat_ieee { width: 5 exponent_width: 2 }"},
    {"minifloat_ieee 4/2", "minifloat_ieee { width: 4 exponent_width: 2 }"},
    {"minifloat_denorm 8/4", "minifloat_denorm { width: 8 exponent_width: 4 }"},
    {"minifloat_denorm 6/3", "minifloat_denorm { width: 6 exponent_width: 3 }"},
    {"minifloat_denorm 5/2", "minifloat_denorm { width: 5 exponent_width: 2 }"},
    {"integer 16", "integer { width: 16 }"},
    {"integer 12", "integer { width: 12 }"},
    {"integer 10", "integer { width: 10 }"},
    {"integer 8", "integer { width: 8 }"},
    {"integer 8/4", "integer { width: 8 frac_width: 4 }"},
    {"integer 7", "integer { width: 7 }"},
    {"integer 6", "integer { width: 6 }"},
    {"integer 5", "integer { width: 5 }"},
    {"integer 4", "integer { width: 4 }"},
    {"integer 3", "integer { width: 3 }"},
    {"integer 2", "integer { width: 2 }"},
    {"integer_floor 8", "integer { width: 8 } rounding: FLOOR"},
    {"integer_floor 6", "integer { width: 6 } rounding: FLOOR"},
    {"scale_integer 8", "scale_integer { width: 8 }"},
    {"scale_integer 4", "scale_integer { width: 4 }"},
    {"affine 8", "affine { width: 8 }"},
    {"affine 4", "affine { width: 4 }"},
    {"lsq 16 levels", "lsq { level: 16 sym: true }"},
    {"log 8", "log { width: 8 }"},
    {"log 5", "log { width: 5 }"},
    {"log 4", "log { width: 4 }"},
    {"block_fp 8", "block_fp { width: 8 block_size: 16 }"},
    {"block_fp 6", "block_fp { width: 6 block_size: 16 }"},
    {"block_fp 4", "block_fp { width: 4 block_size: 16 }"},
    {"block_fp 3", "block_fp { width: 3 block_size: 16 }"},
    {"block_minifloat 8/4",
     "block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: 16 }"},
    {"block_minifloat 6/2",
     "block_minifloat { width: 6 exponent_width: 2 exponent_bias_width: 8 block_size: 16 }"},
    {"block_log 8", "block_log { width: 8 exponent_bias_width: 8 block_size: 16 }"},
    {"block_log 4", "block_log { width: 4 exponent_bias_width: 8 block_size: 16 }"},
    {"mxint8", "mxint { block_size: 32 element_bits: 8 }"},
    {"mxint6", "mxint { block_size: 32 element_bits: 6 }"},
    {"mxint4", "mxint { block_size: 32 element_bits: 4 }"},
    {"mxfp8_e4m3", "mxfp { block_size: 32 element_exp_bits: 4 element_frac_bits: 3 }"},
    {"mxfp8_e5m2", "mxfp { block_size: 32 element_exp_bits: 5 element_frac_bits: 2 }"},
    {"mxfp6_e2m3", "mxfp { block_size: 32 element_exp_bits: 2 element_frac_bits: 3 }"},
    {"mxfp6_e3m2", "mxfp { block_size: 32 element_exp_bits: 3 element_frac_bits: 2 }"},
    {"mxfp4_e2m1", "mxfp { block_size: 32 element_exp_bits: 2 element_frac_bits: 1 }"},
    {"ternary", "ternary { scaling_factor: true }"},
    {"binary", "binary { }"},
};

std::vector<std::string> KnownNames() {
  std::vector<std::string> names;
  for (const auto& [name, text] : kStandard) names.emplace_back(name);
  for (const Family* family : Families()) names.emplace_back(family->name);
  return names;
}

// Format::Create's verdict on what is left when the range is settled.
absl::Status Check(const FormatProto& format) { return Settle(format, {-1, 1}).status(); }

absl::StatusOr<FormatProto> FromText(absl::string_view text) {
  MASE_ASSIGN_OR_RETURN(const FormatProto format, ParseFormatText(text));
  MASE_RETURN_IF_ERROR(Check(format));
  return format;
}

// Sets a parameter of a config from the text of its value.
absl::Status SetParameter(const FamilyParameter& parameter, absl::string_view value,
                          FormatParameters* parameters) {
  const auto& field = *FormatParameters::descriptor()->FindFieldByName(std::string(parameter.name));
  const auto& reflection = *parameters->GetReflection();
  int32_t integer = 0;
  float number = 0;
  bool truth = false;
  const bool parsed = [&] {
    switch (field.cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_INT32:
        if (!absl::SimpleAtoi(value, &integer)) return false;
        field.is_repeated() ? reflection.AddInt32(parameters, &field, integer)
                            : reflection.SetInt32(parameters, &field, integer);
        return true;
      case google::protobuf::FieldDescriptor::CPPTYPE_FLOAT:
        if (!absl::SimpleAtof(value, &number)) return false;
        reflection.SetFloat(parameters, &field, number);
        return true;
      case google::protobuf::FieldDescriptor::CPPTYPE_BOOL:
        if (!absl::SimpleAtob(value, &truth)) return false;
        reflection.SetBool(parameters, &field, truth);
        return true;
      default:
        reflection.SetString(parameters, &field, std::string(value));
        return true;
    }
  }();
  if (parsed) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(parameter.name, " '", value, "'"));
}

// "integer 8/4": values in the order of metadata's `precision`.
absl::StatusOr<FormatProto> FromValues(const Family& family, absl::string_view name,
                                       absl::string_view values) {
  const std::vector<absl::string_view> given = absl::StrSplit(values, '/', absl::SkipEmpty());
  FormatParameters parameters;
  std::vector<absl::string_view> order;
  for (const FamilyParameter& parameter : family.parameters) {
    if (!parameter.in_precision) continue;
    const size_t i = order.size();
    order.push_back(parameter.name);
    if (i >= given.size() || given[i] == "None") continue;
    MASE_RETURN_IF_ERROR(SetParameter(parameter, given[i], &parameters));
  }
  if (given.size() > order.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(given.size(), " values, but ", name, " has ", absl::StrJoin(order, "/")));
  }
  return FormatFromParameters(name, parameters, "");
}

}  // namespace

absl::StatusOr<FormatProto> Settle(const FormatProto& format, Range range) {
  if (!CanFit(format) || HasFit(format)) {
    MASE_RETURN_IF_ERROR(Format::Create(format).status());
    return format;
  }
  // Zeros are exact in any range.
  if (range.lo == 0 && range.hi == 0) range = {-1, 1};
  const bool affine = format.has_affine();
  return FitToRange(format, range, {.float_scale = affine, .symmetric = !affine});
}

std::vector<NamedFormat> StandardFormats() {
  std::vector<NamedFormat> formats;
  for (const auto& [name, text] : kStandard) formats.push_back(ParseFormat(name).value());
  return formats;
}

absl::StatusOr<NamedFormat> ParseFormat(absl::string_view text) {
  NamedFormat named = {.name = std::string(absl::StripAsciiWhitespace(text))};
  absl::StatusOr<FormatProto> format = absl::NotFoundError("");
  for (const auto& [name, definition] : kStandard) {
    if (named.name == name) format = FromText(definition);
  }
  if (named.name.find_first_of("{:") != std::string::npos) {
    format = FromText(named.name);
  } else if (!format.ok()) {
    const std::pair<absl::string_view, absl::string_view> words =
        absl::StrSplit(named.name, absl::MaxSplits(' ', 1));
    const Family* family = FindFamily(words.first);
    if (family == nullptr) {
      return absl::NotFoundError(
          absl::StrCat("unknown format '", named.name, "'", Suggest(named.name, KnownNames())));
    }
    format = FromValues(*family, words.first, words.second);
  }
  if (!format.ok()) return Annotate(format.status(), absl::StrCat("format '", named.name, "'"));
  named.format = *std::move(format);
  return named;
}

}  // namespace mase::plugins::compare_formats
