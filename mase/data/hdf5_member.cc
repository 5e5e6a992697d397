// Element types of HDF5 and the numbers and texts of them.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "mase/data/hdf5_file.h"
#include "mase/interop/half.h"

namespace mase {
namespace {

// IEEE binary16, for which the library has no name.
bool IsHalf(hid_t type) {
  size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
  return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 2 &&
         H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 &&
         sign == 15 && exponent == 10 && exponent_bits == 5 && mantissa == 0 &&
         mantissa_bits == 10 && H5Tget_ebias(type) == 15;
}

// The number of `member` in `row`, exactly as it is, as To.
template <typename To>
To LoadAs(const Hdf5Member& member, const char* row) {
  const auto load = [&member, row]<typename T>(T value) {
    std::memcpy(&value, row + member.offset, sizeof(T));
    if (member.swapped) {
      char* bytes = reinterpret_cast<char*>(&value);
      std::reverse(bytes, bytes + sizeof(T));
    }
    return value;
  };
  switch (member.number) {
    case Hdf5Number::kFloat16:
      return static_cast<To>(HalfToFloat(load(uint16_t{})));
    case Hdf5Number::kFloat32:
      return static_cast<To>(load(float{}));
    case Hdf5Number::kFloat64:
      return static_cast<To>(load(double{}));
    case Hdf5Number::kInt8:
      return static_cast<To>(load(int8_t{}));
    case Hdf5Number::kUInt8:
      return static_cast<To>(load(uint8_t{}));
    case Hdf5Number::kInt16:
      return static_cast<To>(load(int16_t{}));
    case Hdf5Number::kUInt16:
      return static_cast<To>(load(uint16_t{}));
    case Hdf5Number::kInt32:
      return static_cast<To>(load(int32_t{}));
    case Hdf5Number::kUInt32:
      return static_cast<To>(load(uint32_t{}));
    case Hdf5Number::kInt64:
      return static_cast<To>(load(int64_t{}));
    case Hdf5Number::kUInt64:
      return static_cast<To>(load(uint64_t{}));
  }
  return 0;
}

}  // namespace

absl::StatusOr<Hdf5Member> Hdf5Member::Of(hid_t type) {
  if (H5Tget_class(type) == H5T_ENUM) {  // h5py's bool.
    const Hdf5Handle base(H5Tget_super(type), H5Tclose);
    if (H5Tget_class(base) == H5T_INTEGER) return Of(base);
  }
  if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0) {
    return Hdf5Member{.text_bytes = H5Tget_size(type)};
  }
  const struct {
    hid_t little, big;
    Hdf5Number number;
  } kKnown[] = {{H5T_IEEE_F32LE, H5T_IEEE_F32BE, Hdf5Number::kFloat32},
                {H5T_IEEE_F64LE, H5T_IEEE_F64BE, Hdf5Number::kFloat64},
                {H5T_STD_I8LE, H5T_STD_I8BE, Hdf5Number::kInt8},
                {H5T_STD_U8LE, H5T_STD_U8BE, Hdf5Number::kUInt8},
                {H5T_STD_I16LE, H5T_STD_I16BE, Hdf5Number::kInt16},
                {H5T_STD_U16LE, H5T_STD_U16BE, Hdf5Number::kUInt16},
                {H5T_STD_I32LE, H5T_STD_I32BE, Hdf5Number::kInt32},
                {H5T_STD_U32LE, H5T_STD_U32BE, Hdf5Number::kUInt32},
                {H5T_STD_I64LE, H5T_STD_I64BE, Hdf5Number::kInt64},
                {H5T_STD_U64LE, H5T_STD_U64BE, Hdf5Number::kUInt64}};
  for (const auto& known : kKnown) {
    if (H5Tequal(type, known.little) > 0) return Hdf5Member{.number = known.number};
    if (H5Tequal(type, known.big) > 0) return Hdf5Member{.number = known.number, .swapped = true};
  }
  if (IsHalf(type)) {
    return Hdf5Member{.number = Hdf5Number::kFloat16,
                      .swapped = H5Tget_order(type) == H5T_ORDER_BE};
  }
  return absl::UnimplementedError(
      "want numbers, or texts of fixed length (h5py: dtype='S20'), not of any length");
}

bool HasVariableText(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_STRING:
      return H5Tis_variable_str(type) != 0;
    case H5T_COMPOUND:
      for (int i = 0; i < H5Tget_nmembers(type); ++i) {
        const Hdf5Handle member(H5Tget_member_type(type, i), H5Tclose);
        const H5T_class_t kind = H5Tget_class(member);
        if (kind == H5T_STRING ? H5Tis_variable_str(member) != 0
                               : H5Tdetect_class(member, H5T_STRING) != 0) {
          return true;
        }
      }
      return false;
    default:
      return H5Tdetect_class(type, H5T_STRING) != 0;
  }
}

float Hdf5Member::Load(const char* row) const { return LoadAs<float>(*this, row); }
double Hdf5Member::LoadDouble(const char* row) const { return LoadAs<double>(*this, row); }

std::string Hdf5Member::LoadText(const char* row) const {
  const char* text = row + offset;
  std::string value(text, strnlen(text, text_bytes));
  absl::StripTrailingAsciiWhitespace(&value);
  return value;
}

}  // namespace mase
