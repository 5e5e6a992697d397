// Graphs as people write them. What was read is written and read again, to the same text.
#include "mase/graph/graph_text.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "glog/logging.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto graph = mase::ReadGraphText({reinterpret_cast<const char*>(data), size});
  if (!graph.ok()) return 0;
  const std::string text = mase::WriteGraphText(*graph);
  const auto again = mase::ReadGraphText(text);
  CHECK(again.ok()) << again.status() << "\n" << text;
  CHECK_EQ(mase::WriteGraphText(*again), text);
  return 0;
}
