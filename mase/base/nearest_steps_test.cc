#include "mase/base/nearest_steps.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "mase/base/isa.h"
#include "mase/base/mix64.h"

namespace mase {
namespace {

// The definition: x / scale as a number of 64 bits, enough for the side of a tie on which it is.
float Define(float x, float scale, float least, float most) {
  const long double steps = std::nearbyintl(static_cast<long double>(x) / scale);
  if (std::isnan(steps) || steps < static_cast<long double>(least)) return least;
  return steps > static_cast<long double>(most) ? most : static_cast<float>(steps);
}

std::vector<float> Rounded(const std::vector<float>& x, float scale, float least, float most) {
  std::vector<float> steps(x.size());
  RoundToNearestSteps(x.data(), static_cast<int64_t>(x.size()), scale, least, most, steps.data());
  return steps;
}

TEST(NearestStepsTest, ProductsWithTheInverseAreNotQuotients) {
  constexpr float kScale = 0.1f;
  // 0.5 * kScale is a tie, and so 0; 1 / kScale, rounded, is 10, and 0.35 * 10 is 3.5 only nearly.
  const std::vector<float> x = {0.5f * kScale, 1.5f * kScale, 2.5f * kScale, -2.5f * kScale, 0.35f};
  EXPECT_EQ(Rounded(x, kScale, -128, 127), (std::vector<float>{0, 2, 2, -2, 3}));
}

TEST(NearestStepsTest, EqualsItsDefinitionAroundTiesAndEnds) {
  const Isa best = CurrentIsa();
  for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (!SetIsaForTest(isa)) continue;
    for (uint64_t seed = 0; seed < 500; ++seed) {
      const auto draw = [&](uint64_t i) {
        return static_cast<float>(Mix64(seed * 1000 + i) >> 40) * 0x1p-24f;
      };
      const float scale = std::ldexp(0.5f + draw(0), static_cast<int>(Mix64(seed) % 60) - 30);
      const float most = std::ldexp(1.0f, static_cast<int>(Mix64(~seed) % 16)), least = -most / 2;
      std::vector<float> x;
      for (uint64_t i = 1; i < 200; ++i) {
        const float tie = (std::floor((draw(i) - 0.5f) * 3 * most) + 0.5f) * scale;
        x.insert(x.end(), {tie, std::nextafter(tie, 1e30f), std::nextafter(tie, -1e30f)});
      }
      const std::vector<float> steps = Rounded(x, scale, least, most);
      for (size_t i = 0; i < x.size(); ++i) {
        const float wanted = Define(x[i], scale, least, most);
        ASSERT_EQ(steps[i], wanted) << IsaName(isa) << ": " << x[i] << " / " << scale;
        // By itself none is unsure because of another.
        ASSERT_EQ(Rounded({x[i]}, scale, least, most)[0], wanted)
            << IsaName(isa) << ": " << x[i] << " / " << scale << " alone";
      }
    }
  }
  SetIsaForTest(best);
}

TEST(NearestStepsTest, WhatIsNoNumberOfStepsIsAnEnd) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMost = std::numeric_limits<float>::max();
  constexpr float kLeast = std::numeric_limits<float>::min();
  EXPECT_EQ(Rounded({kInf, -kInf, std::nanf(""), kMost, -kMost, 0, -0.0f, kLeast}, 1e-37f, -8, 7),
            (std::vector<float>{7, -8, -8, 7, -8, 0, 0, 0}));
}

}  // namespace
}  // namespace mase
