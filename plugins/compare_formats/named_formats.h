// Formats by name, for tables: the standard list, and what users write in options.
#ifndef MASE_PLUGINS_COMPARE_FORMATS_NAMED_FORMATS_H_
#define MASE_PLUGINS_COMPARE_FORMATS_NAMED_FORMATS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/calibrate/observer.h"
#include "proto/format.pb.h"

namespace mase::plugins::compare_formats {

struct NamedFormat {
  std::string name;
  // What sets the range may be left open, also where the family requires it.
  FormatProto format;
};

// `format` with what it leaves open settled by FitToRange (mase/calibrate/fit.h): the finest that
// holds the values of a tensor. Affine scales get zero points. Errors are those of Format::Create.
absl::StatusOr<FormatProto> Settle(const FormatProto& format, Range range);

// About 50 formats of 1 to 16 bits.
std::vector<NamedFormat> StandardFormats();

// A format as ParseFormat (mase/format/format_text.h) reads it, under the name that the user gave
// it; checked as Format::Create does for a range of -1 to 1.
absl::StatusOr<NamedFormat> ParseNamed(absl::string_view text);

}  // namespace mase::plugins::compare_formats

#endif  // MASE_PLUGINS_COMPARE_FORMATS_NAMED_FORMATS_H_
