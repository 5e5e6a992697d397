#include "mase/format/grid_ops.h"

#include "mase/format/stream.h"

namespace mase {
namespace {

// An operator of one block.
template <typename Op>
struct Elementwise : Op {
  BlockParams params;

  float operator()(float x) const { return Op::operator()(x, params); }
};

template <typename Op>
void Map(const Op& op, BlockParams params, const float* src, float* dst, int64_t count) {
  MapElements(Elementwise<Op>{op, params}, src, dst, count);
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
  if (policy.overflow == FormatProto::SATURATE && policy.rounding != FormatProto::STOCHASTIC) {
    if (HasFastOp(grid)) {
      return WithOp(grid, policy.rounding,
                    [&](const auto& op) { Map(op, ParamsOf(grid), src, dst, count); });
    }
    if (grid.kind == Grid::Kind::kFloat && grid.step_exponent >= -149 && ServesHighest(grid)) {
      return WithRound(policy.rounding, [&](const auto& round) {
        const WideFloatOp<std::decay_t<decltype(round)>> op{round, grid.mantissa_bits};
        Map(op, ParamsOf(grid), src, dst, count);
      });
    }
  }
  const bool random = policy.rounding == FormatProto::STOCHASTIC;
  for (int64_t i = 0; i < count; ++i) {
    dst[i] = grid.Quantize(src[i], policy, random ? UniformAt(seed, first_index + i) : 0);
  }
}

}  // namespace mase
