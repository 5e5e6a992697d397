#include "mase/sampler/sampler.h"

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/sampler/pareto.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ParameterSpace Space(std::vector<SearchParameter> parameters) {
  return ValueOrDie(ParameterSpace::Create(std::move(parameters)));
}

std::unique_ptr<Sampler> Make(const std::string& name, const ParameterSpace& space,
                              uint64_t seed = 0,
                              std::vector<Direction> directions = {Direction::kMinimize}) {
  SamplerSettings settings;
  settings.set_name(name);
  settings.set_population_size(8);
  return ValueOrDie(MakeSampler(settings, space, std::move(directions), seed));
}

// A space of all kinds, 6,336 points.
ParameterSpace MixedSpace() {
  SearchParameter depends = IntegerParameter("depends", 1, 10);
  depends.parent = 0;
  depends.parent_values = {1};
  SearchParameter log = IntegerParameter("log", 1, 64);
  log.log = true;
  return Space({CategoricalParameter("kind", {{}, std::string("integer")}), depends,
                IntegerParameter("steps", 2, 18, 2), log});
}

// A space that every sampler can sample.
ParameterSpace NumberSpace() {
  return Space({IntegerParameter("a", 0, 30), IntegerParameter("b", 0, 30)});
}

// Two objectives, best towards different corners.
std::vector<double> TwoLosses(const Point& point) {
  double low = 0, high = 0;
  for (double x : point) {
    if (std::isnan(x)) continue;
    low += (x - 3) * (x - 3);
    high += (x - 12) * (x - 12);
  }
  return {low, high};
}

Trial Complete(int64_t number, Point point, std::vector<double> values) {
  return {.number = number,
          .state = TrialState::kComplete,
          .point = std::move(point),
          .values = std::move(values)};
}

// The points of `count` trials, one after another; `objectives` of TwoLosses.
std::vector<Point> Walk(Sampler& sampler, int64_t count, size_t objectives, TrialHistory& history) {
  std::vector<Point> points;
  for (int64_t k = 0; k < count; ++k) {
    Point point = ValueOrDie(sampler.Sample(k, history, {}));
    std::vector<double> losses = TwoLosses(point);
    losses.resize(objectives);
    history.Add(Complete(k, point, losses));
    points.push_back(std::move(point));
  }
  return points;
}

class EverySamplerTest : public ::testing::TestWithParam<std::string> {
 protected:
  const std::string& name() const { return GetParam(); }
  const SamplerDefinition& definition() const { return *ValueOrDie(FindSampler(name())); }
  bool several() const { return definition().most_objectives > 1; }
  size_t objectives() const { return several() ? 2 : 1; }
  ParameterSpace space() const { return definition().categorical ? MixedSpace() : NumberSpace(); }
  std::unique_ptr<Sampler> MakeIt(uint64_t seed = 0) const {
    return Make(name(), space(), seed, std::vector<Direction>(objectives(), Direction::kMinimize));
  }
};

TEST_P(EverySamplerTest, PointsAreOfTheSpaceAndNoneComesTwice) {
  TrialHistory history;
  const std::vector<Point> points = Walk(*MakeIt(), 120, objectives(), history);
  std::set<std::string> seen;
  for (const Point& point : points) {
    EXPECT_OK(space().Check(point));
    EXPECT_TRUE(seen.insert(absl::StrJoin(point, ",")).second) << absl::StrJoin(point, ",");
  }
}

TEST_P(EverySamplerTest, APointIsAFunctionOfSeedNumberAndFinishedTrials) {
  TrialHistory history;
  const std::vector<Point> points = Walk(*MakeIt(), 60, objectives(), history);
  // A sampler that never saw the trials one by one, which came in another order.
  TrialHistory backwards;
  for (int64_t k = 59; k >= 0; --k) backwards.Add(*history.Find(k));
  const auto text = [](const absl::StatusOr<Point>& point) { return absl::StrJoin(*point, ","); };
  const auto sampler = MakeIt();
  TrialHistory other;
  Walk(*sampler, 10, objectives(), other);
  EXPECT_EQ(text(sampler->Sample(60, backwards, {})), text(MakeIt()->Sample(60, history, {})));
  TrialHistory again;
  const std::vector<Point> repeated = Walk(*MakeIt(), 60, objectives(), again);
  for (int k = 0; k < 60; ++k)
    EXPECT_EQ(absl::StrJoin(points[k], ","), absl::StrJoin(repeated[k], ","));
}

