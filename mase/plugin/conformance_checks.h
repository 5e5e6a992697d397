// The single checks of the conformance kit (conformance.h), each a function that is OK or says what
// is wrong. They run in processes of their own.
#ifndef MASE_PLUGIN_CONFORMANCE_CHECKS_H_
#define MASE_PLUGIN_CONFORMANCE_CHECKS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/random.h"
#include "mase/data/data_reader.h"
#include "mase/format/family.h"
#include "mase/graph/op_schema.h"
#include "mase/metric/metric.h"
#include "mase/pass/pass_registry.h"
#include "mase/sampler/proposer.h"

namespace mase {

inline constexpr int kConformanceGraphs = 100;  // Random ones.

absl::Status OptionsRoundTrip(const PassInfo& info);
absl::Status OnZoo(const PassInfo& info, PassSource& passes);
absl::Status OnRandomGraphs(const PassInfo& info, PassSource& passes);

absl::Status RoundingIsSound(const Family& family);
absl::Status ValuesAreItsOwn(const Family& family);
absl::Status CodesAreSound(const Family& family);
absl::Status GradientIsFinite(const Family& family);

absl::Status OpIsSound(const OpSchema& schema);
absl::Status OpGradientIsRight(const OpSchema& schema);

absl::Status MetricIsSound(const MetricDefinition& definition);
absl::Status ReaderIsSound(const DataReader& reader);

absl::Status SamplerIsSound(const SamplerDefinition& definition);

// What a check that failed returns.
template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

// Uniform between -scale and scale, the same for the same seed.
inline std::vector<float> RandomFloats(int64_t count, uint32_t seed, float scale) {
  Mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    value = scale * (static_cast<float>(random.Next32() >> 8) / (1 << 23) - 1);
  }
  return values;
}

}  // namespace mase

#endif  // MASE_PLUGIN_CONFORMANCE_CHECKS_H_
