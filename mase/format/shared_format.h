// The Format of a description, made once and shared by all who ask for it: rules that check it,
// programs that round with it, costs that count its bits.
//
//   MASE_ASSIGN_OR_RETURN(std::shared_ptr<const Format> format, SharedFormat(proto));
//
// Format::Create is for those whose description changes all the time, as a learned step does.
#ifndef MASE_FORMAT_SHARED_FORMAT_H_
#define MASE_FORMAT_SHARED_FORMAT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "mase/format/format.h"
#include "proto/format.pb.h"

namespace mase {

// Equal descriptions give the same object, whichever thread asks, for as long as somebody holds it
// or no more than kMaxSharedFormats others were made since the table of them was last emptied.
// Errors of Format::Create.
absl::StatusOr<std::shared_ptr<const Format>> SharedFormat(const FormatProto& proto);

inline constexpr size_t kMaxSharedFormats = 4096;

}  // namespace mase

#endif  // MASE_FORMAT_SHARED_FORMAT_H_
