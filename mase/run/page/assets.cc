#include "mase/run/page/assets.h"

namespace mase {
namespace {

// Each file as one raw string (see BUILD).
constexpr char kStyle[] =
#include "mase/run/page/page.css.inc"
    ;
constexpr char kScript[] =
#include "mase/run/page/page.js.inc"
    ;
constexpr char kD3[] =
#include "mase/run/page/d3.js.inc"
    ;

}  // namespace

absl::string_view PageStyle() { return {kStyle, sizeof kStyle - 1}; }
absl::string_view PageScript() { return {kScript, sizeof kScript - 1}; }
absl::string_view D3Script() { return {kD3, sizeof kD3 - 1}; }

}  // namespace mase
