#include "mase/model/initial.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/types/span.h"

namespace mase {

void DrawInitial(const ParameterSpec& spec, TorchGenerator& generator, Tensor& tensor) {
  switch (spec.init) {
    case ParameterSpec::Init::kZeros:
      std::memset(tensor.mutable_raw_data(), 0, tensor.size_bytes());
      break;
    case ParameterSpec::Init::kOnes: {
      absl::Span<float> values = tensor.mutable_data<float>();
      std::fill(values.begin(), values.end(), 1.0f);
      break;
    }
    case ParameterSpec::Init::kUniformFanIn: {
      const double bound = spec.fan_in > 0 ? 1 / std::sqrt(static_cast<double>(spec.fan_in)) : 0;
      generator.FillUniform(tensor.mutable_data<float>(), static_cast<float>(-bound),
                            static_cast<float>(bound));
      break;
    }
  }
}

}  // namespace mase
