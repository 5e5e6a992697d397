#include "mase/pipeline/pipeline.h"

#include <cfenv>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/empty.pb.h"
#include "gtest/gtest.h"
#include "mase/base/status_macros.h"
#include "mase/pipeline/testing_passes.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(PipelineTest, RunsPassesInOrderAndReportsEach) {
  Add("rename", Rename);
  Add("look",
      [](Graph& graph, PassContext& context) -> absl::StatusOr<PassResult> {
        context.Count("seen", 2);
        context.Count("seen");
        context.Note(*graph.FindNode("a"), "kept", "it is fine");
        context.Warn("careful");
        (*context.result().mutable_fields())["answer"].set_number_value(42);
        return PassResult::Unchanged();
      },
      {.kind = kAnalysis});
  ASSERT_OK(Run({"rename", "look"}));
  EXPECT_THAT(Ran(), ElementsAre("rename", "look"));
  EXPECT_TRUE(report_.passes(0).changed());
  const PassReport& look = report_.passes(1);
  EXPECT_FALSE(look.changed());
  EXPECT_EQ(look.counts().at("seen"), 3);
  EXPECT_EQ(look.result().fields().at("answer").number_value(), 42);
  EXPECT_THAT(look.result().fields().at("nodes").ShortDebugString(), HasSubstr("it is fine"));
  EXPECT_THAT(report_.warnings(), ElementsAre("look: careful"));
  EXPECT_GE(look.seconds(), 0);
}

TEST_F(PipelineTest, APassRunsTheNetAndAnotherPassWithThoseThatItNeeds) {
  host_.passes = &registry_;
  Add("mark",
      [](Graph&, PassContext& context) -> absl::StatusOr<PassResult> {
        context.Count("marked");
        return PassResult::Unchanged();
      },
      {.kind = kAnalysis});
  Add("rename",
      [](Graph& graph, PassContext& context) {
        context.Count("renamed");
        return Rename(graph, context);
      },
      {.needs = {"mark"}});
  Add("outer", [](Graph& graph, PassContext& context) -> absl::StatusOr<PassResult> {
    const std::map<std::string, Tensor> rows = {
        {"x", Tensor::FromValues<float>({2, 4}, {-1, 0, 1, 2, 3, -3, 0, 1})}};
    MASE_ASSIGN_OR_RETURN(const auto values, context.RunNet(graph, rows, {"a"}));
    EXPECT_THAT(values.at("a").data<float>(), ElementsAre(0, 0, 1, 2, 3, 0, 0, 1));
    MASE_ASSIGN_OR_RETURN(const auto results, context.RunNet(graph, rows));
    EXPECT_EQ(results.count("b"), 1u) << "the net's own result";
    EXPECT_THAT(context.RunNet(graph, rows, {"aa"}).status(),
                StatusIs(absl::StatusCode::kNotFound));
    MASE_ASSIGN_OR_RETURN(const bool changed, context.RunPass("rename", graph));
    EXPECT_TRUE(changed);
    EXPECT_EQ(context.seed(), 7u);
    return PassResult::Changed();
  });
  ASSERT_OK(Run({"outer"}));
  EXPECT_THAT(Ran(), ElementsAre("outer"));
  EXPECT_EQ(report_.passes(0).counts().at("marked"), 1);
  EXPECT_EQ(report_.passes(0).counts().at("renamed"), 1);
}

TEST_F(PipelineTest, PassesThatRunEachOtherEndlesslyAreStopped) {
  host_.passes = &registry_;
  Add("again", [](Graph& graph, PassContext& context) -> absl::StatusOr<PassResult> {
    MASE_RETURN_IF_ERROR(context.RunPass("again", graph).status());
    return PassResult::Unchanged();
  });
  EXPECT_THAT(Run({"again"}), StatusIs(absl::StatusCode::kFailedPrecondition,
                                       HasSubstr("of passes that run each other")));
}

