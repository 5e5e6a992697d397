#include "plugins/compare_formats/named_formats.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/calibrate/fit.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"

namespace mase::plugins::compare_formats {
namespace {

constexpr absl::string_view kStandard[] = {
    "float16",
    "bfloat16",
    "fp8_e4m3",
    "fp8_e5m2",
    "fp6_e2m3",
    "fp6_e3m2",
    "fp4_e2m1",
    "minifloat_ieee 8/4",
    "minifloat_ieee 6/3",
    "minifloat_ieee 5/2",
    "minifloat_ieee 4/2",
    "minifloat_denorm 8/4",
    "minifloat_denorm 6/3",
    "minifloat_denorm 5/2",
    "integer 16",
    "integer 12",
    "integer 10",
    "integer 8",
    "integer 8/4",
    "integer 7",
    "integer 6",
    "integer 5",
    "integer 4",
    "integer 3",
    "integer 2",
    "integer_floor 8",
    "integer_floor 6",
    "scale_integer 8",
    "scale_integer 4",
    "affine 8",
    "affine 4",
    "lsq { level: 16 sym: true }",
    "log 8",
    "log 5",
    "log 4",
    "block_fp 8",
    "block_fp 6",
    "block_fp 4",
    "block_fp 3",
    "block_minifloat 8/4/8",
    "block_minifloat 6/2/8",
    "block_log 8/8",
    "block_log 4/8",
    "mxint8",
    "mxint6",
    "mxint4",
    "mxfp8_e4m3",
    "mxfp8_e5m2",
    "mxfp6_e2m3",
    "mxfp6_e3m2",
    "mxfp4_e2m1",
    "ternary",
    "binary { }",
};

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
  for (absl::string_view text : kStandard) formats.push_back(ParseNamed(text).value());
  return formats;
}

absl::StatusOr<NamedFormat> ParseNamed(absl::string_view text) {
  MASE_ASSIGN_OR_RETURN(FormatProto format, ParseFormat(text));
  // Format::Create's verdict on what is left when the range is settled.
  MASE_RETURN_IF_ERROR(
      Annotate(Settle(format, {-1, 1}).status(), absl::StrCat("format '", text, "'")));
  return NamedFormat{std::string(absl::StripAsciiWhitespace(text)), std::move(format)};
}

}  // namespace mase::plugins::compare_formats
