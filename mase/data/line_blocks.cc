#include "mase/data/line_blocks.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr int64_t kPackedBytes = int64_t{1} << 20;  // Read at a time.
// What the first block of a packed file grows from.
constexpr int64_t kUsualRatio = 8, kMostFirst = int64_t{4} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<LineBlocks>> LineBlocks::Open(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  if (file.size() > limits::kMaxDataFileBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        path, ": ", file.size(), " bytes, more than the limit of ", limits::kMaxDataFileBytes));
  }
  std::unique_ptr<LineBlocks> lines(new LineBlocks(path, std::move(file)));
  MASE_RETURN_IF_ERROR(lines->Begin());
  return lines;
}

absl::Status LineBlocks::Begin() {
  if (lseek(file_.descriptor(), 0, SEEK_SET) < 0) return FileError(path_, "read", errno);
  char head[2] = {};
  MASE_RETURN_IF_ERROR(file_.Read(head).status());
  if (lseek(file_.descriptor(), 0, SEEK_SET) < 0) return FileError(path_, "read", errno);
  inflater_.reset();
  if (absl::string_view(head, 2) == "\x1f\x8b") {
    inflater_.emplace(Packing::kGzip, file_.size(), limits::kMaxUnpackedBytes,
                      [this]() -> absl::StatusOr<absl::string_view> {
                        packed_.resize(std::min(kPackedBytes, file_.size() + 1));
                        MASE_ASSIGN_OR_RETURN(const size_t got,
                                              file_.Read(absl::MakeSpan(packed_)));
                        return absl::string_view(packed_).substr(0, got);
                      });
  }
  filled_ = given_ = 0;
  first_ = true;
  ended_ = whole_ = false;
  return absl::OkStatus();
}

absl::Status LineBlocks::Rewind() {
  if (!whole_) return Begin();
  first_ = true;
  return absl::OkStatus();
}

absl::StatusOr<size_t> LineBlocks::Read(absl::Span<char> out) {
  if (!inflater_.has_value()) return file_.Read(out);
  absl::StatusOr<size_t> got = inflater_->Read(out);
  if (got.ok() || absl::StartsWith(got.status().message(), path_)) return got;
  return Annotate(got.status(), path_);
}

absl::StatusOr<absl::string_view> LineBlocks::Next() {
  if (std::exchange(first_, false) && whole_) return absl::string_view(buffer_).substr(0, given_);
  if (ended_) return absl::string_view();
  std::memmove(buffer_.data(), buffer_.data() + given_, filled_ - given_);
  filled_ -= given_;
  while (!ended_) {
    if (filled_ == buffer_.size()) {
      if (filled_ == static_cast<size_t>(kMaxBytes)) break;
      // A file that is not packed fits at once, with room to see that it ends.
      const int64_t first = inflater_.has_value()
                                ? std::min(kMostFirst, kUsualRatio * file_.size() + 1)
                                : file_.size() + 1;
      const int64_t wanted =
          std::min(kMaxBytes, std::max(first, 2 * static_cast<int64_t>(buffer_.size())));
      MASE_RETURN_IF_ERROR(CheckMemory(wanted, path_));
      buffer_.resize(wanted);
    }
    const absl::Span<char> room = absl::MakeSpan(buffer_).subspan(filled_);
    MASE_ASSIGN_OR_RETURN(const size_t got, Read(room));
    filled_ += got;
    ended_ = got < room.size();
  }
  if (ended_) {
    MASE_RETURN_IF_ERROR(file_.CheckUnchanged());
    whole_ = given_ == 0;
    given_ = filled_;
  } else {
    const size_t end = absl::string_view(buffer_).substr(0, filled_).rfind('\n');
    if (end == absl::string_view::npos) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path_, ": a line of more than ", kMaxBytes, " bytes, which is the limit"));
    }
    given_ = end + 1;
  }
  return absl::string_view(buffer_).substr(0, given_);
}

}  // namespace mase
