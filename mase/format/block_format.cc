#include "mase/format/block_format.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

// The largest magnitude of a run that is a number, Inf counting as the largest float32.
float FiniteMaximum(const float* x, int64_t count, float maximum) {
  for (int64_t i = 0; i < count; ++i) {
    const float magnitude = std::min(std::fabs(x[i]), std::numeric_limits<float>::max());
    if (magnitude > maximum) maximum = magnitude;  // False for NaN.
  }
  return maximum;
}

// The p-quantile of ascending values, between two of them by linear interpolation.
float Quantile(const std::vector<float>& sorted, double p) {
  const double position = p * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = position - static_cast<double>(below);
  return static_cast<float>(sorted[below] + (double{sorted[above]} - sorted[below]) * weight);
}

}  // namespace

int BlockRule::Exponent(float maximum) const {
  if (maximum == 0) maximum = 1;
  // As a double every float32 is normal, its fraction 29 bits longer.
  const uint64_t bits = std::bit_cast<uint64_t>(double{maximum}) + (uint64_t{carry} << 29);
  return std::clamp(static_cast<int>(bits >> 52) - 1023 + offset, lowest, highest);
}

BlockFormat::BlockFormat(const FormatProto& proto, const Grid& unit, const BlockRule& rule,
                         Layout layout, bool quantile_search, FormatProto::Rounding family_rounding)
    : Format(proto),
      unit_(unit),
      rule_(rule),
      layout_(std::move(layout)),
      quantile_search_(quantile_search),
      policy_(Policy::Of(proto, family_rounding)) {}

double BlockFormat::BitsPerValue(const Shape& shape) const {
  if (shape.elements() == 0) return unit_.bits;
  const absl::StatusOr<BlockLayout> layout = layout_(shape);
  if (!layout.ok()) return unit_.bits;
  return unit_.bits + static_cast<double>(rule_.code_bits) * static_cast<double>(layout->blocks()) /
                          static_cast<double>(shape.elements());
}

absl::Status BlockFormat::DoQuantize(const float* src, float* dst, const Shape& shape,
                                     uint64_t seed) const {
  MASE_ASSIGN_OR_RETURN(const BlockLayout layout, layout_(shape));
  if (policy_.rounding == FormatProto::STOCHASTIC || policy_.overflow != FormatProto::SATURATE ||
      quantile_search_) {
    QuantizeExactly(layout, src, dst, seed);
  } else if (unit_.kind == Grid::Kind::kPower) {
    // Eight bits of exponent reach below the normal numbers in most blocks.
    const FormatProto::Rounding rounding = policy_.rounding;
    if (unit_.has_zero) {
      QuantizeFast(WidePowerOp<true>{PowerOp<true>::Of(rounding)}, layout, shape.elements(), src,
                   dst, seed);
    } else {
      QuantizeFast(WidePowerOp<false>{PowerOp<false>::Of(rounding)}, layout, shape.elements(), src,
                   dst, seed);
    }
  } else {
    WithOp(unit_, policy_.rounding,
           [&](const auto& op) { QuantizeFast(op, layout, shape.elements(), src, dst, seed); });
  }
  return absl::OkStatus();
}

