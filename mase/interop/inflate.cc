#include "mase/interop/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr size_t kSlice = size_t{1} << 30;  // zlib counts in 32 bits.

absl::string_view NameOf(Packing packing) {
  return packing == Packing::kGzip ? "gzip file" : "member";
}

}  // namespace

struct Inflater::Stream {
  z_stream z = {};
  bool ready = false;
};

Inflater::Inflater(Packing packing, int64_t packed_bytes, int64_t max_bytes, Source source)
    : packing_(packing),
      packed_bytes_(packed_bytes),
      budget_(std::min(
          max_bytes, std::max(limits::kUnpackedBytesFree, packed_bytes * limits::kMaxUnpackRatio))),
      source_(std::move(source)),
      stream_(std::make_unique<Stream>()) {
  stream_->ready = inflateInit2(&stream_->z, packing == Packing::kGzip ? 15 + 16 : -15) == Z_OK;
}

Inflater::~Inflater() {
  if (stream_->ready) inflateEnd(&stream_->z);
}

absl::Status Inflater::Feed() {
  if (packed_.empty() && !source_ended_) {
    MASE_ASSIGN_OR_RETURN(packed_, source_());
    source_ended_ = packed_.empty();
  }
  const absl::string_view slice = packed_.substr(0, kSlice);
  stream_->z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(slice.data()));
  stream_->z.avail_in = static_cast<uInt>(slice.size());
  packed_.remove_prefix(slice.size());
  return absl::OkStatus();
}

absl::StatusOr<size_t> Inflater::Read(absl::Span<char> out) {
  if (!stream_->ready) return absl::ResourceExhaustedError("zlib: memory");
  z_stream& z = stream_->z;
  size_t used = 0;
  while (used < out.size() && !ended_) {
    if (z.avail_in == 0) MASE_RETURN_IF_ERROR(Feed());
    if (between_members_ && z.avail_in == 0) {
      ended_ = true;
      break;
    }
    between_members_ = false;
    const size_t room = std::min(out.size() - used, kSlice);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(room);
    const int result = inflate(&z, Z_NO_FLUSH);
    used += room - z.avail_out;
    unpacked_ += static_cast<int64_t>(room - z.avail_out);
    if (unpacked_ > budget_) {
      return absl::ResourceExhaustedError(absl::StrCat("unpacks to more than ", budget_,
                                                       " bytes, which is the limit for ",
                                                       packed_bytes_, " packed ones"));
    }
    if (result == Z_STREAM_END) {
      ended_ = packing_ != Packing::kGzip;
      between_members_ = true;
      inflateReset(&z);
    } else if (result == Z_BUF_ERROR && z.avail_in == 0 && source_ended_) {
      return absl::DataLossError(absl::StrCat("truncated ", NameOf(packing_)));
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return absl::DataLossError(
          absl::StrCat("damaged ", NameOf(packing_), ": ", z.msg != nullptr ? z.msg : "bad data"));
    }
  }
  return used;
}

absl::StatusOr<std::string> Inflate(absl::string_view packed, Packing packing, int64_t max_bytes) {
  Inflater inflater(packing, static_cast<int64_t>(packed.size()), max_bytes,
                    [packed]() mutable { return std::exchange(packed, absl::string_view()); });
  const auto most = static_cast<size_t>(inflater.budget());
  // One byte more than the budget is asked for, and getting it is the error.
  std::string bytes;
  size_t used = 0;
  while (used == bytes.size()) {
    const size_t wanted = std::min(std::max<size_t>(64 << 10, 2 * used), most + 1);
    MASE_RETURN_IF_ERROR(
        CheckMemory(static_cast<int64_t>(wanted), absl::StrCat("unpacking a ", NameOf(packing))));
    bytes.resize(wanted);
    MASE_ASSIGN_OR_RETURN(const size_t got, inflater.Read(absl::MakeSpan(bytes).subspan(used)));
    used += got;
  }
  bytes.resize(used);
  return bytes;
}

}  // namespace mase
