#include "mase/base/nearest_steps.h"

#include "mase/base/isa.h"

namespace mase {

void RoundToNearestSteps(const float* x, int64_t count, float scale, float least, float most,
                         float* steps) {
  ForBestIsa([=] {
    const NearestSteps nearest(static_cast<double>(scale));
    const double low = static_cast<double>(least), high = static_cast<double>(most);
    for (int64_t i = 0; i < count; ++i) {
      double whole = nearest(static_cast<double>(x[i]));
      whole = whole > low ? whole : low;
      steps[i] = static_cast<float>(whole < high ? whole : high);
    }
  });
}

}  // namespace mase