// The parameters of the operators of `blocks` blocks, the same numbers as ParamsOf(GridOf(maximum))
// but for powers, which take WidePowerOp's;
// false if for one of them only doubles are exact: Inf, NaN, the ends of the exponent range.
bool BlockFormat::FastParams(const uint32_t* maxima, int64_t blocks, BlockParams* params) const {
  const Grid::Kind kind = unit_.kind;
  const int min_exponent = unit_.min_exponent, step_exponent = unit_.step_exponent;
  const int max_exponent = unit_.max_exponent;
  const float highest = static_cast<float>(unit_.highest);
  const BlockRule rule = rule_;
  bool all_fast = true;
  ForBestIsa([&, maxima, params] {
    // `make` gives the parameters for the exponent of a block and says whether they are exact.
    const auto run = [&](const auto& make) __attribute__((always_inline)) {
      uint32_t fast = 1;
      for (int64_t j = 0; j < blocks; ++j) {
        const uint32_t bits = maxima[j] == 0 ? Bits(1.0f) : maxima[j];
        int exponent = static_cast<int>((bits + rule.carry) >> 23) - 127 + rule.offset;
        exponent = exponent < rule.lowest ? rule.lowest : exponent;
        exponent = exponent > rule.highest ? rule.highest : exponent;
        fast &= static_cast<uint32_t>(bits >= Bits(0x1p-100f)) &
                static_cast<uint32_t>(bits < Bits(0x1p126f)) & make(exponent, &params[j]);
      }
      all_fast = fast != 0;
    };
    switch (kind) {
      case Grid::Kind::kInteger:
        return run([=](int exponent, BlockParams* p) -> uint32_t {
          const int step = step_exponent + exponent;
          *p = {FromBits(static_cast<uint32_t>(127 - step) << 23),
                FromBits(static_cast<uint32_t>(127 + step) << 23)};
          return static_cast<uint32_t>(step >= -126) & static_cast<uint32_t>(step <= 126);
        });
      case Grid::Kind::kFloat:
        return run([=](int exponent, BlockParams* p) -> uint32_t {
          const float top = highest * FromBits(static_cast<uint32_t>(exponent + 127) << 23);
          *p = {FromBits(static_cast<uint32_t>(min_exponent + exponent + 127)), top};
          return static_cast<uint32_t>(step_exponent + exponent >= -126) &
                 static_cast<uint32_t>(min_exponent + exponent <= 127) &
                 static_cast<uint32_t>(exponent >= -126) & static_cast<uint32_t>(exponent <= 127) &
                 static_cast<uint32_t>(top <= std::numeric_limits<float>::max());
        });
      case Grid::Kind::kPower:
        return run([=](int exponent, BlockParams* p) -> uint32_t {
          int top = max_exponent + exponent;
          top = top > 127 ? 127 : top;
          *p = {FromBits(static_cast<uint32_t>(min_exponent + exponent + 127 + 64)),
                FromBits(static_cast<uint32_t>(top + 127))};
          return static_cast<uint32_t>(min_exponent + exponent >= -149) &
                 static_cast<uint32_t>(top >= -126);
        });
    }
  });
  return all_fast;
}

template <typename Op>
void BlockFormat::QuantizeFast(const Op& op, const BlockLayout& layout, int64_t elements,
                               const float* src, float* dst, uint64_t seed) const {
  BlockParams params[kBlocksPerChunk];
  const bool streams = WorthStreaming(src, dst, elements);
  ForEachChunk(
      layout, src, [&](int64_t, int64_t blocks, const uint32_t* maxima, const auto& for_runs) {
        if (FastParams(maxima, blocks, params)) {
          for_runs([&](int64_t offset, int64_t count) {
            ApplyBlocks(op, params, src + offset, dst + offset, count, layout.column_extent(),
                        streams);
          });
          return;
        }
        // Inf, NaN and the ends of the exponent range: a chunk by the definition.
        std::vector<float> finite(blocks, 0.0f);
        const int64_t extent = layout.column_extent();
        for_runs([&](int64_t offset, int64_t count) {
          for (int64_t j = 0; j * extent < count; ++j) {
            finite[j] = FiniteMaximum(src + offset + j * extent,
                                      std::min(extent, count - j * extent), finite[j]);
          }
        });
        std::vector<Grid> grids;
        for (float maximum : finite) grids.push_back(GridOf(maximum));
        for_runs([&](int64_t offset, int64_t count) {
          for (int64_t j = 0; j * extent < count; ++j) {
            QuantizeOnGrid(grids[j], policy_, src + offset + j * extent, dst + offset + j * extent,
                           std::min(extent, count - j * extent), seed);
          }
        });
      });
  if (streams) _mm_sfence();
}

void BlockFormat::QuantizeExactly(const BlockLayout& layout, const float* src, float* dst,
                                  uint64_t seed) const {
  const std::vector<int> exponents = Exponents(layout, src);
  layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
    QuantizeOnGrid(unit_.Shifted(exponents[block]), policy_, src + offset, dst + offset, count,
                   seed, offset);
  });
}

std::vector<int> BlockFormat::Exponents(const BlockLayout& layout, const float* src) const {
  std::vector<int> exponents(layout.blocks());
  if (quantile_search_) {
    std::vector<std::vector<float>> blocks(layout.blocks());
    layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
      blocks[block].insert(blocks[block].end(), src + offset, src + offset + count);
    });
    for (size_t j = 0; j < blocks.size(); ++j) exponents[j] = SearchExponent(blocks[j]);
    return exponents;
  }
  std::vector<float> maxima(layout.blocks(), 0.0f);
  layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
    maxima[block] = FiniteMaximum(src + offset, count, maxima[block]);
  });
  for (size_t j = 0; j < maxima.size(); ++j) exponents[j] = rule_.Exponent(maxima[j]);
  return exponents;
}