TEST_F(PipelineTest, AllPassesAreMadeBeforeTheFirstRuns) {
  Add("rename", Rename);
  PassInfo bad = {.name = "bad", .summary = "", .plugin = "test"};
  bad.options = &google::protobuf::Empty::default_instance();
  bad.create = [](const auto&) { return absl::InvalidArgumentError("no such width"); };
  ASSERT_OK(registry_.Add(bad));
  EXPECT_THAT(Run({"rename", "bad"}),
              StatusIs(absl::StatusCode::kInvalidArgument, "bad: no such width"));
  EXPECT_THAT(graph_, EqualsGraph(kTestNet));
  EXPECT_THAT(Run({"rename", "renam"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("did you mean 'rename'?")));
}

TEST_F(PipelineTest, NeedsRunFirstOnceWhileTheyHold) {
  Add("base", Look, {.kind = kAnalysis});
  Add("middle", Look, {.kind = kAnalysis, .needs = {"base"}});
  Add("top", Look, {.kind = kAnalysis, .needs = {"middle", "base"}});
  ASSERT_OK(Run({"top", "top", "middle"}));
  EXPECT_THAT(
      Ran(), ElementsAre("base (needed by top)", "middle (needed by top)", "top", "top", "middle"));
  EXPECT_THAT(created_, ElementsAre("top", "base", "middle", "top", "middle"));
}

TEST_F(PipelineTest, AConfiguredPassServesThoseThatNeedIt) {
  Add("base", Look, {.kind = kAnalysis});
  Add("top", Look, {.kind = kAnalysis, .needs = {"base"}});
  ASSERT_OK(Run({"base", "top"}));
  EXPECT_THAT(Ran(), ElementsAre("base", "top"));
}

TEST_F(PipelineTest, NotesAreMadeAgainAfterAChangeUnlessThePassKeepsThem) {
  Add("base", Look, {.kind = kAnalysis});
  Add("top", Look, {.kind = kAnalysis, .needs = {"base"}});
  Add("rename", Rename);
  Add("careful", Rename, {.keeps_notes = true});
  Add("forget", Look, {.kind = kAnalysis, .discards_notes = true});
  ASSERT_OK(Run({"top", "careful", "top", "rename", "top", "forget", "top"}));
  EXPECT_THAT(Ran(),
              ElementsAre("base (needed by top)", "top", "careful", "top", "rename",
                          "base (needed by top)", "top", "forget", "base (needed by top)", "top"));
}

TEST_F(PipelineTest, FollowUpsRunAfterUnlessConfiguredThere) {
  Add("rename", Rename, {.then = {"sum"}});
  Add("sum", Look, {.kind = kAnalysis, .aliases = {"sum_up"}});
  ASSERT_OK(Run({"rename", "rename", "sum_up"}));
  EXPECT_THAT(Ran(), ElementsAre("rename", "sum (after rename)", "rename", "sum"));
}

TEST_F(PipelineTest, ACircleOfNeedsIsAnError) {
  Add("egg", Look, {.kind = kAnalysis, .needs = {"hen"}});
  Add("hen", Look, {.kind = kAnalysis, .needs = {"egg"}});
  EXPECT_THAT(Run({"egg"}),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("pass egg needs itself")));
}

TEST_F(PipelineTest, ATransformThatChangesNothingIsAnErrorThatSaysWhy) {
  Add("idle", [](Graph& graph, PassContext& context) -> absl::StatusOr<PassResult> {
    context.Note(*graph.FindNode("a"), "kept", "no rule");
    context.Note(*graph.FindNode("b"), "kept", "no rule");
    return PassResult::Unchanged();
  });
  EXPECT_THAT(Run({"idle"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "idle: 0 nodes changed; 2 x no rule; the graph has the ops relu, tanh; set "
                       "allow_unchanged to go on all the same"));
  google::protobuf::RepeatedPtrField<PassConfig> configs;
  *configs.Add() = MakePass("idle");
  configs[0].set_allow_unchanged(true);
  EXPECT_OK(RunConfigs(configs));
}

TEST_F(PipelineTest, PassesThatDoNotTellTheTruthAreNamed) {
  Add("boaster", [](Graph&, PassContext&) { return PassResult::Changed(); });
  Add("sneak", [](Graph& graph, PassContext&) {
    graph.set_name("x");
    return PassResult::Unchanged();
  });
  Add("meddler", Rename, {.kind = kAnalysis});
  const auto is_bug = [](const char* message) {
    return StatusIs(absl::StatusCode::kInternal, HasSubstr(message));
  };
  EXPECT_THAT(Run({"boaster"}), is_bug("boaster: says that it changed the graph, but nothing"));
  EXPECT_THAT(Run({"sneak"}), is_bug("sneak: changed the graph, but says that it did not"));
  EXPECT_THAT(Run({"meddler"}), is_bug("meddler: is an analysis, but changed the graph"));
}

TEST_F(PipelineTest, ARecordChangedBehindTheGraphsBackIsAChange) {
  Add("sneak", [](Graph& graph, PassContext&) {
    graph.FindNode("a")->mutable_metadata().mutable_quantization()->set_format("integer");
    return PassResult::Unchanged();
  });
  Add("undecided", [](Graph& graph, PassContext&) {
    graph.set_name("x");
    graph.set_name("");
    return PassResult::Changed();
  });
  EXPECT_THAT(Run({"sneak"}),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("sneak: changed the graph, but says that it did")));
  graph_ = ParseGraph(kTestNet);
  EXPECT_THAT(Run({"undecided"}), StatusIs(absl::StatusCode::kInternal,
                                           HasSubstr("undecided: says that it changed the graph")));
}

