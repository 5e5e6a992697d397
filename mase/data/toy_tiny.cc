#include "mase/data/toy_tiny.h"

#include "absl/strings/str_cat.h"
#include "mase/base/random.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

SplitData Generate(uint32_t seed) {
  constexpr int64_t kSamples = 10240;
  SplitData data;
  data.features = Tensor(DType::kFloat32, {kSamples, 1, 2, 2});
  data.labels = Tensor(DType::kInt64, {kSamples});
  data.origin = absl::StrCat("generated, seed ", seed);
  float* value = data.features.mutable_data<float>().data();
  NumpyGenerator generator(seed);
  for (int64_t& label : data.labels.mutable_data<int64_t>()) {
    double sum = 0;
    for (int i = 0; i < 4; ++i) {
      const double x = (generator.Uniform() - 0.5) * 2;
      sum += x;
      *value++ = static_cast<float>(x);
    }
    label = sum > 0 ? 1 : 0;
  }
  return data;
}

}  // namespace

absl::StatusOr<Dataset> OpenToyTiny(const OpenOptions& options) {
  DatasetInfo info;
  info.name = "toy_tiny";
  info.kind = "simulated rows";
  info.real = false;
  info.class_names = {"0", "1"};
  info.sample_shape = Shape({1, 2, 2});
  if (options.recipe != nullptr) MASE_RETURN_IF_ERROR(CheckFits(*options.recipe, info));
  Dataset dataset(info);
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest, Split::kPred}) {
    dataset.Set(split, [split] { return Generate(static_cast<uint32_t>(split)); });
  }
  return dataset;
}

}  // namespace mase
