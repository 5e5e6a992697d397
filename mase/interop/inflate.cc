#include "mase/interop/inflate.h"

#include <zlib.h>

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr size_t kSlice = size_t{1} << 30;  // zlib counts in 32 bits.

absl::Status TooMuch(int64_t max_bytes, size_t packed_bytes) {
  return absl::ResourceExhaustedError(absl::StrCat("unpacks to more than ", max_bytes,
                                                   " bytes, which is the limit for ", packed_bytes,
                                                   " packed ones"));
}

}  // namespace

absl::StatusOr<std::string> Inflate(absl::string_view packed, Packing packing, int64_t max_bytes) {
  const bool gzip = packing == Packing::kGzip;
  const absl::string_view what = gzip ? "gzip file" : "member";
  z_stream stream = {};
  if (inflateInit2(&stream, gzip ? 15 + 16 : -15) != Z_OK) {
    return absl::ResourceExhaustedError("zlib: memory");
  }
  absl::Cleanup end = [&] { inflateEnd(&stream); };
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  const auto feed = [&] {
    const size_t done = reinterpret_cast<const char*>(stream.next_in) - packed.data();
    stream.avail_in = static_cast<uInt>(std::min(packed.size() - done, kSlice));
  };
  const int64_t by_ratio = static_cast<int64_t>(packed.size()) * limits::kMaxUnpackRatio;
  const auto budget =
      static_cast<size_t>(std::min(max_bytes, std::max(limits::kUnpackedBytesFree, by_ratio)));

  // One byte more than the budget is asked for, and getting it is the error.
  std::string bytes;
  size_t used = 0;
  while (true) {
    if (stream.avail_in == 0) feed();
    if (used == bytes.size()) {
      const size_t wanted = std::min(std::max<size_t>(64 << 10, 2 * used), budget + 1);
      MASE_RETURN_IF_ERROR(
          CheckMemory(static_cast<int64_t>(wanted), absl::StrCat("unpacking a ", what)));
      bytes.resize(wanted);
    }
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data() + used);
    stream.avail_out = static_cast<uInt>(std::min(bytes.size() - used, kSlice));
    const int result = inflate(&stream, Z_NO_FLUSH);
    used = reinterpret_cast<char*>(stream.next_out) - bytes.data();
    if (used > budget) return TooMuch(static_cast<int64_t>(budget), packed.size());
    if (result == Z_STREAM_END) {
      if (stream.avail_in == 0) feed();
      if (!gzip || stream.avail_in == 0) break;
      inflateReset(&stream);
    } else if (result == Z_BUF_ERROR && stream.avail_in == 0) {
      return absl::DataLossError(absl::StrCat("truncated ", what));
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return absl::DataLossError(
          absl::StrCat("damaged ", what, ": ", stream.msg != nullptr ? stream.msg : "bad data"));
    }
  }
  bytes.resize(used);
  return bytes;
}

}  // namespace mase