TEST_P(EverySamplerTest, ASmallSpaceIsTriedCompletelyAndEnds) {
  const ParameterSpace small = Space({IntegerParameter("a", 0, 3), IntegerParameter("b", 0, 4)});
  const auto sampler =
      Make(name(), small, 0, std::vector<Direction>(objectives(), Direction::kMaximize));
  TrialHistory history;
  Walk(*sampler, 20, objectives(), history);
  EXPECT_THAT(sampler->Sample(20, history, {}),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("all 20 points")));
}

TEST_P(EverySamplerTest, RunningAndFailedTrialsAreNotInTheWay) {
  TrialHistory history;
  history.Add({.number = 0, .state = TrialState::kFailed});
  history.Add({.number = 1, .state = TrialState::kFailed, .point = space().PointAt(5)});
  const auto sampler = MakeIt();
  const Trial chosen = {.number = 2, .point = space().PointAt(6)}, unchosen = {.number = 3};
  const Point point = ValueOrDie(sampler->Sample(4, history, {chosen, unchosen}));
  EXPECT_OK(space().Check(point));
  EXPECT_NE(absl::StrJoin(point, ","), absl::StrJoin(chosen.point, ","));
}

INSTANTIATE_TEST_SUITE_P(All, EverySamplerTest,
                         ::testing::Values("tpe", "grid", "random", "qmc", "nsgaii", "nsgaiii",
                                           "moead", "cmaes", "allocator", "greedy"),
                         [](const auto& info) { return info.param; });

// The least loss of 100 trials at (3, 3), median of 11 seeds.
double MedianBest(const std::string& name, bool constrained = false, bool multivariate = false) {
  std::vector<double> bests;
  for (uint64_t seed = 0; seed < 11; ++seed) {
    SamplerSettings settings;
    settings.set_name(name);
    settings.set_multivariate(multivariate);
    settings.set_population_size(10);
    const ParameterSpace space =
        Space({IntegerParameter("a", 0, 100), IntegerParameter("b", 0, 100)});
    const auto sampler = ValueOrDie(MakeSampler(settings, space, {Direction::kMinimize}, seed));
    TrialHistory history;
    double best = 1e9;
    for (int64_t k = 0; k < 100; ++k) {
      Point point = ValueOrDie(sampler->Sample(k, history, {}));
      const double loss = std::abs(point[0] - 30) + std::abs(point[1] - 60);
      Trial trial = Complete(k, point, {loss});
      if (constrained) trial.constraints = {50 - point[0]};  // a >= 50.
      if (Violation(trial) == 0) best = std::min(best, loss);
      history.Add(std::move(trial));
    }
    bests.push_back(best);
  }
  std::sort(bests.begin(), bests.end());
  return bests[5];
}

TEST(LearningSamplersTest, FindWhatRandomDoesNot) {
  const double random = MedianBest("random");
  EXPECT_GE(random, 4);
  EXPECT_LE(MedianBest("tpe"), random / 2);
  EXPECT_LE(MedianBest("tpe", false, /*multivariate=*/true), random / 2);
  EXPECT_LE(MedianBest("nsgaii"), random / 2);
  EXPECT_LE(MedianBest("nsgaiii"), random / 2);
  EXPECT_LE(MedianBest("moead"), random / 2);
  EXPECT_LE(MedianBest("cmaes"), random / 2);
}

