#include "mase/search/trial_loop.h"

#include <memory>
#include <new>
#include <utility>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

class Greedy final : public TrialRunner {
 public:
  absl::StatusOr<TrialFigures> Run(int64_t, absl::Span<const double>, const EpochWatch&) override {
    throw std::bad_alloc();
  }
};

// How a search ends whose trials find no memory.
absl::Status EndOf(const TrialLoopOptions& options) {
  SearchSettings settings;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        search_space {
          settings {
            name: "a"
            values { number_value: 1 }
            values { number_value: 2 }
          }
        }
        strategy { metrics { name: "accuracy" } }
      )pb",
      &settings));
  const SearchSpace space = ValueOrDie(SearchSpace::Create(settings.search_space(), Graph()));
  const Objective objective = ValueOrDie(Objective::Create(settings, space.parameters()));
  const Graph graph;
  const SearchSample sample;
  Reporter silent;
  const RunEnvironment environment = {.reporter = silent};
  const SearchContext context{settings, space, objective, graph, sample, nullptr, environment, ""};
  SamplerSettings sampler;
  sampler.set_name(SamplerSettings::RANDOM);
  PointChooser chooser =
      ValueOrDie(PointChooser::Create(sampler, space.parameters(), objective, /*seed=*/0));
  auto study = ValueOrDie(Study::Open({}, {.name = "test",
                                           .directions = objective.directions(),
                                           .metric_names = objective.names(),
                                           .space = space.parameters()}));
  TrialLoop loop(
      context, *study, chooser, [] { return std::make_unique<Greedy>(); }, options);
  return loop.Run();
}

TEST(TrialLoopTest, AThreadWithoutMemoryEndsTheSearchAndNotTheProcess) {
  for (const int batch : {0, 2}) {
    EXPECT_THAT(EndOf({.target = 2, .jobs = 2, .batch = batch}),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("memory")))
        << batch;
  }
}

}  // namespace
}  // namespace mase
