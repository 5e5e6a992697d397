// PyTorch's files, and the pickles in them.
#include "mase/interop/torch_file.h"

#include <cstddef>
#include <cstdint>

#include "mase/interop/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)mase::ParseTorchFile(bytes);
  (void)mase::Pickle::Parse(bytes);
  return 0;
}