int BlockFormat::SearchExponent(const std::vector<float>& block) const {
  std::vector<float> magnitudes;
  for (float x : block) {
    if (!std::isnan(x)) magnitudes.push_back(FiniteMaximum(&x, 1, 0));
  }
  if (magnitudes.empty()) return rule_.lowest;
  std::sort(magnitudes.begin(), magnitudes.end());
  int best = rule_.Exponent(magnitudes.back());
  double best_error = std::numeric_limits<double>::infinity();
  for (double p : kSearchQuantiles) {
    const int exponent = rule_.Exponent(Quantile(magnitudes, p));
    const Grid grid = unit_.Shifted(exponent);
    double error = 0;
    for (float x : magnitudes) {
      const double difference = double{grid.Quantize(x, policy_)} - x;
      error += difference * difference;
    }
    if (error < best_error) {
      best_error = error;
      best = exponent;
    }
  }
  return best;
}

absl::Status BlockFormat::DoFindSaturated(const float* src, uint8_t* saturated,
                                          const Shape& shape) const {
  if (is_reference()) return Format::DoFindSaturated(src, saturated, shape);
  MASE_ASSIGN_OR_RETURN(const BlockLayout layout, layout_(shape));
  const std::vector<int> exponents = Exponents(layout, src);
  layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
    const Grid grid = unit_.Shifted(exponents[block]);
    for (int64_t i = offset; i < offset + count; ++i) {
      saturated[i] = grid.Saturates(src[i], policy_);
    }
  });
  return absl::OkStatus();
}

absl::Status BlockFormat::DoEncode(const float* src, const Shape& shape,
                                   EncodedTensor* encoded) const {
  if (is_reference()) return Format::DoEncode(src, shape, encoded);
  MASE_ASSIGN_OR_RETURN(const BlockLayout layout, layout_(shape));
  const std::vector<int> exponents = Exponents(layout, src);
  for (int exponent : exponents) encoded->block_codes.push_back(rule_.Code(exponent));
  encoded->codes.resize(shape.elements());
  absl::Status status;
  layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
    const Grid grid = unit_.Shifted(exponents[block]);
    for (int64_t i = offset; i < offset + count; ++i) {
      const float value = grid.Quantize(src[i], policy_);
      const std::optional<uint32_t> code = grid.Code(value);
      if (!code.has_value()) {
        status.Update(NoCodeError(i, value));
      } else {
        encoded->codes[i] = *code;
      }
    }
  });
  return status;
}

absl::Status BlockFormat::DoDecode(const EncodedTensor& encoded, float* dst) const {
  if (is_reference()) return Format::DoDecode(encoded, dst);
  MASE_ASSIGN_OR_RETURN(const BlockLayout layout, layout_(encoded.shape));
  if (static_cast<int64_t>(encoded.block_codes.size()) != layout.blocks()) {
    return absl::InvalidArgumentError(absl::StrCat(family(), ": ", encoded.block_codes.size(),
                                                   " block codes, want ", layout.blocks()));
  }
  layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
    const Grid grid = unit_.Shifted(rule_.ExponentOf(encoded.block_codes[block]));
    for (int64_t i = offset; i < offset + count; ++i) dst[i] = grid.Value(encoded.codes[i]);
  });
  return absl::OkStatus();
}

// Block sizes 16 and 32 get loops of constant length, as in ApplyBlocks.
void AccumulateMaxima(const float* src, int64_t count, int64_t block, uint32_t* maxima) {
  ForBestIsa([=] {
    uint32_t* out = maxima;
    const auto reduce = [&](int64_t begin, int64_t end) __attribute__((always_inline)) {
      uint32_t maximum = *out;
      for (int64_t i = begin; i < end; ++i) {
        const uint32_t magnitude = Bits(src[i]) & 0x7FFFFFFF;
        maximum = magnitude > maximum ? magnitude : maximum;
      }
      *out++ = maximum;
    };
    if (block == 1) {
      for (int64_t i = 0; i < count; ++i) {
        const uint32_t magnitude = Bits(src[i]) & 0x7FFFFFFF;
        maxima[i] = magnitude > maxima[i] ? magnitude : maxima[i];
      }
      return;
    }
    int64_t begin = 0;
    if (block == 16) {
      for (; begin + 16 <= count; begin += 16) reduce(begin, begin + 16);
    } else if (block == 32) {
      for (; begin + 32 <= count; begin += 32) reduce(begin, begin + 32);
    }
    for (; begin < count; begin += block) reduce(begin, std::min(begin + block, count));
  });
}

}  // namespace mase