// The best point that satisfies the constraint has the loss 20.
TEST(LearningSamplersTest, StayWhereConstraintsAreSatisfied) {
  for (const char* const name : {"tpe", "nsgaii", "nsgaiii", "moead", "cmaes"}) {
    EXPECT_LE(MedianBest(name, /*constrained=*/true), 27) << name;
  }
}

TEST(LearningSamplersTest, TwoObjectivesGiveAFront) {
  for (const char* const name : {"tpe", "nsgaii", "nsgaiii", "moead"}) {
    const auto volume = [](const std::string& sampler_name) {
      std::vector<double> volumes;
      for (uint64_t seed = 0; seed < 5; ++seed) {
        const auto sampler =
            Make(sampler_name, NumberSpace(), seed, {Direction::kMinimize, Direction::kMinimize});
        TrialHistory history;
        Walk(*sampler, 100, 2, history);
        std::vector<LossRow> losses;
        for (const Trial* trial : history.trials()) losses.push_back(trial->values);
        volumes.push_back(Hypervolume(losses, {200, 200}));
      }
      std::sort(volumes.begin(), volumes.end());
      return volumes[2];
    };
    EXPECT_GT(volume(name), volume("random")) << name;
  }
}

// The first points of SciPy's qmc.Sobol(d=2, scramble=False): (0, 0), (.5, .5), (.75, .25), (.25,
// .75),
// (.375, .375).
TEST(QmcSamplerTest, WalksSobolsSequence) {
  const ParameterSpace space = Space({RealParameter("a", 0, 1), RealParameter("b", 0, 1)});
  const auto sampler = Make("qmc", space);
  const TrialHistory none;
  const std::vector<Point> points = {{0, 0}, {.5, .5}, {.75, .25}, {.25, .75}, {.375, .375}};
  for (int64_t k = 4; k >= 0; --k) EXPECT_EQ(*sampler->Sample(k, none, {}), points[k]) << k;
}

TEST(CmaesSamplerTest, RefusesWhatItCannotChoose) {
  SamplerSettings settings;
  settings.set_name("cmaes");
  EXPECT_THAT(MakeSampler(settings, MixedSpace(), {Direction::kMinimize}, 0),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("sampler cmaes chooses numbers only, and parameter 'kind'")));
  EXPECT_THAT(MakeSampler(settings, NumberSpace(), {Direction::kMinimize, Direction::kMaximize}, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("up to 1 objective, not 2")));
}

TEST(GridSamplerTest, WalksTheGridAndEnds) {
  const ParameterSpace space = Space({IntegerParameter("a", 0, 1), IntegerParameter("b", 0, 1)});
  const auto sampler = Make("grid", space);
  const TrialHistory none;
  EXPECT_THAT(*sampler->Sample(1, none, {}), ElementsAre(0, 1));
  TrialHistory history;
  for (int64_t k = 0; k < 4; ++k) {
    history.Add(Complete(k, *sampler->Sample(k, history, {}), {0}));
  }
  EXPECT_THAT(history.Find(3)->point, ElementsAre(1, 1));
  EXPECT_THAT(sampler->Sample(4, history, {}),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("all 4 points")));
}

