// What plugins bring besides passes, in the tables of a program.
#include "mase/plugin/commit.h"

#include <deque>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/exec/run_net.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/op_schema.h"
#include "mase/metric/metric.h"
#include "mase/plugin/conformance.h"
#include "mase/sampler/sampler.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// factor * x.
struct Scaled {
  template <typename T>
  static absl::Status Forward(const OpCall<T>& call) {
    const T factor = static_cast<T>(call.attributes.Float("factor"));
    for (int64_t i = 0; i < call.result.elements(); ++i) {
      call.result[i] = factor * call.inputs[0][i];
    }
    return absl::OkStatus();
  }
  template <typename T>
  static absl::Status Backward(const OpGradients<T>& call) {
    const T factor = static_cast<T>(call.attributes.Float("factor"));
    for (int64_t i = 0; i < call.result.elements(); ++i) {
      call.diff_inputs[0][i] = factor * call.diff_result[i];
    }
    return absl::OkStatus();
  }
};

// The same, but for a gradient that is wrong.
struct WrongSlope : Scaled {
  template <typename T>
  static absl::Status Backward(const OpGradients<T>& call) {
    for (int64_t i = 0; i < call.result.elements(); ++i) {
      call.diff_inputs[0][i] = call.diff_result[i];
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<std::vector<ValueInfo>> SameShape(absl::Span<const ValueInfo> inputs,
                                                 const Attributes&) {
  return std::vector<ValueInfo>{inputs[0]};
}

OpSchema Schema(absl::string_view name, absl::string_view module_class) {
  return {.name = name,
          .doc = "factor x",
          .module_class = module_class,
          .module_type = "module_related_func",
          .function_type = "module_related_func",
          .arguments = {{"input"}},
          .attributes = {{"factor", 3.0}},
          .traits = static_cast<uint32_t>(OpTrait::kActivation),
          .shape_rule = SameShape};
}

MetricDefinition NoMetric(std::string name) { return {.name = std::move(name)}; }

// Another plugin than all before.
const void* NewPlugin() {
  static std::deque<int> plugins;
  return &plugins.emplace_back();
}

TEST(CommitTest, AnOpRunsForwardAndBackward) {
  PassRegistrar registrar("scaled");
  ASSERT_OK(registrar.AddOp<Scaled>(Schema("scaled", "Scaled")));
  ASSERT_OK(CommitToTables(NewPlugin(), registrar.registrations()));
  const Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 2]
y = scaled(x)
output = output(y)
)");
  const auto values =
      NodeValues(graph, {{"x", Tensor::FromValues<float>({2, 2}, {1, -2, 3, 4})}}, {"y"}, 8);
  ASSERT_OK(values.status());
  EXPECT_THAT(values->at("y").data<float>(), ElementsAre(3, -6, 9, 12));

  PluginEntry plugin;
  Describe(registrar.registrations(), &plugin);
  EXPECT_EQ(plugin.op(0).name(), "scaled");
  PassRegistry none;
  for (const ConformanceCheck& check : CheckConformance(plugin, none)) EXPECT_OK(check.status);
}

TEST(CommitTest, TheKitFindsAGradientThatIsWrong) {
  PassRegistrar registrar("wrong");
  ASSERT_OK(registrar.AddOp<WrongSlope>(Schema("wrong_slope", "WrongSlope")));
  ASSERT_OK(CommitToTables(NewPlugin(), registrar.registrations()));
  PluginEntry plugin;
  Describe(registrar.registrations(), &plugin);
  PassRegistry none;
  const std::vector<ConformanceCheck> checks = CheckConformance(plugin, none);
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_OK(checks[0].status);
  EXPECT_THAT(checks[1].status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                         HasSubstr("is 1, differences say 3")));
}

// Remembers what it was asked before, which no sampler may.
class Forgetless final : public Proposer {
 public:
  explicit Forgetless(const SamplerSpec& spec) : space_(spec.space) {}
  Point Propose(int64_t, const TrialHistory&, absl::Span<const Trial>, Draws&) override {
    Draws own(0, asked_++);
    return RandomPoint(space_, own);
  }

