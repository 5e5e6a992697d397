#include "mase/base/nearest_steps.h"

#include <cmath>

#include "mase/base/isa.h"

namespace mase {
namespace {

// Whether one may be wrong: the product with 1 / scale is off by 2^-23 of itself, enough unless the
// quotient is that near to a tie.
[[gnu::always_inline]] inline bool RoundProducts(const float* x, int64_t count, float scale,
                                                 float least, float most, float* __restrict steps) {
  constexpr float kMagic = 0x1.8p23f;
  const float inverse = 1 / scale;
  int unsure = 0;
  for (int64_t i = 0; i < count; ++i) {
    float scaled = x[i] * inverse;
    scaled = scaled > least ? scaled : least;
    scaled = scaled < most ? scaled : most;
    steps[i] = (scaled + kMagic) - kMagic;
    unsure |= std::abs(scaled - steps[i]) >= 0.5f - std::abs(scaled) * 0x1p-22f;
  }
  return unsure != 0;
}

[[gnu::always_inline]] inline void RoundQuotients(const float* x, int64_t count, float scale,
                                                  float least, float most, float* steps) {
  const NearestSteps nearest(static_cast<double>(scale));
  const double low = static_cast<double>(least), high = static_cast<double>(most);
  for (int64_t i = 0; i < count; ++i) {
    double whole = nearest(static_cast<double>(x[i]));
    whole = whole > low ? whole : low;
    steps[i] = static_cast<float>(whole < high ? whole : high);
  }
}

}  // namespace

void RoundToNearestSteps(const float* x, int64_t count, float scale, float least, float most,
                         float* __restrict steps) {
  ForBestIsa([=] {
    if (RoundProducts(x, count, scale, least, most, steps)) [[unlikely]] {
      RoundQuotients(x, count, scale, least, most, steps);
    }
  });
}

}  // namespace mase
