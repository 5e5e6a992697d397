#include "mase/testing/matchers.h"

#include <string>
#include <utility>

#include "glog/logging.h"
#include "mase/graph/graph_diff.h"
#include "mase/graph/graph_text.h"

namespace mase {
namespace {

class EqualsGraphMatcher : public ::testing::MatcherInterface<const Graph&> {
 public:
  explicit EqualsGraphMatcher(absl::string_view text) : text_(text) {}

  bool MatchAndExplain(const Graph& graph,
                       ::testing::MatchResultListener* listener) const override {
    const Graph expected = ParseGraph(text_);
    const std::string text = WriteGraphText(graph);
    if (text == WriteGraphText(expected)) return true;
    *listener << "differs from the expected graph:\n" << DiffGraphs(expected, graph) << text;
    return false;
  }

  void DescribeTo(std::ostream* os) const override { *os << "equals the graph\n" << text_; }

 private:
  const std::string text_;
};

}  // namespace

Graph ParseGraph(absl::string_view text) {
  absl::StatusOr<Graph> graph = ReadGraphText(text);
  CHECK(graph.ok()) << graph.status();
  return *std::move(graph);
}

::testing::Matcher<const Graph&> EqualsGraph(absl::string_view text) {
  return ::testing::Matcher<const Graph&>(new EqualsGraphMatcher(text));
}

}  // namespace mase
