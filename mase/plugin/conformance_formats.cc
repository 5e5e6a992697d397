#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "google/protobuf/text_format.h"
#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/plugin/conformance_checks.h"

namespace mase {
namespace {

bool SameBits(absl::Span<const float> a, absl::Span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<float> TryingValues() {
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1,
                               -1,
                               0.5f,
                               -0.5f,
                               3,
                               -3,
                               1e-40f,
                               -1e-40f,
                               1e-20f,
                               1e20f,
                               -1e20f,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::lowest()};
  for (const float scale : {0.01f, 1.0f, 100.0f}) {
    const std::vector<float> more = RandomFloats(1000, 3, scale);
    values.insert(values.end(), more.begin(), more.end());
  }
  return values;
}

absl::StatusOr<std::unique_ptr<const Format>> ExampleOf(const Family& family) {
  FormatProto example;
  google::protobuf::TextFormat::ParseFromString(std::string(family.example), &example);
  return Format::Create(example);
}

}  // namespace

absl::Status RoundingIsSound(const Family& family) {
  MASE_ASSIGN_OR_RETURN(const auto format, ExampleOf(family));
  const std::vector<float> x = TryingValues();
  const Shape shape = {static_cast<int64_t>(x.size())};
  std::vector<float> once(x.size()), again(x.size()), twice(x.size());
  MASE_RETURN_IF_ERROR(format->Quantize(x.data(), once.data(), shape, 5));
  MASE_RETURN_IF_ERROR(format->Quantize(x.data(), again.data(), shape, 5));
  if (!SameBits(once, again)) return Wrong("the same values are rounded in two ways");
  MASE_RETURN_IF_ERROR(format->Quantize(once.data(), twice.data(), shape, 5));
  for (size_t i = 0; i < x.size(); ++i) {
    if (once[i] != twice[i] && !(std::isnan(once[i]) && std::isnan(twice[i]))) {
      return Wrong(x[i], " becomes ", once[i], ", and that ", twice[i]);
    }
  }
  std::vector<float> in_place = x;
  MASE_RETURN_IF_ERROR(format->Quantize(in_place.data(), in_place.data(), shape, 5));
  if (!SameBits(once, in_place)) return Wrong("in place values are rounded otherwise");
  const std::vector<float> odd = {std::numeric_limits<float>::infinity(),
                                  -std::numeric_limits<float>::infinity(),
                                  std::numeric_limits<float>::quiet_NaN()};
  std::vector<float> rounded(odd.size());
  const absl::Status status = format->Quantize(odd.data(), rounded.data(), {3});
  return status.ok() || absl::IsOutOfRange(status) ? absl::OkStatus() : status;
}

absl::Status CodesAreSound(const Family& family) {
  MASE_ASSIGN_OR_RETURN(const auto format, ExampleOf(family));
  if (format->code_bits() == 0) return absl::OkStatus();
  const std::vector<float> x = TryingValues();
  const Tensor values = Tensor::FromValues<float>({static_cast<int64_t>(x.size())}, x);
  MASE_ASSIGN_OR_RETURN(const Tensor rounded, format->Quantize(values));
  MASE_ASSIGN_OR_RETURN(const EncodedTensor encoded, format->Encode(values));
  if (encoded.codes.size() != x.size()) return Wrong(encoded.codes.size(), " codes of ", x.size());
  for (const uint32_t code : encoded.codes) {
    if (format->code_bits() < 32 && code >> format->code_bits() != 0) {
      return Wrong("code ", code, " has more than ", format->code_bits(), " bits");
    }
  }
  MASE_ASSIGN_OR_RETURN(const Tensor decoded, format->Decode(encoded));
  for (size_t i = 0; i < x.size(); ++i) {
    const float want = rounded.data<float>()[i], got = decoded.data<float>()[i];
    if (want != got) return Wrong(x[i], " is rounded to ", want, ", and its code means ", got);
  }
  return absl::OkStatus();
}

absl::Status ValuesAreItsOwn(const Family& family) {
  MASE_ASSIGN_OR_RETURN(const auto format, ExampleOf(family));
  const std::vector<float> values = format->Values();
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && values[i] <= values[i - 1]) return Wrong("Values() are not ascending at ", i);
    float rounded = 0;
    MASE_RETURN_IF_ERROR(format->Quantize(&values[i], &rounded, {1}));
    if (rounded != values[i]) return Wrong("its value ", values[i], " is rounded to ", rounded);
  }
  if (!values.empty() &&
      (values.front() != format->lowest() || values.back() != format->highest())) {
    return Wrong("Values() end at ", values.front(), " and ", values.back(), ", but lowest() is ",
                 format->lowest(), ", highest() ", format->highest());
  }
  return format->BitsPerValue({64, 64}) > 0 ? absl::OkStatus()
                                            : Wrong("BitsPerValue is not above 0");
}

absl::Status GradientIsFinite(const Family& family) {
  MASE_ASSIGN_OR_RETURN(const auto format, ExampleOf(family));
  const std::vector<float> x = TryingValues(), ones(x.size(), 1);
  std::vector<float> gradient(x.size());
  MASE_RETURN_IF_ERROR(
      format->Gradient(x.data(), ones.data(), gradient.data(), {static_cast<int64_t>(x.size())}));
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(gradient[i])) return Wrong("the gradient at ", x[i], " is ", gradient[i]);
  }
  return absl::OkStatus();
}

}  // namespace mase
