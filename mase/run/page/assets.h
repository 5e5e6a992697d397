// What every page holds besides its own content: style, script, and d3 with its licence. They are
// files that become part of this program when it is built.
#ifndef MASE_RUN_PAGE_ASSETS_H_
#define MASE_RUN_PAGE_ASSETS_H_

#include "absl/strings/string_view.h"

namespace mase {

absl::string_view PageStyle();
absl::string_view PageScript();
absl::string_view D3Script();

}  // namespace mase

#endif  // MASE_RUN_PAGE_ASSETS_H_
