#include "mase/format/block_layout.h"

namespace mase {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

BlockLayout::BlockLayout(const Shape& shape, absl::Span<const int64_t> block) {
  // From the inside out. An axis joins the one inside of it if blocks span the whole inner axis
  // (then they are runs across both), or if both are cut at every index.
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    const int64_t dim = shape[axis];
    const int64_t extent = block[axis] == -1 || block[axis] > dim ? dim : block[axis];
    if (!dims_.empty() && block_.front() == dims_.front()) {
      block_.front() *= extent;
      dims_.front() *= dim;
    } else if (!dims_.empty() && block_.front() == 1 && extent == 1) {
      dims_.front() *= dim;
    } else {
      dims_.insert(dims_.begin(), dim);
      block_.insert(block_.begin(), extent);
    }
  }
  if (dims_.empty()) {
    dims_ = {1};
    block_ = {1};
  }
  // Rows that whole blocks fill, each its own band, are one long row.
  if (dims_.size() == 2 && block_[0] == 1 && dims_[1] % block_[1] == 0) {
    dims_ = {dims_[0] * dims_[1]};
    block_ = {block_[1]};
  }
  columns_ = CeilDiv(dims_.back(), block_.back());
  for (size_t i = 0; i + 1 < dims_.size(); ++i) bands_ *= CeilDiv(dims_[i], block_[i]);
}

BlockLayout BlockLayout::Mase(const Shape& shape, absl::Span<const int32_t> block_size,
                              bool skip_first_dim, bool whole_leading_axes) {
  Extents block(shape.rank(), whole_leading_axes ? -1 : 1);
  const int given = static_cast<int>(block_size.size());
  for (int i = 1; i <= std::min(given, shape.rank()); ++i) {
    block[shape.rank() - i] = block_size[given - i];
  }
  if (skip_first_dim && shape.rank() > 1) block[0] = 1;
  return BlockLayout(shape, block);
}

BlockLayout BlockLayout::AlongAxis(const Shape& shape, int axis, int64_t size) {
  Extents block(shape.rank(), 1);
  if (shape.rank() > 0) block[axis] = size;
  return BlockLayout(shape, block);
}

void BlockLayout::RowsOf(int64_t band, std::vector<int64_t>* rows) const {
  rows->assign(1, 0);
  int64_t stride = dims_.back();
  for (int axis = static_cast<int>(dims_.size()) - 2; axis >= 0; --axis) {
    const int64_t count = CeilDiv(dims_[axis], block_[axis]);
    const int64_t begin = band % count * block_[axis];
    const int64_t end = std::min(begin + block_[axis], dims_[axis]);
    band /= count;
    // The rows so far, once for every index of this axis, the outer index first in order.
    const size_t inner = rows->size();
    for (size_t i = 0; i < inner; ++i) (*rows)[i] += begin * stride;
    for (int64_t index = begin + 1; index < end; ++index) {
      for (size_t i = 0; i < inner; ++i) {
        rows->push_back((*rows)[i] + (index - begin) * stride);
      }
    }
    stride *= dims_[axis];
  }
}

}  // namespace mase