TEST_F(PipelineTest, APipelineRunsOnManyGraphsAlsoAtOnce) {
  Add("rename", Rename);
  Add("base", Look, {.kind = kAnalysis});
  Add("top", Look, {.kind = kAnalysis, .needs = {"base"}});
  const Pipeline pipeline = ValueOrDie(BuildPipeline(Configs({"rename", "top"}), registry_));
  std::vector<RunReport> reports(8);
  std::vector<std::thread> threads;
  for (RunReport& report : reports) {
    threads.emplace_back([&pipeline, &report, this] {
      Graph graph = graph_.Clone();
      TestHost host;
      for (int i = 0; i < 10; ++i) EXPECT_OK(RunPipeline(pipeline, graph, host, &report));
      EXPECT_EQ(graph.name(), std::string(10, '\''));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const RunReport& report : reports) EXPECT_EQ(report.passes_size(), 30);
  EXPECT_THAT(created_, ElementsAre("rename", "top", "base"));
}

TEST_F(PipelineTest, ABrokenGraphIsBlamedOnThePassThatLeftIt) {
  Add("rename", Rename);
  Add("breaker", [](Graph& graph, PassContext&) -> absl::StatusOr<PassResult> {
    Node* a = graph.FindNode("a");
    graph.ReplaceInput(a, 0, graph.FindNode("b")->outputs()[0]);  // A circle.
    return PassResult::Changed();
  });
  EXPECT_THAT(
      Run({"rename", "breaker", "rename"}),
      StatusIs(absl::StatusCode::kInternal,
               AllOf(HasSubstr("breaker: left a broken graph: "), HasSubstr("a: reads 'b'"))));
  EXPECT_THAT(Ran(), ElementsAre("rename"));
}

TEST_F(PipelineTest, ErrorsAndExceptionsCarryThePassesName) {
  Add("failing", [](Graph&, PassContext&) -> absl::StatusOr<PassResult> {
    return absl::InvalidArgumentError("conv3: rank 3, want 4");
  });
  Add("throwing", [](Graph&, PassContext&) -> absl::StatusOr<PassResult> {
    throw std::runtime_error("out of luck");
  });
  Add("odd", [](Graph&, PassContext&) -> absl::StatusOr<PassResult> { throw 42; });
  EXPECT_THAT(Run({"failing"}),
              StatusIs(absl::StatusCode::kInvalidArgument, "failing: conv3: rank 3, want 4"));
  EXPECT_THAT(Run({"throwing"}),
              StatusIs(absl::StatusCode::kInternal, "throwing: of plugin test threw: out of luck"));
  EXPECT_THAT(Run({"odd"}), StatusIs(absl::StatusCode::kInternal, HasSubstr("threw something")));
}

TEST_F(PipelineTest, PassesSeeTheOriginalAndTheHost) {
  Add("rename", Rename);
  std::string original, now;
  Add("look",
      [&](Graph& graph, PassContext& context) -> absl::StatusOr<PassResult> {
        original = context.original().name();
        now = graph.name();
        context.Print("seen");
        MASE_RETURN_IF_ERROR(context.WriteArtifact("a/b.txt", "text"));
        MASE_ASSIGN_OR_RETURN(const Evaluation evaluation, context.Evaluate(graph));
        context.Count("samples", evaluation.samples);
        return PassResult::Unchanged();
      },
      {.kind = kAnalysis});
  Evaluation evaluation;
  evaluation.samples = 1000;
  host_.evaluation = evaluation;
  ASSERT_OK(Run({"rename", "look"}));
  EXPECT_EQ(original, "");
  EXPECT_EQ(now, "'");
  EXPECT_EQ(host_.printed, "seen\n");
  EXPECT_EQ(host_.artifacts.at("a/b.txt"), "text");
  EXPECT_EQ(report_.passes(1).counts().at("samples"), 1000);
}

TEST_F(PipelineTest, TablesAreShownWrittenAndKept) {
  const auto look = [](Graph& graph, PassContext& context) -> absl::StatusOr<PassResult> {
    Table table("costs", "Costs of each node", {{"node"}, {"MACs"}, {"share", "%", 1}});
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      table.AddRow({node->name(), 7, 25.0});
    }
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(table)));
    return PassResult::Unchanged();
  };
  Add("count", look, {.kind = kAnalysis});
  Add("other", look, {.kind = kAnalysis, .needs = {"count"}});
  auto configs = Configs({"count", "count", "count", "other"});
  configs[1].set_label("again");
  configs[2].set_label("no word");
  ASSERT_OK(RunConfigs(configs));

  EXPECT_THAT(host_.printed, StartsWith("Costs of each node\nnode    MACs  share (%)\n"));
  std::vector<std::string> files;
  for (const auto& [path, contents] : host_.artifacts) files.push_back(path);
  EXPECT_THAT(files, ElementsAre("again/costs.csv", "count-2/costs.csv", "count/costs.csv",
                                 "other/costs.csv"));
  EXPECT_THAT(host_.artifacts.at("count/costs.csv"), StartsWith("node,MACs,share\nx,7,25\n"));
  const TableReport& table = report_.passes(0).tables(0);
  EXPECT_EQ(table.name(), "costs");
  EXPECT_EQ(table.columns(2).unit(), "%");
  EXPECT_EQ(table.rows(0).values(1).number_value(), 7);
}

