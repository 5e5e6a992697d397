// RunConfig as a text proto: read with positions, written for run directories.
#ifndef MASE_CONFIG_TEXT_PROTO_H_
#define MASE_CONFIG_TEXT_PROTO_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/config/merge.h"
#include "mase/config/value.h"
#include "proto/config.pb.h"

namespace mase {

// The fields that are set, as a tree for the merger. Options of passes are written
// [type.googleapis.com/mase.plugins.quantize.QuantizeOptions] { ... }; the part
// before the type's name is asked of `resolve_pass`; without one they are skipped.
// Errors start with "NAME:LINE:COL: ".
absl::StatusOr<ConfigValue> ParseTextProto(absl::string_view text, absl::string_view name,
                                           const PassOptionsResolver& resolve_pass);

// The settings as a text proto that, given as --config, makes the same run: all
// but run_dir, defaults included, always the same bytes for the same settings.
std::string ConfigText(const RunConfig& config);

}  // namespace mase

#endif  // MASE_CONFIG_TEXT_PROTO_H_