TEST(GridSamplerTest, RefusesAContinuum) {
  EXPECT_THAT(
      MakeSampler(
          [] {
            SamplerSettings settings;
            settings.set_name("grid");
            return settings;
          }(),
          Space({RealParameter("rate", 0, 1)}), {Direction::kMinimize}, 0),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'rate' has infinitely many")));
}

TEST(RandomSamplerTest, TheSameSeedAndNumberGiveTheSamePoint) {
  const ParameterSpace space =
      Space({IntegerParameter("a", 0, 1000), RealParameter("b", 1e-4, 1, /*log=*/true)});
  const TrialHistory none;
  const Point point = *Make("random", space, 3)->Sample(7, none, {});
  EXPECT_EQ(*Make("random", space, 3)->Sample(7, none, {}), point);
  EXPECT_NE(*Make("random", space, 3)->Sample(8, none, {}), point);
  EXPECT_NE(*Make("random", space, 4)->Sample(7, none, {}), point);
}

TEST(RandomSamplerTest, DrawsEvenly) {
  const ParameterSpace space =
      Space({IntegerParameter("a", 1, 3), RealParameter("b", 1e-4, 1, /*log=*/true)});
  const auto sampler = Make("random", space);
  const TrialHistory none;
  int counts[4] = {}, small = 0;
  for (int64_t k = 0; k < 3000; ++k) {
    const Point point = *sampler->Sample(k, none, {});
    ++counts[static_cast<int>(point[0])];
    small += point[1] < 1e-2;
  }
  for (int value = 1; value <= 3; ++value) EXPECT_NEAR(counts[value], 1000, 100);
  EXPECT_NEAR(small, 1500, 120);
}

// Proposes what it is told to, as a plugin's would.
class Odd final : public Proposer {
 public:
  explicit Odd(int kind) : kind_(kind) {}
  Point Propose(int64_t, const TrialHistory&, absl::Span<const Trial>, Draws&) override {
    std::fesetround(FE_UPWARD);
    if (kind_ == 0) return {0, 31};
    if (kind_ == 1) throw std::runtime_error("lost");
    if (kind_ == 2) throw 2;
    return {1, 2};
  }

 private:
  const int kind_;
};

SamplerDefinition OddDefinition(std::string name, int kind) {
  return {.name = std::move(name),
          .summary = "Odd.",
          .most_objectives = 1,
          .create = [kind](const SamplerSpec&) -> absl::StatusOr<std::unique_ptr<Proposer>> {
            if (kind == 4) return absl::InvalidArgumentError("wants three parameters");
            if (kind == 5) return nullptr;
            return std::make_unique<Odd>(kind);
          }};
}

TEST(TableTest, TakesMoreSamplersAndDistrustsThem) {
  for (int kind = 0; kind < 6; ++kind) {
    ASSERT_OK(RegisterSampler(OddDefinition(absl::StrCat("odd_", kind), kind)));
  }
  EXPECT_EQ(ValueOrDie(FindSampler("ODD_3"))->name, "odd_3");
  EXPECT_EQ(Samplers().back()->name, "odd_5");
  const auto sample = [](absl::string_view name) -> absl::StatusOr<Point> {
    SamplerSettings settings;
    settings.set_name(std::string(name));
    const auto sampler = MakeSampler(settings, NumberSpace(), {Direction::kMinimize}, 0);
    if (!sampler.ok()) return sampler.status();
    const TrialHistory none;
    return (*sampler)->Sample(4, none, {});
  };
  EXPECT_THAT(sample("odd_0"),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("sampler odd_0 proposes for trial 4 what is no point: ")));
  EXPECT_THAT(sample("odd_1"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("sampler odd_1 threw: lost")));
  EXPECT_THAT(sample("odd_2"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("sampler odd_2 threw something")));
  EXPECT_THAT(ValueOrDie(sample("odd_3")), ElementsAre(1, 2));
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
  EXPECT_THAT(sample("odd_4"), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("sampler odd_4 wants three parameters")));
  EXPECT_THAT(sample("odd_5"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("sampler odd_5 is made of nothing")));
}

TEST(TableTest, RefusesNamesThatAreTakenOrNone) {
  EXPECT_THAT(FindSampler("tpee"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no sampler 'tpee'; did you mean 'tpe'?; there are tpe, grid, ")));
  EXPECT_THAT(
      CheckSampler(OddDefinition("tpe", 0)),
      StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("there is a sampler tpe already")));
  EXPECT_THAT(CheckSampler(OddDefinition("Hill", 0)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sampler 'Hill': want")));
  EXPECT_THAT(CheckSampler({.name = "hill", .create = nullptr}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nothing makes it")));
  SamplerDefinition aimless = OddDefinition("hill", 0);
  aimless.most_objectives = 0;
  EXPECT_THAT(CheckSampler(aimless),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("can have no objective")));
}

}  // namespace
}  // namespace mase
