#include "mase/data/image_split.h"

#include <array>
#include <filesystem>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/data/data_cache.h"
#include "mase/data/row_sketch.h"

namespace mase {
namespace {

Tensor Scale(const Tensor& pixels, const PixelScale& scale) {
  Tensor features(DType::kFloat32, pixels.shape());
  const int64_t channels = pixels.shape()[1];
  const int64_t planes = pixels.shape()[0] * channels;
  const int64_t plane_size = pixels.shape()[2] * pixels.shape()[3];
  std::vector<std::array<float, 256>> tables(channels);
  for (int64_t c = 0; c < channels; ++c) {
    for (int pixel = 0; pixel < 256; ++pixel) tables[c][pixel] = scale(c, pixel);
  }
  const uint8_t* const src = pixels.data<uint8_t>().data();
  float* const dst = features.mutable_data<float>().data();
#pragma omp parallel for schedule(static) if (planes * plane_size > 1 << 20)
  for (int64_t p = 0; p < planes; ++p) {
    const std::array<float, 256>& table = tables[p % channels];
    for (int64_t i = p * plane_size; i < (p + 1) * plane_size; ++i) dst[i] = table[src[i]];
  }
  return features;
}

}  // namespace

Dataset::Loader ImageLoader(std::vector<std::string> files, std::string recipe, int64_t classes,
                            std::function<absl::StatusOr<RawImages>()> read, PixelScale scale,
                            std::shared_ptr<Notes> notes) {
  return [files = std::move(files), recipe = std::move(recipe), classes, read = std::move(read),
          scale = std::move(scale), notes = std::move(notes)]() -> absl::StatusOr<SplitData> {
    const auto build = [&]() -> absl::StatusOr<CachedData> {
      MASE_ASSIGN_OR_RETURN(RawImages raw, read());
      Tensor ids = RowIds(raw.pixels, raw.labels);
      return CachedData{{}, {std::move(raw.pixels), std::move(raw.labels), std::move(ids)}};
    };
    const auto fits = [&](const CachedData& kept) {
      return kept.tensors.size() == 3 && kept.tensors[0].dtype() == DType::kUInt8 &&
             kept.tensors[0].shape().rank() == 4 && kept.tensors[1].dtype() == DType::kInt64 &&
             kept.tensors[2].dtype() == DType::kInt64 &&
             kept.tensors[1].shape() == Shape({kept.tensors[0].shape()[0]}) &&
             kept.tensors[2].shape() == kept.tensors[1].shape() &&
             absl::c_all_of(kept.tensors[1].data<int64_t>(),
                            [&](int64_t label) { return label >= 0 && label < classes; });
    };
    MASE_ASSIGN_OR_RETURN(const CachedData data, LoadOrBuild(files, recipe, fits, build, *notes));
    return SplitData{
        Scale(data.tensors[0], scale), data.tensors[1],
        absl::StrCat("all images of ", std::filesystem::path(files[0]).filename().string(),
                     files.size() > 1 ? " and others" : ""),
        data.tensors[2]};
  };
}

}  // namespace mase
