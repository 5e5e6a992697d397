#include "mase/format/grid_ops.h"

#include "mase/base/isa.h"

namespace mase {
namespace {

template <typename Op>
void Map(const Op& op, BlockParams params, const float* src, float* dst, int64_t count) {
  ForBestIsa([=] {
    const Op local = op;  // A copy that cannot alias `dst`.
    for (int64_t i = 0; i < count; ++i) dst[i] = local(src[i], params);
  });
}

}  // namespace

BlockParams ParamsOf(const Grid& grid) {
  switch (grid.kind) {
    case Grid::Kind::kInteger:
      return {PowerOfTwo(-grid.step_exponent), PowerOfTwo(grid.step_exponent)};
    case Grid::Kind::kFloat:
      return {FromBits(static_cast<uint32_t>(grid.min_exponent + 127)),
              static_cast<float>(grid.highest)};
    case Grid::Kind::kPower:
      return {FromBits(static_cast<uint32_t>(grid.min_exponent + 127)),
              FromBits(static_cast<uint32_t>(grid.max_exponent + 127))};
  }
  return {};
}

void QuantizeOnGrid(const Grid& grid, const Policy& policy, const float* src, float* dst,
                    int64_t count, uint64_t seed, uint64_t first_index) {
  const bool floor = policy.rounding == FormatProto::FLOOR && grid.kind == Grid::Kind::kInteger;
  if (policy.overflow == FormatProto::SATURATE &&
      (floor || policy.rounding == FormatProto::NEAREST_EVEN)) {
    if (HasFastOp(grid)) {
      return WithOp(grid, floor,
                    [&](const auto& op) { Map(op, ParamsOf(grid), src, dst, count); });
    }
    if (grid.kind == Grid::Kind::kFloat && grid.step_exponent >= -149) {
      return Map(WideFloatOp{grid.mantissa_bits}, ParamsOf(grid), src, dst, count);
    }
  }
  const bool random = policy.rounding == FormatProto::STOCHASTIC;
  for (int64_t i = 0; i < count; ++i) {
    dst[i] = grid.Quantize(src[i], policy, random ? UniformAt(seed, first_index + i) : 0);
  }
}

}  // namespace mase
