// Matchers and short cuts for tests: statuses, and graphs as text.
//
//   EXPECT_THAT(LoadGraph(path), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
//   EXPECT_OK(graph.EraseNode(node));
//   Graph graph = ParseGraph(R"pb(node { name: "x" ... })pb");
//   EXPECT_THAT(graph, EqualsGraph(R"pb(...)pb"));
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

// A graph from text proto; `format_version` may be left out. Missing tensors are
// added as zeros, so that a test need not list them.
Graph ParseGraph(absl::string_view text);

// Matches a Graph whose canonical form equals that of ParseGraph(text); explains
// by DiffGraphs. Tensors' elements and metadata count only if `text` has them.
::testing::Matcher<const Graph&> EqualsGraph(absl::string_view text);

}  // namespace mase

#endif  // MASE_TESTING_MATCHERS_H_
