// Number formats as text, and regular expressions.
#include "mase/format/format_text.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "mase/base/pattern.h"
#include "mase/format/format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto proto = mase::ParseFormat(text); proto.ok()) {
    const auto format = mase::Format::Create(*proto);
    if (format.ok()) {
      (void)(*format)->Describe();
      const auto again = mase::ParseFormat(mase::FormatText(*proto));
      CHECK(again.ok()) << again.status();
      CHECK_EQ(mase::FormatText(*again), mase::FormatText(*proto));
    }
  }
  if (const auto pattern = mase::Pattern::Compile(text); pattern.ok()) (void)pattern->Matches(text);
  return 0;
}
