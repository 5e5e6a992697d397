// The values of formats that plugins bring: PluginFormat (proto/format.proto) has them as a list,
// which the family's table of parameters names.
#ifndef MASE_FORMAT_PLUGIN_VALUES_H_
#define MASE_FORMAT_PLUGIN_VALUES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/format/family.h"
#include "proto/format.pb.h"

namespace mase {

// Gives what is left out its default. InvalidArgument naming family and parameter: a required one
// is missing, one is infinite, or there are more values than parameters.
absl::Status FillPluginValues(const Family& family, PluginFormat* format);

// Reads "8/1", where None leaves one out, or "{ width: 8 es: 1 }".
absl::Status ReadPluginValues(const Family& family, absl::string_view text, PluginFormat* format);

// The values as texts, "None" for what is left out between others.
std::vector<std::string> PluginValueTexts(const PluginFormat& format);

}  // namespace mase

#endif  // MASE_FORMAT_PLUGIN_VALUES_H_
