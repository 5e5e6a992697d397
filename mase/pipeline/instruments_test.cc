#include "mase/pipeline/instruments.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/pipeline/testing_passes.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

class InstrumentsTest : public PipelineTest {
 protected:
  void SetUp() override {
    Add("rename", Rename, {.aliases = {"called_so_too"}});
    Add("base", Look, {.kind = kAnalysis});
    Add("look", Look, {.kind = kAnalysis, .needs = {"base"}});
    Add("failing", [](Graph&, PassContext&) -> absl::StatusOr<PassResult> {
      return absl::InvalidArgumentError("no");
    });
  }

  void Use(std::unique_ptr<Instrumentation> instrument) {
    instruments_.push_back(instrument.get());
    owned_.push_back(std::move(instrument));
  }

  ShowText Show() {
    return [this](absl::string_view text) { absl::StrAppend(&shown_, text); };
  }

  std::string shown_;
  std::vector<std::unique_ptr<Instrumentation>> owned_;
};

// Notes every call.
class Trace final : public Instrumentation {
 public:
  bool Wants(const RunningPass& pass) override { return Call("wants", pass), true; }
  absl::Status BeforePass(const RunningPass& pass, const Graph& graph) override {
    Call(absl::StrCat("before[", graph.name(), "]"), pass);
    return absl::OkStatus();
  }
  absl::Status AfterPass(const RunningPass& pass, const Graph& graph, const PassReport& report,
                         absl::Duration) override {
    Call(absl::StrCat("after[", graph.name(), report.changed() ? "!" : "", "]"), pass);
    return absl::OkStatus();
  }
  absl::Status PassFailed(const RunningPass& pass, const absl::Status& status) override {
    Call("failed", pass);
    return absl::Status(status.code(), absl::StrCat(status.message(), ", seen"));
  }
  void AfterPipeline() override { calls.push_back("end"); }

  std::vector<std::string> calls;

 private:
  void Call(const std::string& what, const RunningPass& pass) {
    calls.push_back(absl::StrCat(what, " ", pass.number, " ", pass.step.info->name));
  }
};

TEST_F(InstrumentsTest, SeeEveryPassThatIsReached) {
  auto trace = std::make_unique<Trace>();
  const Trace& seen = *trace;
  Use(std::move(trace));
  ASSERT_OK(Run({"rename", "look"}));
  EXPECT_THAT(seen.calls,
              ElementsAre("wants 1 rename", "before[] 1 rename", "after['!] 1 rename",
                          "wants 2 base", "before['] 2 base", "after['] 2 base", "wants 3 look",
                          "before['] 3 look", "after['] 3 look", "end"));
}

TEST_F(InstrumentsTest, SeeFailuresAndMayAddToTheError) {
  auto trace = std::make_unique<Trace>();
  const Trace& seen = *trace;
  Use(std::move(trace));
  EXPECT_THAT(Run({"failing"}), StatusIs(absl::StatusCode::kInvalidArgument, "failing: no, seen"));
  EXPECT_THAT(seen.calls, ElementsAre("wants 1 failing", "before[] 1 failing", "failed 1 failing"));
}

TEST_F(InstrumentsTest, PrintsTheGraphAfterTheNamedPass) {
  const Pipeline pipeline = ValueOrDie(BuildPipeline(Configs({"rename", "look"}), registry_));
  Use(ValueOrDie(PrintGraphAfter({"called_so_too", "base"}, pipeline, Show())));
  ASSERT_OK(RunPipeline(pipeline, graph_, host_, &report_, instruments_));
  EXPECT_THAT(shown_,
              AllOf(HasSubstr("# After rename:\ngraph \"\\'\"\nx = placeholder() : f32[8, 4]\n"),
                    HasSubstr("# After base:\n"), Not(HasSubstr("# After look"))));
  EXPECT_THAT(PrintGraphAfter({"renam"}, pipeline, Show()),
              StatusIs(absl::StatusCode::kNotFound,
                       "print_after: no pass 'renam' in this run; did you mean 'rename'?"));
}

TEST_F(InstrumentsTest, VerifiesAlsoWhereNothingChanged) {
  Use(VerifyEachPass());
  ASSERT_OK(Run({"rename", "look"}));
  graph_.ReplaceInput(graph_.FindNode("a"), 0, graph_.FindNode("b")->outputs()[0]);
  EXPECT_THAT(Run({"look"}), StatusIs(absl::StatusCode::kInternal,
                                      HasSubstr("the graph is broken before base: a: reads 'b'")));
  instruments_.clear();
  EXPECT_OK(Run({"look"})) << "an analysis alone leaves the graph unchecked";
}

TEST_F(InstrumentsTest, RunsTheFirstPassesOnly) {
  Use(RunFirstPasses(2, Show()));
  ASSERT_OK(Run({"rename", "look", "rename"}));
  EXPECT_THAT(Ran(), ElementsAre("rename", "base (needed by look)"));
  EXPECT_EQ(shown_, "max_passes: the last pass was base; 2 more did not run\n");
}

TEST_F(InstrumentsTest, ALimitThatIsNotReachedSaysNothing) {
  Use(RunFirstPasses(9, Show()));
  ASSERT_OK(Run({"rename", "look"}));
  EXPECT_THAT(shown_, IsEmpty());
}

TEST_F(InstrumentsTest, ShowsTheTimesAsATree) {
  Use(ShowTimes(Show()));
  ASSERT_OK(Run({"rename", "look"}));
  EXPECT_THAT(shown_, MatchesRegex("Pass +time .ms. +verifying .ms. +share .%.\n[- ]+\n"
                                   "rename +[0-9.]+ +[0-9.]+ +[0-9.]+\n"
                                   "look +[0-9.]+ +0\\.000 +[0-9.]+\n"
                                   "  needs base +[0-9.]+ +0\\.000 +[0-9.]+\n"
                                   "all +[0-9.]+ +[0-9.]+ +100\\.0\n"));
}

}  // namespace
}  // namespace mase
