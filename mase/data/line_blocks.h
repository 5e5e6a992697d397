// A text file from start to end in memory of bounded size, whatever the file's.
//
//   MASE_ASSIGN_OR_RETURN(const std::unique_ptr<LineBlocks> lines, LineBlocks::Open("t.csv.gz"));
//   while (true) {
//     MASE_ASSIGN_OR_RETURN(const absl::string_view block, lines->Next());
//     if (block.empty()) break;
//     ...
//   }
#ifndef MASE_DATA_LINE_BLOCKS_H_
#define MASE_DATA_LINE_BLOCKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/interop/inflate.h"

namespace mase {

class LineBlocks {
 public:
  // Of a block, and so of a line: the most columns, with 64 bytes for each.
  static constexpr int64_t kMaxBytes = limits::kMaxDataColumns * 64;

  // A regular file; one that begins as gzip's do is unpacked as it is read. Errors of InputFile;
  // ResourceExhausted: more than limits::kMaxDataFileBytes.
  static absl::StatusOr<std::unique_ptr<LineBlocks>> Open(absl::string_view path);

  // The next lines with their ends, as many as fit; only the file's last may lack its end. Empty
  // after them. Valid until the next call. Errors name the file: of Inflater::Read, with
  // limits::kMaxUnpackedBytes as its limit; Unavailable: the file changes. ResourceExhausted: a
  // line that is longer than a block.
  absl::StatusOr<absl::string_view> Next();

  // Makes Next begin anew. A file that is one block is not read again.
  absl::Status Rewind();

 private:
  LineBlocks(absl::string_view path, InputFile file) : path_(path), file_(std::move(file)) {}

  absl::Status Begin();
  absl::StatusOr<size_t> Read(absl::Span<char> out);

  const std::string path_;
  InputFile file_;
  std::string packed_;  // Read and not unpacked yet.
  std::optional<Inflater> inflater_;
  std::string buffer_;
  size_t filled_ = 0;  // Of it.
  size_t given_ = 0;   // By the last Next.
  bool first_ = true;  // Next has not been called.
  bool ended_ = false;
  bool whole_ = false;  // The first block is all.
};

}  // namespace mase

#endif  // MASE_DATA_LINE_BLOCKS_H_
