// Settings files of the three kinds, and --set: the text as each of them, one upon another.
#include "mase/config/config.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  mase::ConfigBuilder builder(mase::ConfigRequest{nullptr, /*read_passes=*/false});
  for (const char* name : {"fuzz.toml", "fuzz.json", "fuzz.textproto"}) {
    (void)builder.AddText(text, name, "/");
  }
  (void)builder.AddSet(text.substr(0, 1000));
  (void)builder.Build();
  return 0;
}
