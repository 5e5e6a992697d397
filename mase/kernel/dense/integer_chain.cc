#include "mase/kernel/dense/integer_chain.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "mase/base/power_of_two.h"
#include "mase/kernel/dense/kernels.h"

namespace mase {
namespace {

using Kind = IntegerChainOp::Kind;
using Result = IntegerChainStage::Result;

constexpr int64_t kLine = 64;  // Bytes.

int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Hands out memory, or only counts it.
class Memory {
 public:
  explicit Memory(void* begin) : begin_(static_cast<char*>(begin)) {}

  int64_t bytes() const { return bytes_; }

  // `count` zeros; null where there is no memory.
  template <typename T>
  T* Take(int64_t count) {
    char* at = begin_ == nullptr ? nullptr : begin_ + bytes_;
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    if (at != nullptr) std::memset(at, 0, static_cast<size_t>(bytes));
    bytes_ += RoundUp(bytes, kLine);
    return reinterpret_cast<T*>(at);
  }

  template <typename T>
  T* Copy(const std::vector<T>& numbers, int64_t count) {
    T* to = Take<T>(count);
    if (to != nullptr) std::copy(numbers.begin(), numbers.end(), to);
    return to;
  }

 private:
  char* const begin_;
  int64_t bytes_ = 0;
};

// How the codes of a layer's result are stored.
struct Stored {
  bool bytes = false;
  float least = 0, most = 0;
  int32_t zero = 0;
  int per_step() const { return bytes ? 4 : 2; }
};

// A ReLU in front of rounding is a higher least code: there is no NaN that it would let pass.
bool EndsInRelu(const IntegerChainLayer& layer) {
  return !layer.ops.empty() && layer.ops.back().kind == Kind::kRelu;
}

Stored StoredCodes(const IntegerChainLayer& layer, bool folds_relu, bool next_has_byte_weight,
                   const IntegerChainKernels& kernels) {
  Stored stored = {.least = layer.least, .most = layer.most};
  if (folds_relu) {
    stored.least = std::max(stored.least, 0.0f);
    stored.most = std::max(stored.most, 0.0f);
  }
  // Not by what a ReLU leaves: the memory that is needed must not depend on tensors.
  stored.bytes = kernels.has_bytes && next_has_byte_weight && layer.most - layer.least <= 255 &&
                 layer.most <= 255;
  if (stored.bytes) {
    const bool is_signed_byte = stored.least >= -128 && stored.most <= 127;
    stored.zero = stored.least >= 0 ? 0
                  : is_signed_byte  ? 128
                                    : static_cast<int32_t>(-stored.least);
  } else if (stored.most > 32767) {
    stored.zero = -32768;
  }
  return stored;
}

// Bytes or words of one step as a number.
int32_t Join(const IntegerChainLayer& layer, int64_t output, int64_t step, bool bytes) {
  const int per_step = bytes ? 4 : 2, bits = bytes ? 8 : 16;
  uint32_t joined = 0;
  for (int i = 0; i < per_step; ++i) {
    const int64_t k = step * per_step + i;
    if (k >= layer.in) break;
    const uint32_t code = static_cast<uint32_t>(layer.weight[output * layer.in + k]);
    joined |= (code & ((1u << bits) - 1)) << (bits * i);
  }
  return static_cast<int32_t>(joined);
}

void PackWeight(const IntegerChainLayer& layer, const IntegerChainStage& s, int32_t* by_row,
                int32_t* by_block) {
  for (int64_t first = 0; first < s.stride;) {
    const int64_t width = DenseChainStrip(s.stride, first) * 16;
    for (int64_t step = 0; step < s.steps; ++step, by_row += width) {
      for (int64_t o = first; o < std::min(first + width, s.out); ++o) {
        by_row[o - first] = Join(layer, o, step, s.bytes);
        const int64_t tile = o / 8 * 8, width_of_tile = IntegerChainTile(s.out, tile);
        by_block[tile * s.steps + step * width_of_tile + o - tile] = by_row[o - first];
      }
    }
    first += width;
  }
}

void PackProduct(const IntegerChainLayer& layer, const Stored& src, bool has_tensors,
                 Memory& memory, IntegerChainStage& s) {
  s.bytes = src.bytes;
  s.steps = (s.in + src.per_step() - 1) / src.per_step();
  int32_t* by_row = memory.Take<int32_t>(s.stride * s.steps);
  int32_t* by_block = memory.Take<int32_t>(s.stride * s.steps);
  int32_t* offset = memory.Copy(layer.bias, s.stride);
  s.row_weight = by_row;
  s.block_weight = by_block;
  s.offset = offset;
  s.shift = memory.Copy(layer.shift, s.stride);
  s.in_double = layer.in_double;
  if (!has_tensors) return;
  PackWeight(layer, s, by_row, by_block);
  for (int64_t o = 0; o < s.out; ++o) {
    uint32_t total = 0;
    for (int64_t k = 0; k < s.in; ++k) total += static_cast<uint32_t>(layer.weight[o * s.in + k]);
    offset[o] = static_cast<int32_t>(static_cast<uint32_t>(offset[o]) -
                                     total * static_cast<uint32_t>(src.zero));
  }
}

IntegerChainGrid GridOf(float step, float least, float most) {
  return {.step = step,
          .least = least,
          .most = most,
          .inverse = 1 / step,
          .divides = !IsPowerOfTwo(step),
          .unsure = 0.5f - std::max(std::abs(least), std::abs(most)) * 0x1p-22f};
}

const IntegerChainOp* PackOps(const IntegerChainLayer& layer, int64_t stride, Memory& memory) {
  IntegerChainOp* ops = memory.Take<IntegerChainOp>(static_cast<int64_t>(layer.ops.size()));
  for (size_t i = 0; i < layer.ops.size(); ++i) {
    const IntegerChainLayer::Op& op = layer.ops[i];
    float* mean = op.kind == Kind::kNorm ? memory.Take<float>(3 * stride) : nullptr;
    if (ops == nullptr) continue;
    ops[i] = {.kind = op.kind,
              .rounds = op.rounds,
              .slot = op.slot,
              .mean = mean,
              .grid = GridOf(op.step, op.least, op.most)};
    if (mean == nullptr) continue;
    std::copy(op.mean.begin(), op.mean.end(), mean);
    std::copy(op.scale.begin(), op.scale.end(), mean + stride);
    std::copy(op.shift.begin(), op.shift.end(), mean + 2 * stride);
  }
  return ops;
}

// Whether the step from sums to codes is one multiplication.
bool IsPlain(const IntegerChainLayer& layer, const IntegerChainStage& s) {
  if (s.result != Result::kBytes || s.op_count > 0 || s.in_double) return false;
  if (s.grid.divides || s.grid.most > 127 || (s.zero != 0 && s.zero != 128)) return false;
  for (int64_t o = 0; o < s.out; ++o) {
    const double scale = static_cast<double>(layer.scale[o]) * s.grid.inverse;
    if (layer.shift[o] != 0 || scale < 0x1p-90 || scale > 0x1p90) return false;
    if (layer.largest * scale >= 0x1p30) return false;
  }
  return true;
}

}  // namespace

int64_t WidestOfChain(absl::Span<const IntegerChainLayer> layers) {
  int64_t widest = RoundUp(layers[0].in, 16);
  for (const IntegerChainLayer& layer : layers) {
    widest = std::max(widest, RoundUp(layer.out, 16));
  }
  return widest;
}

int64_t SlotsOfChain(absl::Span<const IntegerChainLayer> layers) {
  int64_t slots = 0;
  for (const IntegerChainLayer& layer : layers) {
    slots = std::max(slots, layer.slot + 1);
    for (const IntegerChainLayer::Op& op : layer.ops) slots = std::max(slots, op.slot + 1);
  }
  return slots;
}

int64_t PackIntegerChain(absl::Span<const IntegerChainLayer> layers,
                         const IntegerChainKernels& kernels, void* begin) {
  Memory memory(begin);
  IntegerChain* chain = memory.Take<IntegerChain>(1);
  IntegerChainStage* stages = memory.Take<IntegerChainStage>(static_cast<int64_t>(layers.size()));
  Stored src;
  for (size_t i = 0; i < layers.size(); ++i) {
    const IntegerChainLayer& layer = layers[i];
    const bool is_last = i + 1 == layers.size(), has_product = i > 0 && layer.slot < 0;
    const bool folds_relu = !is_last && layers[i + 1].slot < 0 && EndsInRelu(layer);
    IntegerChainStage s = {
        .in = layer.in, .out = layer.out, .stride = RoundUp(layer.out, 16), .slot = layer.slot};
    if (has_product) PackProduct(layer, src, begin != nullptr, memory, s);
    float* scale = has_product ? memory.Copy(layer.scale, s.stride) : nullptr;
    s.scale = scale;
    s.ops = PackOps(layer, s.stride, memory);
    s.op_count = static_cast<int64_t>(layer.ops.size()) - (folds_relu ? 1 : 0);
    // What a branch follows has saved its numbers, and leaves no codes.
    if (!is_last && layers[i + 1].slot < 0) {
      src = StoredCodes(layer, folds_relu, layers[i + 1].byte_weight, kernels);
      s.result = src.bytes ? Result::kBytes : Result::kWords;
      s.grid = GridOf(layer.step, src.least, src.most);
      s.zero = src.zero;
      if (!has_product) s.steps = (layer.out + src.per_step() - 1) / src.per_step();
      s.plain = has_product && begin != nullptr && IsPlain(layer, s);
      for (int64_t o = 0; s.plain && o < s.out; ++o) scale[o] *= s.grid.inverse;
    }
    s.seldom = s.grid.divides;
    for (const IntegerChainLayer::Op& op : layer.ops) {
      s.seldom |= op.kind != Kind::kNorm && op.kind != Kind::kRelu;
    }
    if (stages != nullptr) stages[i] = s;
  }
  if (chain != nullptr) {
    *chain = {.in = layers.front().in,
              .out = layers.back().out,
              .widest = WidestOfChain(layers),
              .slots = SlotsOfChain(layers),
              .stage_count = static_cast<int64_t>(layers.size()),
              .stages = stages};
  }
  return memory.bytes();
}

const IntegerChainKernels& IntegerChainKernelsFor(Isa isa, bool vnni) {
  switch (isa) {
    case Isa::kAvx512:
      return vnni && __builtin_cpu_supports("avx512vnni") ? dense_avx512_vnni::kIntegerChainKernels
                                                          : dense_avx512::kIntegerChainKernels;
    case Isa::kAvx2:
      return dense_avx2::kIntegerChainKernels;
    case Isa::kBaseline:
      break;
  }
  return dense_baseline::kIntegerChainKernels;
}

}  // namespace mase
