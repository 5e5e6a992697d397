// How users write a number format: in the rules of `quantize`, in the lists of `compare_formats`,
// for the program `formats`, in tables. One parser, and a printer whose texts it reads back.
//
//   integer 8/4                          a family and its values, in the order that `formats
//                                        describe integer` shows; what is left out has its default
//   block_fp 8/8/None/1x16               None leaves one out; extents of a block are joined by x
//   integer 8/4 rounding: FLOOR          FormatProto's policies may follow (proto/format.proto)
//   mxfp { block_size: 32 element_exp_bits: 4 element_frac_bits: 3 }     FormatProto as text
//   mxfp8_e4m3, bfloat16, fp8_e5m2       names of the literature (kNamedFormats in the source)
//   integer                              a family alone: its example, as `formats list` shows it
//
// Aliases of families (fixed, msfp, ...) stand for the family; integer_floor rounds by FLOOR.
#ifndef MASE_FORMAT_FORMAT_TEXT_H_
#define MASE_FORMAT_FORMAT_TEXT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/format.pb.h"

namespace mase {

// The format that `text` says. Only the text is checked: Format::Create checks the values, so that
// what a pass fits to the data ("affine 8") may be missing. Messages begin with "format 'TEXT': ".
// NotFound: no such family or name, with the nearest or all there are; InvalidArgument: the rest.
absl::StatusOr<FormatProto> ParseFormat(absl::string_view text);

// A short text that ParseFormat turns into `format` again, defaults aside: a name, values, or,
// where they do not say it all, FormatProto's text.
std::string FormatText(const FormatProto& format);

// Whether the literature calls a format so (mxfp8_e4m3).
bool IsNamedFormat(absl::string_view name);

// NotFound: "unknown format 'intger'; did you mean 'integer'?", or what there is if none is near.
absl::Status UnknownFormatError(absl::string_view name);

}  // namespace mase

#endif  // MASE_FORMAT_FORMAT_TEXT_H_
