#include "mase/pipeline/reproducer.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/pipeline/testing_passes.h"
#include "mase/testing/command.h"
#include "mase/testing/file_limit.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

class ReproducerTest : public PipelineTest {
 protected:
  void SetUp() override {
    Add("rename", Rename);
    Add("base", Look, {.kind = kAnalysis});
    Add("broken",
        [](Graph& graph, PassContext& context) -> absl::StatusOr<PassResult> {
          if (graph.name().empty()) return PassResult::Unchanged();
          const float bias = graph.FindTensor("t")->value.data<float>()[0];
          return absl::InternalError(absl::StrCat("graph ", graph.name(), " of [",
                                                  context.original().name(), "], t = ", bias));
        },
        {.kind = kAnalysis, .needs = {"base"}});
    Add("mistaken", [](Graph&, PassContext&) -> absl::StatusOr<PassResult> {
      return absl::InvalidArgumentError("no such rule");
    });
    Add("crashing", [](Graph&, PassContext&) -> absl::StatusOr<PassResult> {
      raise(SIGSEGV);
      return PassResult::Unchanged();
    });
    Add("aborting", [](Graph&, PassContext&) -> absl::StatusOr<PassResult> { std::abort(); });
    graph_.SetTensor("t", Tensor::FromValues<float>({1}, {2.5f}), false);
    settings_.set_seed(42);
    *settings_.mutable_passes() = Configs({"base", "rename"});
    settings_.add_plugins()->set_path("/some/plugin.so");
    writer_ = WriteReproducers(settings_, folder_);
    instruments_ = {writer_.get()};
  }

  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    if (!std::filesystem::exists(folder_)) return files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      files.push_back(entry.path().string());
    }
    return files;
  }

  const std::string folder_ = NewFolder() + "/reproducers";
  RunConfig settings_;
  std::unique_ptr<Instrumentation> writer_;
};

TEST_F(ReproducerTest, RunsThePassThatFailedOnItsGraphAlone) {
  const absl::Status failed = Run({"rename", "broken"});
  ASSERT_THAT(Files(), SizeIs(1));
  const std::string path = Files()[0];
  EXPECT_THAT(path, AllOf(StartsWith(folder_ + "/broken-"), EndsWith(".pb")));
  EXPECT_THAT(failed,
              StatusIs(absl::StatusCode::kInternal,
                       absl::StrCat("broken: graph ' of [], t = 2.5; ", path,
                                    " runs this pass again: transform --reproduce=", path)));

  Reproduction again = ValueOrDie(ReadReproducer(path));
  EXPECT_EQ(again.settings.seed(), 42);
  EXPECT_EQ(again.settings.plugins(0).path(), "/some/plugin.so");
  const Pipeline pipeline =
      ValueOrDie(BuildPipeline(again.settings.passes(), registry_, RunsAlone::kYes));
  RunReport report;
  EXPECT_THAT(RunPipeline(pipeline, again.graph, host_, &report, {}, &again.original),
              StatusIs(absl::StatusCode::kInternal, "broken: graph ' of [], t = 2.5"));
  EXPECT_THAT(report.passes(), SizeIs(0)) << "what it needs has run before";
}

TEST_F(ReproducerTest, MistakesOfUsersAndRunsThatGoWellLeaveNone) {
  EXPECT_THAT(Run({"mistaken"}),
              StatusIs(absl::StatusCode::kInvalidArgument, "mistaken: no such rule"));
  EXPECT_OK(Run({"rename"}));
  EXPECT_THAT(Files(), SizeIs(0));
}

TEST_F(ReproducerTest, IsWrittenWhileTheProgramDies) {
  EXPECT_EXIT(static_cast<void>(Run({"rename", "crashing"})), ::testing::KilledBySignal(SIGSEGV),
              "pass crashing of plugin test crashed.*crashing-.*pb runs this pass again");
  ASSERT_THAT(Files(), SizeIs(1));
  const Reproduction again = ValueOrDie(ReadReproducer(Files()[0]));
  EXPECT_EQ(again.settings.passes(0).name(), "crashing");
  EXPECT_EQ(again.graph.name(), "'");
  EXPECT_EXIT(static_cast<void>(Run({"aborting"})), ::testing::KilledBySignal(SIGABRT),
              "pass aborting of plugin test crashed");
}

TEST_F(ReproducerTest, OtherFilesAreRefused) {
  const std::string path = NewFolder() + "/x.pb";
  EXPECT_THAT(ReadReproducer(path), StatusIs(absl::StatusCode::kNotFound));
  for (const char* bytes : {"", "\xff\xff", "text"}) {
    ASSERT_OK(WriteFileAtomically(path, bytes));
    EXPECT_THAT(ReadReproducer(path), StatusIs(absl::StatusCode::kDataLoss,
                                               HasSubstr("x.pb: is no reproducer of a pass")));
  }
}

TEST_F(ReproducerTest, FilesAreLimited) {
  std::filesystem::create_directories(folder_);
  ExpectFileLimit(folder_ + "/large", limits::kMaxReproducerBytes,
                  [](const std::string& path) { return ReadReproducer(path).status(); });
}

}  // namespace
}  // namespace mase
