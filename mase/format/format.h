// Number formats: what a tensor's values are rounded to when a model is quantized.
//
//   MASE_ASSIGN_OR_RETURN(auto format, Format::Create(proto));
//   MASE_RETURN_IF_ERROR(format->Quantize(x, y, shape));
//
// A Format is a value: FormatProto (proto/format.proto) describes it fully, it never changes,
// and any number of threads may use one. Quantization is "fake": float32 in, float32 out, each
// result being a value that the format can represent. Encode and Decode go to and from the
// integer codes that hardware stores.
//
// EXACT semantics (the default) round to the nearest representable value; REFERENCE equals MASE
// bit for bit. docs/formats.md defines every family. To add one: a file with its class and its
// `Family` (family.h), and its line in families.cc.
#ifndef MASE_FORMAT_FORMAT_H_
#define MASE_FORMAT_FORMAT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/tensor/tensor.h"
#include "proto/format.pb.h"

namespace mase {

// Codes of a tensor. An element's code is an unsigned bit pattern of Format::code_bits() bits:
// two's complement for integers, sign | exponent | fraction for floats, sign | magnitude for
// block_fp, sign | exponent for log. Block formats add one code a block (exponent, bias or, for
// scale_integer, the bits of the float32 scale), in row-major order of blocks.
struct EncodedTensor {
  Shape shape;
  std::vector<uint32_t> codes;
  std::vector<uint32_t> block_codes;
};

class Format {
 public:
  // Checks every field. InvalidArgument names family, field, value and allowed range.
  static absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto);

  // The same from text, "integer 8/4" or "integer { width: 8 frac_width: 4 }" (format_text.h).
  static absl::StatusOr<std::unique_ptr<const Format>> FromText(absl::string_view text);

  virtual ~Format() = default;
  Format(const Format&) = delete;
  Format& operator=(const Format&) = delete;

  // With all defaults filled in.
  const FormatProto& proto() const { return proto_; }
  bool is_reference() const { return proto_.semantics() == FormatProto::REFERENCE; }
  absl::string_view family() const;        // "integer"
  absl::string_view class_suffix() const;  // "Integer", as in LinearInteger.

  // PrecisionOf(proto()).
  std::vector<std::string> Precision() const;

  // One line for people: "integer { width: 8 frac_width: 4 }: 8 bits, -8 to 7.9375, step 0.0625".
  std::string Describe() const;

  // Quantizes `src` into `dst`, dense row-major float32 arrays of `shape` (any rank, also empty);
  // they may be the same array but not overlap otherwise. `seed` is for stochastic formats alone:
  // equal seeds give equal draws. Element-wise formats allocate nothing.
  //
  // InvalidArgument when REFERENCE semantics refuse the shape, as MASE crashes there; OutOfRange
  // for a NaN under NAN_IS_ERROR. On error `dst` is unspecified.
  absl::Status Quantize(const float* src, float* dst, const Shape& shape, uint64_t seed = 0) const;
  absl::StatusOr<Tensor> Quantize(const Tensor& src, uint64_t seed = 0) const;

  // The gradient by `src`, given `diff_dst`, the gradient by the quantized values, by the proto's
  // rule or the family's own. Arrays as in Quantize; `diff_src` may be `diff_dst`.
  absl::Status Gradient(const float* src, const float* diff_dst, float* diff_src,
                        const Shape& shape) const;

  // saturated[i] is 1 where src[i] lies so far beyond the ends of the format that rounding without
  // bounds would leave them, else 0. Arrays as in Quantize. Unimplemented where
  // REFERENCE has no such notion (blocks), and where values have no ends.
  absl::Status FindSaturated(const float* src, uint8_t* saturated, const Shape& shape) const;

  // InvalidArgument if no tensor of the shape's rank can be quantized: MASE takes some ranks alone.
  // What depends on extents, which may be those of a batch, is for Quantize to refuse.
  virtual absl::Status CheckRank(const Shape& shape) const;

  // Bits of an element's code; 0 for formats without codes (lsq at level 256 and more, ...).
  virtual int code_bits() const { return 0; }

  // Codes of the quantized tensor; Decode(Encode(x)) equals Quantize(x) bit for bit. Unimplemented
  // where the family has no codes; OutOfRange for a value without a code (a NaN; what REFERENCE
  // lets through unquantized).
  absl::StatusOr<EncodedTensor> Encode(const Tensor& src) const;
  absl::StatusOr<Tensor> Decode(const EncodedTensor& encoded) const;

  // Storage a value takes in a tensor of `shape`, block codes included.
  virtual double BitsPerValue(const Shape& shape) const = 0;

  // Smallest and largest finite value, and the smallest distance between two values. For formats
  // scaled by their data they are those of a block whose maximum is 1.
  virtual double lowest() const = 0;
  virtual double highest() const = 0;
  virtual double step() const = 0;

  // All values, ascending, each once (of the zeros: +0). Empty above 2^16 codes. For formats
  // scaled by their data: those of a block whose maximum is 1.
  virtual std::vector<float> Values() const { return {}; }

 protected:
  explicit Format(const FormatProto& proto) : proto_(proto) {}

  virtual absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                                  uint64_t seed) const = 0;
  // For STRAIGHT_THROUGH; by default diff_dst.
  virtual absl::Status DoGradient(const float* src, const float* diff_dst, float* diff_src,
                                  const Shape& shape) const;
  // By default Unimplemented, and then Create refuses CLAMP_AWARE.
  virtual absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                                       const Shape& shape) const;
  // For CLAMP_AWARE; by default DoGradient, but 0 for what saturates.
  virtual absl::Status DoClampAwareGradient(const float* src, const float* diff_dst,
                                            float* diff_src, const Shape& shape) const;
  virtual absl::Status DoEncode(const float* src, const Shape& shape, EncodedTensor* encoded) const;
  virtual absl::Status DoDecode(const EncodedTensor& encoded, float* dst) const;

  // OutOfRange: element `index`, quantized to `value`, is not a value of the format.
  absl::Status NoCodeError(int64_t index, float value) const;

 private:
  const FormatProto proto_;
};

// Codes packed without gaps, the first in the lowest bits of the first byte. `bits` is 1 to 32.
std::vector<uint8_t> PackCodes(absl::Span<const uint32_t> codes, int bits);
std::vector<uint32_t> UnpackCodes(absl::Span<const uint8_t> bytes, int bits, int64_t count);

// What MASE writes as metadata `precision`, for example {"8", "4"} for integer 8/4: the values that
// hold, given or by default. A field without either reads "None". The family must be set.
std::vector<std::string> PrecisionOf(const FormatProto& format);

// `format` with every optional field that has a default set to it: "integer { width: 8 }" has
// frac_width 4. What has none (an mx without block_size) stays unset. Nothing is checked.
FormatProto WithDefaults(const FormatProto& format);

// The format that a MASE config describes: `name` as in `name = "minifloat_ieee"` (also the
// aliases `fixed`, `integer_floor`, `msfp`), `parameters` those of one operand. `operand`
// ("data_in", "weight", ...) is for messages alone and may be empty. `policies` has the semantics,
// roundings and so on of the result; its family is not read.
//
// InvalidArgument: a required parameter is missing ("integer needs data_in_width"), the format
// does not know one that is set, or a value is out of its range. NotFound: no such format, with
// the nearest name.
absl::StatusOr<FormatProto> FormatFromParameters(absl::string_view name,
                                                 const FormatParameters& parameters,
                                                 absl::string_view operand,
                                                 const FormatProto& policies = {});

}  // namespace mase

#endif  // MASE_FORMAT_FORMAT_H_
