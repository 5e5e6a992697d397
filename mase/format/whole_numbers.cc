#include "mase/format/whole_numbers.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "mase/base/power_of_two.h"
#include "mase/format/family.h"
#include "mase/format/lsq.h"

namespace mase {
namespace {

absl::Status Refuse(const FormatProto& format, absl::string_view why) {
  return absl::UnimplementedError(absl::StrCat(FindFamily(format)->name, " ", why));
}

WholeNumbers OneBlock(const FormatProto& format, float step, int64_t least, int64_t most) {
  WholeNumbers numbers;
  numbers.blocks = {{step, least, most}};
  numbers.rounding = Policy::Of(format).rounding;
  numbers.nan = format.nan();
  return numbers;
}

WholeNumbers OfAffine(const FormatProto& format) {
  const AffineFormat& affine = format.affine();
  const int64_t lo = affine.is_signed() ? -(int64_t{1} << (affine.width() - 1)) : 0;
  const int64_t hi = lo + (int64_t{1} << affine.width()) - 1;
  WholeNumbers numbers = OneBlock(format, 1, lo, hi);
  numbers.blocks.clear();
  for (int i = 0; i < affine.scale_size(); ++i) {
    const int64_t zero = affine.zero_point().empty() ? 0 : affine.zero_point(i);
    numbers.blocks.push_back({affine.scale(i), lo - zero, hi - zero});
  }
  numbers.block_size.assign(affine.block_size().begin(), affine.block_size().end());
  return numbers;
}

}  // namespace

bool WholeNumbers::powers_of_two() const {
  return std::all_of(blocks.begin(), blocks.end(),
                     [](const Block& block) { return IsPowerOfTwo(block.step); });
}

int64_t WholeNumbers::largest() const {
  int64_t largest = 0;
  for (const Block& block : blocks) largest = std::max({largest, -block.least, block.most});
  return largest;
}

int WholeNumbers::width() const {
  int width = 1;
  for (const Block& block : blocks) {
    while (block.least < 0 ? block.least < -(int64_t{1} << (width - 1)) ||
                                 block.most >= int64_t{1} << (width - 1)
                           : block.most >= int64_t{1} << width) {
      ++width;
    }
  }
  return width;
}

absl::StatusOr<WholeNumbers> WholeNumbersOf(const FormatProto& given) {
  const FormatProto format = WithDefaults(given);
  if (format.semantics() == FormatProto::REFERENCE) {
    return Refuse(format, "with REFERENCE semantics, which are MASE's float arithmetic");
  }
  if (format.overflow() == FormatProto::WRAP)
    return Refuse(format, "with codes that wrap around; take those that saturate");
  if (Policy::Of(format).rounding == FormatProto::STOCHASTIC) {
    return Refuse(format, "with stochastic rounding; take one that is not random");
  }
  switch (format.family_case()) {
    case FormatProto::kInteger: {
      const IntegerFormat& integer = format.integer();
      const int width = integer.width();
      const int64_t least = integer.is_signed() ? -(int64_t{1} << (width - 1)) : 0;
      const float step = std::ldexp(1.0f, -integer.frac_width());
      return OneBlock(format, step, least, least + (int64_t{1} << width) - 1);
    }
    case FormatProto::kAffine:
      return OfAffine(format);
    case FormatProto::kLsq: {
      if (!HasLearnedStep(format)) return Refuse(format, "of 256 levels, which rounds nothing");
      const LsqRange range = LsqRangeOf(format);
      return OneBlock(format, format.lsq().has_scale() ? format.lsq().scale() : 1, range.lo,
                      range.hi);
    }
    case FormatProto::kBinary: {
      if (format.binary().stochastic())
        return Refuse(format, "with random signs; take stochastic = false");
      if (!format.binary().bipolar())
        return Refuse(format, "with values 0 and the data's mean; take bipolar = true");
      WholeNumbers numbers = OneBlock(format, 1, -1, 1);
      numbers.rounds_by_step = false;
      return numbers;
    }
    case FormatProto::kTernary: {
      if (format.ternary().scaling_factor())
        return Refuse(format, "scaled by the data; take scaling_factor = false");
      WholeNumbers numbers = OneBlock(format, 1, -1, 1);
      numbers.rounds_by_step = false;
      return numbers;
    }
    default:
      return Refuse(format, "is no multiple of one step; take an integer or affine one");
  }
}

}  // namespace mase
