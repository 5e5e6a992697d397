// Matchers and short cuts for tests: statuses, and graphs as text.
//
//   EXPECT_THAT(LoadGraph(path), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
//   EXPECT_OK(graph.EraseNode(node));
//   Graph graph = ParseGraph(R"(
//   x = placeholder() : f32[8, 4]
//   relu = relu(x)
//   output = output(relu)
//   )");
//   EXPECT_THAT(graph, EqualsGraph(kJscTiny));
#ifndef MASE_TESTING_MATCHERS_H_
#define MASE_TESTING_MATCHERS_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/graph/graph.h"

namespace mase {

inline const absl::Status& ToStatus(const absl::Status& status) { return status; }
template <typename T>
absl::Status ToStatus(const absl::StatusOr<T>& status) {
  return status.status();
}

// Matches a Status or StatusOr by code and, optionally, message.
MATCHER_P(IsOkMatcher, unused, "is OK") {
  *result_listener << ToStatus(arg).ToString();
  return ToStatus(arg).ok();
}
inline auto IsOk() { return IsOkMatcher(0); }

MATCHER_P2(StatusIs, code, message_matcher, "has the code and message") {
  const absl::Status status = ToStatus(arg);
  *result_listener << status.ToString();
  return status.code() == code &&
         ::testing::ExplainMatchResult(message_matcher, std::string(status.message()),
                                       result_listener);
}
template <typename Code>
auto StatusIs(Code code) {
  return StatusIs(code, ::testing::_);
}

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::mase::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::mase::IsOk())

// The value of a StatusOr, or the end of the test program with its error.
template <typename T>
T ValueOrDie(absl::StatusOr<T> value) {
  if (!value.ok()) ADD_FAILURE() << value.status();
  return std::move(value).value();
}

// A graph from its text form (mase/graph/graph_text.h); its tensors are zeros. Ends the test
// program where the text is no graph.
Graph ParseGraph(absl::string_view text);

// The zoo's jsc-tiny for a batch of 8, the net that most tests of passes are about.
inline constexpr char kJscTiny[] = R"(
x = placeholder() : f32[8, 16]
seq_blocks_0 = batch_norm1d(x, num_features=16) @seq_blocks.0
seq_blocks_1 = relu(seq_blocks_0) @seq_blocks.1
seq_blocks_2 = linear(seq_blocks_1, in_features=16, out_features=5) @seq_blocks.2
seq_blocks_3 = relu(seq_blocks_2) @seq_blocks.3
output = output(seq_blocks_3)
)";

// Matches a Graph that is written as ParseGraph(text) is: notes on nodes and the elements of
// tensors do not count. Explains by DiffGraphs, and shows the graph.
::testing::Matcher<const Graph&> EqualsGraph(absl::string_view text);

}  // namespace mase

#endif  // MASE_TESTING_MATCHERS_H_