 private:
  const ParameterSpace space_;
  int64_t asked_ = 0;
};

template <typename P>
SamplerDefinition DefinitionOf(absl::string_view name) {
  return {.name = std::string(name),
          .summary = "One.",
          .create = [](const SamplerSpec& spec) -> absl::StatusOr<std::unique_ptr<Proposer>> {
            return std::make_unique<P>(spec);
          }};
}

TEST(CommitTest, ASamplerIsFoundByItsNameAndTheKitFindsOneThatRemembers) {
  PassRegistrar registrar("forgetless");
  ASSERT_OK(registrar.AddSampler(DefinitionOf<Forgetless>("forgetless")));
  ASSERT_OK(CommitToTables(NewPlugin(), registrar.registrations()));
  EXPECT_OK(FindSampler("forgetless").status());
  PluginEntry plugin;
  Describe(registrar.registrations(), &plugin);
  EXPECT_EQ(plugin.sampler(0).summary(), "One.");
  for (const char* const name : {"tpe", "grid", "cmaes"}) plugin.add_sampler()->set_name(name);
  PassRegistry none;
  const std::vector<ConformanceCheck> checks = CheckConformance(plugin, none);
  ASSERT_EQ(checks.size(), 4u);
  EXPECT_THAT(checks[0].status,
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("for one that was not asked for those before it")));
  for (size_t i = 1; i < checks.size(); ++i) EXPECT_OK(checks[i].status) << checks[i].of;
}

TEST(CommitTest, SamplersOfOneNameAreRefused) {
  PassRegistrar taken("taken"), twice("twice");
  ASSERT_OK(taken.AddSampler(DefinitionOf<Forgetless>("grid")));
  EXPECT_THAT(CommitToTables(NewPlugin(), taken.registrations()),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("a sampler grid already")));
  for (int i = 0; i < 2; ++i) ASSERT_OK(twice.AddSampler(DefinitionOf<Forgetless>("two")));
  EXPECT_THAT(CommitToTables(NewPlugin(), twice.registrations()),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("it has two samplers 'two'")));
}

TEST(CommitTest, OfAPluginWithOneFaultNothingIsRegistered) {
  PassRegistrar registrar("half");
  ASSERT_OK(registrar.AddOp<Scaled>(Schema("half_op", "HalfOp")));
  ASSERT_OK(registrar.AddMetric(NoMetric("half_metric")));
  EXPECT_THAT(CommitToTables(NewPlugin(), registrar.registrations()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nothing makes it")));
  EXPECT_EQ(FindOp("half_op"), nullptr);
}

TEST(CommitTest, APluginThatALaterLoaderOpensIsThereAlready) {
  PassRegistrar first("again"), second("again"), other("other");
  for (PassRegistrar* registrar : {&first, &second, &other}) {
    ASSERT_OK(registrar->AddOp<Scaled>(Schema("again", "Again")));
  }
  const int info = 0;
  ASSERT_OK(CommitToTables(&info, first.registrations()));
  EXPECT_OK(CommitToTables(&info, second.registrations()));
  EXPECT_THAT(CommitToTables(NewPlugin(), other.registrations()),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST(CommitTest, NamesThatAreTakenAreRefused) {
  PassRegistrar relu("relu"), twice("twice");
  ASSERT_OK(relu.AddOp<Scaled>(Schema("relu", "MyRelu")));
  EXPECT_THAT(CommitToTables(NewPlugin(), relu.registrations()),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("an op relu already")));
  ASSERT_OK(twice.AddOp<Scaled>(Schema("twice", "Twice")));
  ASSERT_OK(twice.AddOp<Scaled>(Schema("twice", "Twice2")));
  EXPECT_THAT(CommitToTables(NewPlugin(), twice.registrations()),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("it has two ops 'twice'")));
}

}  // namespace
}  // namespace mase
