// The bytes of elements, from the file or from its chunks.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status_macros.h"
#include "mase/data/hdf5_file.h"
#include "mase/data/hdf5_filters.h"

namespace mase {

absl::StatusOr<Hdf5Elements> Hdf5Elements::Open(const Hdf5DataSet& set) {
  Hdf5Chunks chunks;
  if (set.facts_.layout() == Hdf5DataSetFacts::CHUNKED) {
    if (set.facts_.stored_bytes() > static_cast<uint64_t>(set.file_->size())) {
      return DamagedHdf5(set.label_, "the chunks");
    }
    MASE_ASSIGN_OR_RETURN(chunks, ReadHdf5Chunks(set.path_, set.facts_));
  }
  return Of(set, std::move(chunks));
}

absl::StatusOr<Hdf5Elements> Hdf5Elements::Of(const Hdf5DataSet& set, Hdf5Chunks chunks) {
  Hdf5Elements elements(set, std::move(chunks));
  constexpr int64_t kBlockBytes = 16 << 20;
  elements.block_rows_ =
      elements.chunked()
          ? static_cast<int64_t>(set.facts_.chunk_dim(0))
          : std::max<int64_t>(1, kBlockBytes / static_cast<int64_t>(set.row_bytes()));
  if (elements.chunked()) MASE_RETURN_IF_ERROR(elements.FindChunks());
  return elements;
}

absl::Status Hdf5Elements::FindChunks() {
  const Hdf5DataSetFacts& facts = set_->facts_;
  if (chunks_.size != facts.stored_bytes()) return DamagedHdf5(set_->label_, "the chunks");
  size_t chunks = 1;
  chunk_bytes_ = facts.element_bytes();
  for (int axis = 0; axis < facts.dim_size(); ++axis) {
    chunk_bytes_ *= facts.chunk_dim(axis);
    const size_t along = (facts.dim(axis) - 1) / facts.chunk_dim(axis) + 1;
    // Each takes a byte at least.
    if (along > chunks_.size / chunks) return DamagedHdf5(set_->label_, "the chunks");
    chunks *= along;
  }
  if (chunks_.facts.bytes_size() != static_cast<int64_t>(chunks) ||
      chunks_.facts.skipped_filters_size() != chunks_.facts.bytes_size()) {
    return DamagedHdf5(set_->label_, "the chunks");
  }
  starts_ = {0};
  for (const uint64_t bytes : chunks_.facts.bytes()) {
    if (bytes > chunks_.size - starts_.back()) return DamagedHdf5(set_->label_, "the chunks");
    starts_.push_back(starts_.back() + bytes);
  }
  return absl::OkStatus();
}

// Of elements that lie in one piece.
absl::StatusOr<std::string> Hdf5Elements::Bytes(size_t from, size_t count) const {
  const Hdf5DataSetFacts& facts = set_->facts_;
  const absl::Status damaged = DamagedHdf5(set_->label_, "the elements");
  if (facts.layout() == Hdf5DataSetFacts::INSIDE) {
    if (from + count > facts.inside().size()) return damaged;
    return facts.inside().substr(from, count);
  }
  const auto end = static_cast<uint64_t>(set_->file_->size());
  if (facts.address() > end || from + count > end - facts.address()) return damaged;
  MASE_RETURN_IF_ERROR(CheckMemory(static_cast<int64_t>(count), set_->label_));
  std::string bytes(count, '\0');
  for (size_t done = 0; done < count;) {
    const ssize_t got = ::pread(set_->file_->descriptor(), &bytes[done], count - done,
                                static_cast<off_t>(facts.address() + from + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(set_->path_, "read", errno);
    if (got == 0) return damaged;
    done += static_cast<size_t>(got);
  }
  return bytes;
}

absl::StatusOr<std::string> Hdf5Elements::Chunk(size_t index) const {
  const Hdf5DataSetFacts& facts = set_->facts_;
  if (chunk_bytes_ >= static_cast<size_t>(kLeastCountedBytes)) {
    // It is there packed, unpacked, and once more while its bytes change places.
    MASE_RETURN_IF_ERROR(CheckMemory(3 * static_cast<int64_t>(chunk_bytes_), set_->label_));
  }
  std::string bytes(chunks_.bytes.get() + starts_[index], starts_[index + 1] - starts_[index]);
  const uint32_t skipped = chunks_.facts.skipped_filters(static_cast<int>(index));
  // How many bytes the chunk had before each filter.
  std::vector<size_t> before;
  size_t bytes_then = chunk_bytes_;
  for (int i = 0; i < facts.filter_size(); ++i) {
    before.push_back(bytes_then);
    if ((skipped >> i & 1) == 0) bytes_then += AddedByHdf5Filter(facts.filter(i).id());
  }
  for (int i = facts.filter_size(); i-- > 0;) {
    if ((skipped >> i & 1) != 0) continue;
    const absl::Status undone = UndoHdf5Filter(facts.filter(i).id(), facts.element_bytes(),
                                               before[static_cast<size_t>(i)], bytes);
    if (!undone.ok()) return DamagedHdf5(set_->label_, undone.message());
  }
  if (bytes.size() != chunk_bytes_) return DamagedHdf5(set_->label_, "a chunk's size");
  return bytes;
}

absl::StatusOr<std::string> Hdf5Elements::Block(int64_t block) const {
  const int64_t first = block * block_rows_;
  const auto count = static_cast<size_t>(std::min(block_rows_, set_->rows() - first));
  if (!chunked()) {
    return Bytes(static_cast<size_t>(first) * set_->row_bytes(), count * set_->row_bytes());
  }
  MASE_ASSIGN_OR_RETURN(std::string rows, Chunk(static_cast<size_t>(block)));
  rows.resize(count * set_->row_bytes());
  return rows;
}

// Copies a chunk whose first element has this index to its elements in C order.
void Hdf5Elements::Place(const std::string& chunk, const std::vector<uint64_t>& offset,
                         std::string& all) const {
  const Hdf5DataSetFacts& facts = set_->facts_;
  const auto &dims = facts.dim(), &extents = facts.chunk_dim();
  const size_t last = offset.size() - 1;
  const int last_axis = static_cast<int>(last);
  const size_t run =
      std::min(extents[last_axis], dims[last_axis] - offset[last]) * facts.element_bytes();
  // Steps through the chunk's runs along the last axis; those beyond the extent are padding.
  std::vector<uint64_t> index(last);
  for (size_t from = 0; from < chunk.size(); from += extents[last_axis] * facts.element_bytes()) {
    size_t to = 0;
    bool inside = true;
    for (size_t axis = 0; axis < last; ++axis) {
      const uint64_t at = offset[axis] + index[axis];
      inside = inside && at < dims[static_cast<int>(axis)];
      to = (to + at) * dims[static_cast<int>(axis) + 1];
    }
    if (inside) {
      std::memcpy(&all[(to + offset[last]) * facts.element_bytes()], &chunk[from], run);
    }
    for (size_t axis = last; axis-- > 0 && ++index[axis] == extents[static_cast<int>(axis)];) {
      index[axis] = 0;
    }
  }
}

absl::StatusOr<std::string> Hdf5Elements::All() const {
  const size_t size = static_cast<size_t>(set_->rows()) * set_->row_bytes();
  if (!chunked()) return Bytes(0, size);
  MASE_RETURN_IF_ERROR(CheckMemory(static_cast<int64_t>(size), set_->label_));
  const Hdf5DataSetFacts& facts = set_->facts_;
  std::string all(size, '\0');
  std::vector<uint64_t> offset(static_cast<size_t>(facts.dim_size()));
  for (size_t index = 0; index + 1 < starts_.size(); ++index) {
    MASE_ASSIGN_OR_RETURN(const std::string chunk, Chunk(index));
    Place(chunk, offset, all);
    for (int axis = facts.dim_size(); axis-- > 0;) {
      uint64_t& at = offset[static_cast<size_t>(axis)];
      at += facts.chunk_dim(axis);
      if (at < facts.dim(axis)) break;
      at = 0;
    }
  }
  return all;
}

}  // namespace mase
