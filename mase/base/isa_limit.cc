#include "mase/base/isa_limit.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "mase/base/quote.h"

namespace mase {
namespace {

constexpr char kVariable[] = "MASE_MAX_CPU_ISA";

// As oneDNN spells those that it has, too.
constexpr std::pair<absl::string_view, IsaLimit> kLimits[] = {
    {"SSE2", IsaLimit::kSse2},     {"AVX2", IsaLimit::kAvx2},
    {"AVX512", IsaLimit::kAvx512}, {"AVX512_VNNI", IsaLimit::kAvx512Vnni},
    {"ALL", IsaLimit::kAll},
};

struct Setting {
  std::string text;
  std::optional<IsaLimit> limit;
};

const Setting& TheSetting() {
  static const Setting& setting = *new Setting([] {
    const char* text = std::getenv(kVariable);
    if (text == nullptr || *text == '\0') return Setting{"", IsaLimit::kAll};
    for (const auto& [name, limit] : kLimits) {
      if (absl::EqualsIgnoreCase(name, text)) return Setting{text, limit};
    }
    return Setting{text, std::nullopt};
  }());
  return setting;
}

}  // namespace

IsaLimit MaxIsa() { return TheSetting().limit.value_or(IsaLimit::kAll); }

absl::Status CheckIsaLimit() {
  if (TheSetting().limit.has_value()) return absl::OkStatus();
  std::vector<absl::string_view> names;
  for (const auto& [name, limit] : kLimits) names.push_back(name);
  return absl::InvalidArgumentError(absl::StrCat(kVariable, " is ", Quoted(TheSetting().text),
                                                 ", want one of ", absl::StrJoin(names, ", ")));
}

}  // namespace mase
