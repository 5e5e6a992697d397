// The parameter of a format that only scales its values, and how it follows from the range that
// the values should cover.
//
//   family                                parameter        one step up
//   integer, logicnets                    frac_width       halves the values
//   flexround with a width and no s1_init frac_width       halves the values
//   minifloat_ieee, minifloat_denorm, log exponent_bias    halves the values
//   lsq                                   scale            values are multiples of it
//   affine                                scale, zero_point
//
// Integers with codes lo .. hi (torch.ao.quantization's formulas, so that minimum and maximum give
// the scales that PyTorch's observers give):
//
//   symmetric    scale = max|x| / ((hi - lo) / 2), unsigned max x / hi; zero_point = 0
//   asymmetric   the range is widened to hold 0; scale = (max - min) / (hi - lo),
//                zero_point = lo - round(min / scale)
//
// A scale that must be a power of two is the next one above. Then no value of the range is off by
// more than half a step. The other families get the smallest range that holds the whole interval.
#ifndef MASE_CALIBRATE_FIT_H_
#define MASE_CALIBRATE_FIT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/calibrate/observer.h"
#include "proto/format.pb.h"

namespace mase {

struct FitOptions {
  // Integers: scales may be any number (`affine`), not just powers of two.
  bool float_scale = false;
  // Integers: with a zero point (`affine`) where this is false.
  bool symmetric = true;
  // Integers: `affine` in any case, so that blocks can have scales of their own (JoinBlocks).
  bool affine = false;
};

// Whether the format has such a parameter. False for those that scale themselves by their data
// (block_fp, mxint, ...) or whose values are fixed (minifloat, ...).
bool CanFit(const FormatProto& format);

// Whether the parameter is given. False where there is none.
bool HasFit(const FormatProto& format);

// integer or affine: a format that FitOptions speak of.
bool IsFixedPoint(const FormatProto& format);

// The scale and zero point of integers.
struct AffineFit {
  float scale = 1;
  int32_t zero_point = 0;
  double lo = 0, hi = 0;  // Codes.
};
// `format` is fixed point; the range is not {0, 0}.
AffineFit FitAffine(const FormatProto& format, Range range, const FitOptions& options);

// `format` with its parameter set for `range`, which is not {0, 0}; all else as it is. An integer
// stays one if its scale may only be a power of two without zero point, and becomes `affine` else;
// then the errors are those of Format::Create (`affine` knows neither REFERENCE semantics nor
// other roundings). CanFit(format).
absl::StatusOr<FormatProto> FitToRange(const FormatProto& format, Range range,
                                       const FitOptions& options);

// One affine format with the scales and zero points of many, in row-major order of the blocks of
// a tensor (AffineFormat.block_size).
FormatProto JoinBlocks(absl::Span<const FormatProto> blocks, absl::Span<const int64_t> block_size);

}  // namespace mase

#endif  // MASE_CALIBRATE_FIT_H_
