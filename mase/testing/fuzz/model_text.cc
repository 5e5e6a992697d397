// Layer lists, and nets as PyTorch prints them.
#include <cstddef>
#include <cstdint>
#include <string>

#include "mase/model/zoo.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const mase::Shape& input : {mase::Shape({16}), mase::Shape({3, 8, 8})}) {
    (void)mase::BuildModel({.model = text, .input = input, .classes = 5, .max_elements = 1 << 16});
  }
  return 0;
}
