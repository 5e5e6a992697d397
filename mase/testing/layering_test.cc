// No dependency runs against the layering of docs/architecture.md: a target may depend on rooms
// left of its own, and on its own. The dependencies come from Bazel itself (a genquery).
#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"

namespace mase {
namespace {

// From left to right. A room is a folder and what is below it.
const char* const kRooms[] = {
    "//third_party",   "//proto",          "//mase/base",     "//mase/tensor",
    "//mase/interop",  "//mase/config",    "//mase/graph",    "//mase/format",
    "//mase/quantize", "//mase/kernel",    "//mase/metric",   "//mase/sampler",
    "//mase/exec",     "//mase/calibrate", "//mase/data",     "//mase/model",
    "//mase/onnx",     "//mase/predict",   "//mase/export_c", "//mase/train",
    "//mase/pass",     "//mase/pipeline",  "//mase/plugin",   "//sdk",
    "//plugins",       "//mase/run",       "//mase/search",   "//mase/cli",
    "//mase",
};

// The position of a label's room, the longest folder that matches; -1 for other repositories
// and for data.
int RoomOf(absl::string_view label) {
  const absl::string_view folder = label.substr(0, label.find(':'));
  int found = -1;
  size_t longest = 0;
  for (int i = 0; i < static_cast<int>(std::size(kRooms)); ++i) {
    const absl::string_view room = kRooms[i];
    const bool inside =
        folder == room || (absl::StartsWith(folder, room) && folder[room.size()] == '/');
    if (inside && room.size() > longest) {
      found = i;
      longest = room.size();
    }
  }
  return found;
}

struct Edge {
  std::string from, to;
};

// Lines of Bazel's graph output: "//a:b" -> "//c:d".
std::vector<Edge> ReadEdges() {
  std::ifstream file(Runfile("mase/testing/dependencies"));
  std::vector<Edge> edges;
  std::string line;
  while (std::getline(file, line)) {
    const std::vector<std::string> parts = absl::StrSplit(line, '"');
    if (parts.size() == 5 && absl::StrContains(parts[2], "->"))
      edges.push_back({parts[1], parts[3]});
  }
  return edges;
}

TEST(LayeringTest, DependenciesPointLeft) {
  const std::vector<Edge> edges = ReadEdges();
  ASSERT_GT(edges.size(), 200u) << "the query gave almost nothing";
  for (const Edge& edge : edges) {
    const int from = RoomOf(edge.from), to = RoomOf(edge.to);
    if (from < 0 || to < 0) continue;
    EXPECT_LE(to, from) << edge.from << " must not depend on " << edge.to;
  }
}

TEST(LayeringTest, OnlyKernelsUseOneDnn) {
  for (const Edge& edge : ReadEdges()) {
    if (edge.to != "//third_party:onednn") continue;
    EXPECT_TRUE(absl::StartsWith(edge.from, "//mase/kernel")) << edge.from;
  }
}

TEST(LayeringTest, PluginsDoNotUseEachOther) {
  const auto plugin = [](absl::string_view label) { return label.substr(0, label.find(':')); };
  for (const Edge& edge : ReadEdges()) {
    if (!absl::StartsWith(edge.from, "//plugins/") || !absl::StartsWith(edge.to, "//plugins/")) {
      continue;
    }
    EXPECT_EQ(plugin(edge.from), plugin(edge.to));
  }
}

}  // namespace
}  // namespace mase
