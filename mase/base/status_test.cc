#include "mase/base/status.h"

#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using absl::StatusCode;

// As docs/robustness.md says.
TEST(ExitCodeTest, EachCodeHasOne) {
  constexpr std::pair<StatusCode, int> kCodes[] = {
      {StatusCode::kOk, 0},
      {StatusCode::kUnknown, 1},
      {StatusCode::kInternal, 1},
      {StatusCode::kUnavailable, 1},
      {StatusCode::kDeadlineExceeded, 1},
      {StatusCode::kFailedPrecondition, 1},
      {StatusCode::kOutOfRange, 1},
      {StatusCode::kUnauthenticated, 1},
      {StatusCode::kInvalidArgument, 2},
      {StatusCode::kNotFound, 2},
      {StatusCode::kAlreadyExists, 2},
      {StatusCode::kUnimplemented, 2},
      {StatusCode::kAborted, 3},
      {StatusCode::kDataLoss, 4},
      {StatusCode::kResourceExhausted, 4},
      {StatusCode::kPermissionDenied, 4},
      {StatusCode::kCancelled, 130},
  };
  for (const auto& [code, exit_code] : kCodes) {
    EXPECT_EQ(ExitCode(absl::Status(code, "why")), exit_code) << absl::StatusCodeToString(code);
  }
}

TEST(AnnotateTest, SaysWhereAndKeepsCodeAndPayloads) {
  absl::Status status = absl::DataLossError("cut");
  status.SetPayload("line", absl::Cord("7"));
  const absl::Status annotated = Annotate(status, "net.h5");
  EXPECT_EQ(annotated.code(), StatusCode::kDataLoss);
  EXPECT_EQ(annotated.message(), "net.h5: cut");
  EXPECT_EQ(annotated.GetPayload("line"), absl::Cord("7"));
}

TEST(AnnotateTest, OkStaysOk) { EXPECT_EQ(Annotate(absl::OkStatus(), "net.h5"), absl::OkStatus()); }

}  // namespace
}  // namespace mase
