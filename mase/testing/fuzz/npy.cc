// NumPy's arrays and archives of them.
#include "mase/interop/npy.h"

#include <cstddef>
#include <cstdint>

#include "mase/interop/npz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)mase::ParseNpy(bytes, "fuzz");
  const auto archive = mase::NpzFile::Open(bytes);
  if (!archive.ok()) return 0;
  for (const std::string& name : archive->names()) {
    if (const auto member = archive->Unpack(name); member.ok()) (void)mase::ParseNpy(*member, name);
  }
  return 0;
}
