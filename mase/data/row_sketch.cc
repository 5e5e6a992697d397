#include "mase/data/row_sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "glog/logging.h"

namespace mase {
namespace {

constexpr size_t kFoundRows = 5;  // That an Overlap names.

// Multiplies to 128 bits and folds, as wyhash does.
uint64_t Mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// `bits(i)` are 32 bits that stand for value i.
template <typename Bits>
uint64_t Hash(int64_t count, int64_t label, const Bits& bits) {
  constexpr uint64_t kA = 0xA0761D6478BD642Fu, kB = 0xE7037ED1A0B428DBu;
  uint64_t hash = Mix(static_cast<uint64_t>(label) ^ kA, static_cast<uint64_t>(count) ^ kB);
  int64_t i = 0;
  for (; i + 2 <= count; i += 2) {
    hash = Mix(hash ^ kA, (uint64_t{bits(i)} | uint64_t{bits(i + 1)} << 32) ^ kB);
  }
  if (i < count) hash = Mix(hash ^ kA, uint64_t{bits(i)} ^ kB);
  return Mix(hash ^ kA, kB);
}

}  // namespace

uint64_t RowId(const float* values, int64_t count, int64_t label) {
  return Hash(count, label,
              [values](int64_t i) { return std::bit_cast<uint32_t>(values[i] + 0.0f); });
}

Tensor RowIds(const Tensor& features, const Tensor& labels) {
  const int64_t rows = features.shape()[0];
  const int64_t width = rows == 0 ? 0 : features.elements() / rows;
  const int64_t* const label = labels.elements() == 0 ? nullptr : labels.data<int64_t>().data();
  CHECK(label == nullptr || labels.elements() == rows);
  Tensor ids(DType::kInt64, {rows});
  int64_t* const id = ids.mutable_data<int64_t>().data();
  const auto fill = [&](const auto* values, const auto& hash) {
#pragma omp parallel for schedule(static) if (rows * width > 1 << 18)
    for (int64_t row = 0; row < rows; ++row) {
      id[row] = static_cast<int64_t>(hash(values + row * width, label ? label[row] : -1));
    }
  };
  if (features.dtype() == DType::kUInt8) {
    fill(features.data<uint8_t>().data(), [width](const uint8_t* values, int64_t of_class) {
      return Hash(width, of_class,
                  [values](int64_t i) { return std::bit_cast<uint32_t>(float{0} + values[i]); });
    });
  } else {
    fill(features.data<float>().data(),
         [width](const float* values, int64_t of_class) { return RowId(values, width, of_class); });
  }
  return ids;
}

RowSketch RowSketch::Of(absl::Span<const int64_t> row_ids) {
  RowSketch sketch;
  std::vector<uint64_t>& kept = sketch.ids_;
  // Room for many candidates, so that sorting them is rare.
  uint64_t bound = UINT64_MAX;
  const auto shrink = [&] {
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    if (kept.size() < kSize) return;
    kept.resize(kSize);
    bound = kept.back();
  };
  for (const int64_t id : row_ids) {
    if (static_cast<uint64_t>(id) > bound) continue;
    kept.push_back(static_cast<uint64_t>(id));
    if (kept.size() >= 8 * kSize) shrink();
  }
  shrink();
  return sketch;
}

void RowSketch::Merge(const RowSketch& other) {
  std::vector<uint64_t> both;
  std::set_union(ids_.begin(), ids_.end(), other.ids_.begin(), other.ids_.end(),
                 std::back_inserter(both));
  if (both.size() > kSize) both.resize(kSize);
  ids_ = std::move(both);
}

RowSketch::Overlap RowSketch::Find(absl::Span<const int64_t> row_ids) const {
  Overlap overlap;
  overlap.exact = ids_.size() < kSize;
  const uint64_t bound = overlap.exact ? UINT64_MAX : ids_.back();
  int64_t asked = 0, found = 0;
  for (size_t row = 0; row < row_ids.size(); ++row) {
    const uint64_t id = static_cast<uint64_t>(row_ids[row]);
    if (id > bound) continue;
    ++asked;
    if (!std::binary_search(ids_.begin(), ids_.end(), id)) continue;
    ++found;
    if (overlap.found.size() < kFoundRows) overlap.found.push_back(static_cast<int64_t>(row));
  }
  const double share = asked == 0 ? 0 : static_cast<double>(found) / static_cast<double>(asked);
  overlap.rows = overlap.exact ? found : std::llround(share * static_cast<double>(row_ids.size()));
  return overlap;
}

std::string RowSketch::Text() const {
  std::string bytes;
  for (const uint64_t id : ids_) {
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(id >> shift));
  }
  return absl::Base64Escape(bytes);
}

absl::StatusOr<RowSketch> RowSketch::Read(absl::string_view text) {
  std::string bytes;
  RowSketch sketch;
  if (!absl::Base64Unescape(text, &bytes) || bytes.size() % 8 != 0 || bytes.size() / 8 > kSize) {
    return absl::DataLossError("the sketch of the training rows is damaged");
  }
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t id = 0;
    for (int i = 7; i >= 0; --i) id = id << 8 | static_cast<uint8_t>(bytes[at + i]);
    sketch.ids_.push_back(id);
    if (at > 0 && sketch.ids_[at / 8 - 1] >= id) {
      return absl::DataLossError("the sketch of the training rows is not in order");
    }
  }
  return sketch;
}

}  // namespace mase
