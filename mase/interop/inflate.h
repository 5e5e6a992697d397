// Unpacking of what gzip and zip compressed, under a budget: a file of two megabytes can hold two
// gigabytes of zeros.
#ifndef MASE_INTEROP_INFLATE_H_
#define MASE_INTEROP_INFLATE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

enum class Packing {
  kGzip,     // One or more members of a .gz file, which become one text.
  kDeflate,  // A bare stream, as members of a zip archive are.
};

// Unpacks a stream piece by piece, in 64 KB of memory besides what the caller has.
class Inflater {
 public:
  // Packed bytes, in order, valid until the next call; empty at their end.
  using Source = std::function<absl::StatusOr<absl::string_view>()>;

  // `packed_bytes` are those of the whole stream, by which its budget is told.
  Inflater(Packing packing, int64_t packed_bytes, int64_t max_bytes, Source source);
  ~Inflater();

  // What the whole stream may become: `max_bytes`, but no more than limits::kUnpackedBytesFree or,
  // if that is more, limits::kMaxUnpackRatio times the packed bytes.
  int64_t budget() const { return budget_; }

  // Unpacks on, into all of `out` unless the data end before; says how many bytes those were.
  // DataLoss: damaged or truncated data. ResourceExhausted: beyond the budget. Errors of `source`.
  absl::StatusOr<size_t> Read(absl::Span<char> out);

 private:
  struct Stream;

  absl::Status Feed();

  const Packing packing_;
  const int64_t packed_bytes_;
  const int64_t budget_;
  const Source source_;
  const std::unique_ptr<Stream> stream_;
  absl::string_view packed_;  // Given by the source, not by us to zlib.
  bool source_ended_ = false;
  bool between_members_ = false;  // Of a .gz file.
  bool ended_ = false;
  int64_t unpacked_ = 0;
};

// The whole of it; memory of at most twice the unpacked bytes is used, and checked before it is
// taken (ResourceExhausted). Errors of Inflater::Read.
absl::StatusOr<std::string> Inflate(absl::string_view packed, Packing packing, int64_t max_bytes);

}  // namespace mase

#endif  // MASE_INTEROP_INFLATE_H_
