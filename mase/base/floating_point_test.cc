#include "mase/base/floating_point.h"

#include <xmmintrin.h>

#include <cfenv>

#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(KeepFloatingPointTest, RoundingAndSubnormalsAreAsBefore) {
  const unsigned before = _mm_getcsr();
  volatile float least = 1e-40f;  // Subnormal.
  {
    const KeepFloatingPoint kept;
    std::fesetround(FE_UPWARD);
    _mm_setcsr(_mm_getcsr() | 0x8040);  // FTZ and DAZ.
    EXPECT_EQ(least * 1.0f, 0.0f);
  }
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
  EXPECT_GT(least * 1.0f, 0.0f);
  EXPECT_EQ(_mm_getcsr() & 0xffc0u, before & 0xffc0u);  // All but the flags of what happened.
}

}  // namespace
}  // namespace mase
