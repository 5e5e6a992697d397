#include "mase/format/format.h"

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/reflection.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format_text.h"
#include "mase/format/plugin_values.h"

namespace mase {
namespace {

const Family& FamilyOf(const FormatProto& proto) { return *FindFamily(proto); }

// A field as Python prints the value: None, 8, True, [16].
std::string PythonValue(const google::protobuf::Message& message,
                        const google::protobuf::FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    return absl::StrCat(
        "[", absl::StrJoin(reflection.GetRepeatedFieldRef<int32_t>(message, &field), ", "), "]");
  }
  if (field.has_presence() && !reflection.HasField(message, &field)) return "None";
  switch (field.cpp_type()) {
    case google::protobuf::FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(message, &field));
    case google::protobuf::FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "True" : "False";
    case google::protobuf::FieldDescriptor::CPPTYPE_FLOAT:
      return absl::StrCat(reflection.GetFloat(message, &field));
    case google::protobuf::FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, &field);
    default:
      return "?";
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Format>> Format::Create(const FormatProto& proto) {
  const Family* family = FindFamily(proto);
  if (family == nullptr) {
    return absl::InvalidArgumentError("format: no family is set; for example 'integer 8/4'");
  }
  if (proto.semantics() == FormatProto::REFERENCE && !family->has_reference) {
    return absl::InvalidArgumentError(absl::StrCat(
        family->name, ": MASE has no such format; semantics REFERENCE is not supported"));
  }
  FormatProto full = WithDefaults(proto);
  if (full.has_plugin() && family->name == full.plugin().family()) {  // Its plugin is open.
    MASE_RETURN_IF_ERROR(FillPluginValues(*family, full.mutable_plugin()));
  }
  absl::StatusOr<std::unique_ptr<const Format>> format = family->create(full);
  if (format.ok() && proto.gradient() == FormatProto::CLAMP_AWARE) {
    float zero = 0;
    if (absl::IsUnimplemented((*format)->Gradient(&zero, &zero, &zero, {1}))) {
      return absl::InvalidArgumentError(
          absl::StrCat(family->name, ": gradient: there is no CLAMP_AWARE rule for this format"));
    }
  }
  return format;
}

absl::StatusOr<std::unique_ptr<const Format>> Format::FromText(absl::string_view text) {
  MASE_ASSIGN_OR_RETURN(const FormatProto proto, ParseFormat(text));
  return Create(proto);
}

absl::string_view Format::family() const { return FamilyOf(proto_).name; }

absl::string_view Format::class_suffix() const { return FamilyOf(proto_).class_suffix; }

std::vector<std::string> Format::Precision() const { return PrecisionOf(proto_); }

std::vector<std::string> PrecisionOf(const FormatProto& format) {
  const FormatProto proto = WithDefaults(format);
  if (proto.has_plugin()) return PluginValueTexts(proto.plugin());
  const Family& family = FamilyOf(proto);
  const google::protobuf::Message& message = proto.GetReflection()->GetMessage(
      proto, FormatProto::descriptor()->FindFieldByNumber(proto.family_case()));
  std::vector<std::string> precision;
  for (const FamilyParameter& parameter : family.parameters) {
    if (!parameter.in_precision) continue;
    const absl::string_view field = parameter.field.empty() ? parameter.name : parameter.field;
    precision.push_back(
        PythonValue(message, *message.GetDescriptor()->FindFieldByName(std::string(field))));
  }
  return precision;
}

std::string Format::Describe() const {
  return absl::StrCat(FormatText(proto_), ": ",
                      code_bits() > 0 ? absl::StrCat(code_bits(), " bits") : "no codes", ", ",
                      lowest(), " to ", highest(), ", step ", step());
}

absl::Status Format::Quantize(const float* src, float* dst, const Shape& shape,
                              uint64_t seed) const {
  const int64_t count = shape.elements();
  if (proto_.nan() == FormatProto::NAN_IS_ERROR) {
    for (int64_t i = 0; i < count; ++i) {
      if (std::isnan(src[i])) {
        return absl::OutOfRangeError(
            absl::StrCat(family(), ": element ", i, " of ", shape.ToString(), " is NaN"));
      }
    }
  }
  if (count == 0) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(DoQuantize(src, dst, shape, seed));
  if (proto_.nan() == FormatProto::NAN_TO_ZERO) {
    for (int64_t i = 0; i < count; ++i) dst[i] = std::isnan(dst[i]) ? 0.0f : dst[i];
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Format::Quantize(const Tensor& src, uint64_t seed) const {
  if (src.dtype() != DType::kFloat32) {
    return absl::InvalidArgumentError(
        absl::StrCat(family(), " quantizes float32 tensors, not ", DTypeName(src.dtype())));
  }
  MASE_ASSIGN_OR_RETURN(Tensor dst, Tensor::Create(DType::kFloat32, src.shape()));
  MASE_RETURN_IF_ERROR(
      Quantize(src.data<float>().data(), dst.mutable_data<float>().data(), src.shape(), seed));
  return dst;
}

absl::Status Format::Gradient(const float* src, const float* diff_dst, float* diff_src,
                              const Shape& shape) const {
  if (shape.elements() == 0) return absl::OkStatus();
  return proto_.gradient() == FormatProto::CLAMP_AWARE
             ? DoClampAwareGradient(src, diff_dst, diff_src, shape)
             : DoGradient(src, diff_dst, diff_src, shape);
}

absl::Status Format::DoGradient(const float*, const float* diff_dst, float* diff_src,
                                const Shape& shape) const {
  if (diff_src != diff_dst) std::memcpy(diff_src, diff_dst, shape.elements() * sizeof(float));
  return absl::OkStatus();
}

absl::Status Format::FindSaturated(const float* src, uint8_t* saturated, const Shape& shape) const {
  return DoFindSaturated(src, saturated, shape);
}

absl::Status Format::CheckRank(const Shape& shape) const {
  const std::vector<int64_t> ones(shape.rank(), 1);
  float zero = 0;
  if (DoQuantize(&zero, &zero, Shape(ones), 0).ok()) return absl::OkStatus();
  std::vector<float> zeros(shape.elements());  // For a message with the tensor's own shape.
  return DoQuantize(zeros.data(), zeros.data(), shape, 0);
}

absl::Status Format::DoFindSaturated(const float*, uint8_t*, const Shape&) const {
  return absl::UnimplementedError(absl::StrCat(family(), ": saturation is not defined"));
}

absl::Status Format::DoClampAwareGradient(const float* src, const float* diff_dst, float* diff_src,
                                          const Shape& shape) const {
  const int64_t count = shape.elements();
  std::vector<uint8_t> saturated(count);
  MASE_RETURN_IF_ERROR(DoFindSaturated(src, saturated.data(), shape));
  MASE_RETURN_IF_ERROR(DoGradient(src, diff_dst, diff_src, shape));
  for (int64_t i = 0; i < count; ++i) diff_src[i] = saturated[i] != 0 ? 0.0f : diff_src[i];
  return absl::OkStatus();
}

absl::StatusOr<EncodedTensor> Format::Encode(const Tensor& src) const {
  if (src.dtype() != DType::kFloat32) {
    return absl::InvalidArgumentError(
        absl::StrCat(family(), " encodes float32 tensors, not ", DTypeName(src.dtype())));
  }
  EncodedTensor encoded;
  encoded.shape = src.shape();
  if (src.elements() == 0) return encoded;
  MASE_RETURN_IF_ERROR(DoEncode(src.data<float>().data(), src.shape(), &encoded));
  return encoded;
}

absl::StatusOr<Tensor> Format::Decode(const EncodedTensor& encoded) const {
  MASE_ASSIGN_OR_RETURN(Tensor dst, Tensor::Create(DType::kFloat32, encoded.shape));
  if (static_cast<int64_t>(encoded.codes.size()) != dst.elements()) {
    return absl::InvalidArgumentError(absl::StrCat(family(), ": ", encoded.codes.size(),
                                                   " codes for a tensor of shape ",
                                                   encoded.shape.ToString()));
  }
  if (dst.elements() == 0) return dst;
  MASE_RETURN_IF_ERROR(DoDecode(encoded, dst.mutable_data<float>().data()));
  return dst;
}

absl::Status Format::DoEncode(const float*, const Shape&, EncodedTensor*) const {
  return absl::UnimplementedError(absl::StrCat(FormatText(proto_), " has no codes"));
}

absl::Status Format::DoDecode(const EncodedTensor&, float*) const {
  return absl::UnimplementedError(absl::StrCat(FormatText(proto_), " has no codes"));
}

absl::Status Format::NoCodeError(int64_t index, float value) const {
  return absl::OutOfRangeError(absl::StrCat(FormatText(proto_), ": element ", index, ", ", value,
                                            " after quantizing, has no code"));
}

std::vector<uint8_t> PackCodes(absl::Span<const uint32_t> codes, int bits) {
  std::vector<uint8_t> bytes((codes.size() * bits + 7) / 8);
  size_t position = 0;
  for (const uint32_t code : codes) {
    for (int bit = 0; bit < bits; ++bit, ++position) {
      bytes[position / 8] |= static_cast<uint8_t>((code >> bit & 1) << position % 8);
    }
  }
  return bytes;
}

std::vector<uint32_t> UnpackCodes(absl::Span<const uint8_t> bytes, int bits, int64_t count) {
  std::vector<uint32_t> codes(count);
  size_t position = 0;
  for (uint32_t& code : codes) {
    for (int bit = 0; bit < bits; ++bit, ++position) {
      code |= static_cast<uint32_t>(bytes[position / 8] >> position % 8 & 1) << bit;
    }
  }
  return codes;
}

}  // namespace mase