TEST_F(PipelineTest, TablesHaveNamesThatFilesCanHave) {
  for (const char* name : {"", "a b", "../a", "a.csv"}) {
    Add(absl::StrCat("bad ", name), [name](Graph&, PassContext& context) {
      const absl::Status status = context.AddTable(Table(name, "", {{"x"}}));
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("want a word")));
      return absl::StatusOr<PassResult>(PassResult::Unchanged());
    });
    (void)Run({absl::StrCat("bad ", name)});
  }
  Add("twice", [](Graph&, PassContext& context) -> absl::StatusOr<PassResult> {
    MASE_RETURN_IF_ERROR(context.AddTable(Table("t", "", {{"x"}})));
    MASE_RETURN_IF_ERROR(context.AddTable(Table("t", "", {{"x"}})));
    return PassResult::Unchanged();
  });
  EXPECT_THAT(Run({"twice"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("twice: has two tables 't'")));
  EXPECT_TRUE(host_.artifacts.count("twice/t.csv"));
}

TEST_F(PipelineTest, FilesHaveNamesThatAreTextAndNotTheRunsOwn) {
  using std::string_literals::operator""s;
  for (const std::string& name :
       {"a\0b"s, "a\nb"s, "settings.textproto"s, "summary.json"s, "../a"s, "/a"s, ""s}) {
    Add("bad", [&name](Graph& graph, PassContext& context) -> absl::StatusOr<PassResult> {
      MASE_RETURN_IF_ERROR(context.WriteGraph(name, graph));
      return PassResult::Unchanged();
    });
    EXPECT_THAT(Run({"bad"}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("file name")));
    registry_ = PassRegistry();
  }
  EXPECT_TRUE(host_.graphs.empty());
}

TEST_F(PipelineTest, WhoNeedsAPassThatIsNotThereIsNamed) {
  Add("base", Look, {.kind = kAnalysis, .needs = {"nobody"}});
  Add("top", Look, {.kind = kAnalysis, .needs = {"base"}});
  Add("first", Look, {.kind = kAnalysis, .then = {"nobody"}});
  EXPECT_THAT(Run({"top"}), StatusIs(absl::StatusCode::kNotFound,
                                     "pass base of plugin test needs 'nobody': no pass 'nobody'"));
  EXPECT_THAT(Run({"first"}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("pass first of plugin test is to be followed by 'nobody': ")));
}

TEST_F(PipelineTest, ARecordWithoutAFormatIsBlamedOnThePassThatMadeIt) {
  Add("empty", [](Graph& graph, PassContext&) -> absl::StatusOr<PassResult> {
    graph.SetQuantization(graph.FindNode("a"), Quantization());
    return PassResult::Changed();
  });
  EXPECT_THAT(Run({"empty"}),
              StatusIs(absl::StatusCode::kInternal,
                       "empty: left node a with a quantization record without a format"));
}

TEST_F(PipelineTest, TheFloatingPointStateIsThatOfBefore) {
  Add("rounds_up",
      [](Graph&, PassContext&) -> absl::StatusOr<PassResult> {
        std::fesetround(FE_UPWARD);
        return PassResult::Unchanged();
      },
      {.kind = kAnalysis});
  ASSERT_OK(Run({"rounds_up"}));
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST_F(PipelineTest, APlainHostHasNoData) {
  PassHost host;
  EXPECT_THAT(host.DummyBatch(), StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(host.Evaluate(graph_), StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_OK(host.WriteArtifact("a", "b"));
}

}  // namespace
}  // namespace mase
