#include "mase/search/sampler.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ParameterSpace Space(std::vector<SearchParameter> parameters) {
  return ValueOrDie(ParameterSpace::Create(std::move(parameters)));
}

std::unique_ptr<Sampler> Make(SamplerSettings::Name name, const ParameterSpace& space,
                              uint64_t seed = 0) {
  SamplerSettings settings;
  settings.set_name(name);
  return ValueOrDie(MakeSampler(settings, space, {Direction::kMinimize}, seed));
}

TEST(GridSamplerTest, WalksTheGridAndEnds) {
  const ParameterSpace space = Space({IntegerParameter("a", 0, 1), IntegerParameter("b", 0, 1)});
  const auto sampler = Make(SamplerSettings::GRID, space);
  const TrialHistory none;
  EXPECT_THAT(*sampler->Sample(1, none, {}), ElementsAre(0, 1));
  EXPECT_THAT(*sampler->Sample(3, none, {}), ElementsAre(1, 1));
  EXPECT_THAT(sampler->Sample(4, none, {}),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("has 4 points")));
}

TEST(GridSamplerTest, RefusesAContinuum) {
  EXPECT_THAT(
      MakeSampler(
          [] {
            SamplerSettings settings;
            settings.set_name(SamplerSettings::GRID);
            return settings;
          }(),
          Space({RealParameter("rate", 0, 1)}), {Direction::kMinimize}, 0),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'rate' has infinitely many")));
}

TEST(RandomSamplerTest, TheSameSeedAndNumberGiveTheSamePoint) {
  const ParameterSpace space =
      Space({IntegerParameter("a", 0, 1000), RealParameter("b", 1e-4, 1, /*log=*/true)});
  const TrialHistory none;
  const Point point = *Make(SamplerSettings::RANDOM, space, 3)->Sample(7, none, {});
  EXPECT_EQ(*Make(SamplerSettings::RANDOM, space, 3)->Sample(7, none, {}), point);
  EXPECT_NE(*Make(SamplerSettings::RANDOM, space, 3)->Sample(8, none, {}), point);
  EXPECT_NE(*Make(SamplerSettings::RANDOM, space, 4)->Sample(7, none, {}), point);
}

TEST(RandomSamplerTest, DrawsEvenly) {
  const ParameterSpace space =
      Space({IntegerParameter("a", 1, 3), RealParameter("b", 1e-4, 1, /*log=*/true)});
  const auto sampler = Make(SamplerSettings::RANDOM, space);
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

}  // namespace
}  // namespace mase
