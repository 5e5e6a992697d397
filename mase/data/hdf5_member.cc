// The numbers and texts of elements.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "absl/strings/ascii.h"
#include "mase/data/hdf5_file.h"
#include "mase/interop/half.h"

namespace mase {
namespace {

// The number of `member` in `row`, exactly as it is, as To.
template <typename To>
To LoadAs(const Hdf5Member& member, const char* row) {
  const auto load = [&member, row]<typename T>(T value) {
    std::memcpy(&value, row + member.offset, sizeof(T));
    if (member.big_endian) {
      char* bytes = reinterpret_cast<char*>(&value);
      std::reverse(bytes, bytes + sizeof(T));
    }
    return value;
  };
  switch (member.number) {
    case HDF5_FLOAT16:
      return static_cast<To>(HalfToFloat(load(uint16_t{})));
    case HDF5_FLOAT32:
      return static_cast<To>(load(float{}));
    case HDF5_FLOAT64:
      return static_cast<To>(load(double{}));
    case HDF5_INT8:
      return static_cast<To>(load(int8_t{}));
    case HDF5_UINT8:
      return static_cast<To>(load(uint8_t{}));
    case HDF5_INT16:
      return static_cast<To>(load(int16_t{}));
    case HDF5_UINT16:
      return static_cast<To>(load(uint16_t{}));
    case HDF5_INT32:
      return static_cast<To>(load(int32_t{}));
    case HDF5_UINT32:
      return static_cast<To>(load(uint32_t{}));
    case HDF5_INT64:
      return static_cast<To>(load(int64_t{}));
    case HDF5_UINT64:
      return static_cast<To>(load(uint64_t{}));
    default:
      return 0;
  }
}

}  // namespace

size_t Hdf5NumberBytes(Hdf5Number number) {
  switch (number) {
    case HDF5_INT8:
    case HDF5_UINT8:
      return 1;
    case HDF5_FLOAT16:
    case HDF5_INT16:
    case HDF5_UINT16:
      return 2;
    case HDF5_FLOAT32:
    case HDF5_INT32:
    case HDF5_UINT32:
      return 4;
    case HDF5_FLOAT64:
    case HDF5_INT64:
    case HDF5_UINT64:
      return 8;
    default:
      return 0;
  }
}

float Hdf5Member::Load(const char* row) const { return LoadAs<float>(*this, row); }
double Hdf5Member::LoadDouble(const char* row) const { return LoadAs<double>(*this, row); }

std::string Hdf5Member::LoadText(const char* row) const {
  const char* text = row + offset;
  std::string value(text, strnlen(text, bytes));
  absl::StripTrailingAsciiWhitespace(&value);
  return value;
}

}  // namespace mase
