#include "mase/run/build_events.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// As Bazel 4.2 writes it, shortened.
constexpr char kEvents[] =
    R"({"id":{"started":{}},"started":{"startTimeMillis":"1700000000000","buildToolVersion":"4.2.3","command":"test"}}
{"id":{"targetConfigured":{"label":"//:int8"}},"configured":{"targetKind":"mase_transform rule"}}
{"id":{"targetConfigured":{"label":"//:int4"}},"configured":{"targetKind":"mase_transform rule"}}
{"id":{"actionCompleted":{"primaryOutput":"bazel-out/int4","label":"//:int4"}},"action":{"exitCode":4,"type":"MaseTransform","failureDetail":{"message":"local spawn failed"}}}
{"id":{"targetCompleted":{"label":"//:int8"}},"completed":{"success":true}}
{"id":{"targetCompleted":{"label":"//:int4"}},"completed":{}}
{"id":{"testResult":{"label":"//:t","shard":1}},"testResult":{"status":"PASSED","cachedLocally":true,"testAttemptDurationMillis":"250"}}
{"id":{"testResult":{"label":"//:t","shard":2}},"testResult":{"status":"FAILED","testAttemptDurationMillis":"1000","executionInfo":{}}}
{"id":{"testSummary":{"label":"//:t"}},"testSummary":{"overallStatus":"FAILED","shardCount":2}}
{"id":{"buildFinished":{}},"finished":{"exitCode":{"name":"TESTS_FAILED","code":3},"finishTimeMillis":"1700000002500"}}
{"id":{"buildToolLogs":{}},"buildToolLogs":{"log":[{"name":"process stats","contents":"MTAgcHJvY2Vzc2VzOiAxMCByZW1vdGUgY2FjaGUgaGl0Lg=="}]}}
)";

TEST(BuildEventsTest, SaysWhatWasMadeWhatFailedAndWhy) {
  const BuildSummary build = ValueOrDie(SumUpBuildEvents(kEvents, "events.json"));
  EXPECT_EQ(build.Markdown(), R"(# bazel test: TESTS_FAILED

## The build

| what | value |
| --- | --- |
| result | TESTS_FAILED |
| Bazel | 4.2.3 |
| started | 2023-11-14 22:13:20 UTC |
| seconds | 2.5 |
| targets built | 1 |
| targets not built | 1 |
| tests | 1 |
| tests passed | 0 |
| processes | 10 processes: 10 remote cache hit |

## What failed

| what | kind | exit code | why |
| --- | --- | ---: | --- |
| //:int4 | action MaseTransform | 4 | local spawn failed |
| //:int4 | target |  | not built |
| //:t | test |  | FAILED |

## Pipelines

| target | rule | made |
| --- | --- | --- |
| //:int4 | mase_transform rule | no |
| //:int8 | mase_transform rule | yes |

## Tests

| test | status | shards | runs | cached | time (s) |
| --- | --- | ---: | ---: | ---: | ---: |
| //:t | FAILED | 2 | 2 | 1 | 1.25 |
)");
}

TEST(BuildEventsTest, ABuildThatWasKilledIsSummedUpAsFarAsItGot) {
  const std::string cut = std::string(kEvents).substr(0, 300);
  const BuildSummary build = ValueOrDie(SumUpBuildEvents(cut, "events.json"));
  EXPECT_EQ(build.title, "bazel test: not finished");
  EXPECT_EQ(build.pipelines.num_rows(), 1);
}

TEST(BuildEventsTest, RefusesWhatIsNone) {
  EXPECT_THAT(SumUpBuildEvents("", "e.json"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("e.json: has no event")));
  EXPECT_THAT(SumUpBuildEvents("{}\n[]\n{}\n", "e.json"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("e.json:2: no event of a build")));
  EXPECT_THAT(SumUpBuildEvents("\x7f"
                               "ELF",
                               "e.json"),
              StatusIs(absl::StatusCode::kDataLoss));
  const std::string deep = absl::StrCat("{\"a\":", std::string(100'000, '['));
  EXPECT_THAT(SumUpBuildEvents(deep + "\n{}\n", "e.json"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(SumUpBuildEvents(std::string((16 << 20) + 1, ' ') + "\n", "e.json"),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

// Values of other types than they should have are missing; texts cannot do harm.
TEST(BuildEventsTest, HostileValues) {
  const BuildSummary build = ValueOrDie(SumUpBuildEvents(
      R"({"id":7,"started":{"command":"\u001b[31m|<script>","startTimeMillis":"99999999999999999999"}}
{"id":{"testSummary":[]},"testSummary":{"overallStatus":{},"shardCount":-5e300}}
{"id":{},"configured":{"targetKind":"mase_x"},"finished":3,"buildToolLogs":{"log":{"name":1}}}
{"id":{},"completed":{"success":"yes"},"action":{"exitCode":1e300}}
)",
      "e.json"));
  const std::string text = absl::StrCat(build.title, build.Text({}), build.Markdown());
  EXPECT_THAT(text, AllOf(HasSubstr("\\x1b"), Not(HasSubstr("\x1b"))));
}

}  // namespace
}  // namespace mase
