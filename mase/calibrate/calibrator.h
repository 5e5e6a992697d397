// Calibrators: how a format's scale follows from the values that were observed.
//
//   minmax           the range of all values (the PyTorch observer of that name)
//   moving_average   Observer::moving_range()
//   percentile       symmetric formats: +-percentile of |x|; asymmetric ones: the two quantiles
//                    that leave (100 - percentile) / 2 per cent outside each
//   mse              the range with the smallest sum of (x - q(x))^2, which is the largest SQNR:
//                    found by trying (Sung, Shin, Hwang: Resiliency of deep neural networks under
//                    quantization, 2015, section 3; Banner, Nahshan, Soudry: Post training 4-bit
//                    quantization, 2019, solve it for Gauss and Laplace densities)
//   entropy          the range with the smallest Kullback-Leibler divergence of the histogram from
//                    its quantized form (Migacz: 8-bit inference with TensorRT, GTC 2017)
//
// Where ranges are tried (mse, entropy) those of the format's next power of two, its half, its
// quarter, ... are, if its scale is one; these are all formats that can be best. Otherwise the
// range of all values is tried, then those from 2^(1/8) times as wide down to 1/256 of it, both
// ends alike: in steps of 2^(1/8), for up to 2^17 values of 2^(1/64) down to a quarter. Around the
// best, sixteenths of these steps follow. For asymmetric formats each end then does much the same
// by itself, twice. Of equal ranges the first is taken.
//
// Entropy: 2048 equal bins over the range of the values, p the counts. Bins whose centre the format
// saturates give their counts to the nearest bin inside (p alone). Consecutive bins of one code
// share their own counts evenly among those with p > 0: q. The divergence is
// sum p ln(p / max(q, 1e-9)), p and q made to sum to 1. A range so narrow that each bin inside has
// a code of its own is not taken (TensorRT's searches end there, too).
#ifndef MASE_CALIBRATE_CALIBRATOR_H_
#define MASE_CALIBRATE_CALIBRATOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/calibrate/fit.h"
#include "mase/calibrate/observer.h"
#include "proto/format.pb.h"

namespace mase {

enum class CalibrationMethod { kMinMax, kMovingAverage, kPercentile, kMse, kEntropy };

// All of them, in the order above.
absl::Span<const CalibrationMethod> AllCalibrationMethods();
// "minmax", "moving_average", ...
absl::string_view CalibrationMethodName(CalibrationMethod method);

struct CalibratorOptions {
  FitOptions fit;
  double percentile = 99.99;  // (0, 100].
};

// `format` with its parameter set by what `seen` saw. CanFit(format) and !seen.empty(). The errors
// are those of FitToRange.
absl::StatusOr<FormatProto> Calibrate(const FormatProto& format, const Observer& seen,
                                      CalibrationMethod method, const CalibratorOptions& options);

}  // namespace mase

#endif  // MASE_CALIBRATE_CALIBRATOR_H_
