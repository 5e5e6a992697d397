#include "mase/format/grid_ops.h"

#include "mase/format/isa.h"

namespace mase {
namespace {

template <typename Op>
void Map(const Op& op, const float* src, float* dst, int64_t count) {
  ForBestIsa([=] {
    const Op local = op;  // A copy that cannot alias `dst`.
    for (int64_t i = 0; i < count; ++i) dst[i] = local(src[i]);
  });
}

void MapInteger(const Grid& grid, bool floor, const float* src, float* dst, int64_t count) {
  if (grid.sign_magnitude) {
    floor ? Map(IntegerOp<true, true>(grid), src, dst, count)
          : Map(IntegerOp<false, true>(grid), src, dst, count);
  } else {
    floor ? Map(IntegerOp<true, false>(grid), src, dst, count)
          : Map(IntegerOp<false, false>(grid), src, dst, count);
  }
}

}  // namespace

void QuantizeOnGrid(const Grid& grid, const Policy& policy, const float* src, float* dst,
                    int64_t count, uint64_t seed, uint64_t first_index) {
  const bool floor =
      policy.rounding == FormatProto::FLOOR && grid.kind == Grid::Kind::kInteger;
  if (HasFastOp(grid) && policy.overflow == FormatProto::SATURATE &&
      (floor || policy.rounding == FormatProto::NEAREST_EVEN)) {
    switch (grid.kind) {
      case Grid::Kind::kInteger:
        return MapInteger(grid, floor, src, dst, count);
      case Grid::Kind::kFloat:
        return Map(FloatOp(grid), src, dst, count);
      case Grid::Kind::kPower:
        return Map(PowerOp(grid), src, dst, count);
    }
  }
  const bool random = policy.rounding == FormatProto::STOCHASTIC;
  for (int64_t i = 0; i < count; ++i) {
    dst[i] = grid.Quantize(src[i], policy, random ? UniformAt(seed, first_index + i) : 0);
  }
}

}  // namespace mase
