// Chains of small linear layers on codes (kernel/codes.h), from float32 rows to float32 results:
// one table of functions per instruction set.
//
//   first stage   no product: norm, ReLU, roundings of the input, then its codes
//   each other    sum = offset + codes times weights, exact in int32
//                 x = sum * scale + shift, in float32 (or rounded once from double)
//                 norms, ReLUs, roundings and residual sums, in float32
//                 codes of the next stage; or, of the last, x
//
// A residual sum adds numbers that an earlier stage has saved. A branch begins with a stage that
// has no product either, of saved numbers; so does the chain, where its input is read again.
//
// Codes are bytes or words. Bytes are without sign and go with weights of 8 bits, four products an
// instruction, on CPUs with VNNI; words have a sign, their weights too, two products an
// instruction, everywhere. Neither saturates, so all give the same sums.
//
// A row by itself holds neighbouring outputs in a register. A block of rows holds one output of
// `lanes` rows in each, so that no output is padded and a weight is loaded for all of them.
#ifndef MASE_KERNEL_DENSE_INTEGER_CHAIN_H_
#define MASE_KERNEL_DENSE_INTEGER_CHAIN_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "mase/base/isa.h"

namespace mase {

// Whole multiples of a step, in steps from `least` to `most`. `divides` is whether the step is no
// power of two, so that a product with `inverse`, 1 / step, is not the quotient.
struct IntegerChainGrid {
  float step = 1, least = 0, most = 0;
  float inverse = 1;
  bool divides = false;
  float unsure = 0.5;  // From this distance to a whole number on such a product may round wrongly.
};

struct IntegerChainOp {
  enum class Kind : uint8_t { kNorm, kRelu, kRound, kSave, kAdd };
  Kind kind = Kind::kRelu;
  // kAdd: whether the saved numbers are rounded to `grid` first.
  bool rounds = false;
  // kSave, kAdd: where the numbers are saved; those of the input at 0.
  int64_t slot = -1;
  // kNorm: (x - mean) * scale + shift, [3, stride].
  const float* mean = nullptr;
  // kRound: clamp(rint(x / step), least, most) * step.
  IntegerChainGrid grid;
};

struct IntegerChainStage {
  enum class Result : uint8_t { kFloats, kBytes, kWords };

  int64_t in = 0, out = 0;
  int64_t stride = 0;  // `out` up to a multiple of 16: of what follows, per output.
  int64_t slot = -1;   // What a stage without a product reads, if it has been saved.
  int64_t steps = 0;  // Of the depth: four bytes or two words each. Of the first stage: the next's.
  bool bytes = false;  // What the product reads.
  // The weights of a step, as one number, for a row: strips as those of DenseChainStage; and for a
  // block: tiles of 8 outputs, the last perhaps of 4, each [steps, outputs]. What pads them is
  // zero.
  const int32_t* row_weight = nullptr;
  const int32_t* block_weight = nullptr;
  const int32_t* offset = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  bool in_double = false;

  const IntegerChainOp* ops = nullptr;
  int64_t op_count = 0;
  // Whether there are ops but norms and ReLUs, or a grid whose step is no power of two.
  bool seldom = false;

  // codes = clamp(rint(x / step), least, most) + zero. A NaN is the least.
  Result result = Result::kFloats;
  IntegerChainGrid grid;
  int32_t zero = 0;
  // There are no ops, shift is 0, the grid's inverse is in `scale`, no number of steps reaches
  // 2^30, and codes are bytes of which the grid's least and most are between -128 and 127 and
  // `zero` is 0 or 128: clamping is left to bytes.
  bool plain = false;
};

// Outputs of the tile of a block that begins at `output`, a multiple of 8.
inline int64_t IntegerChainTile(int64_t out, int64_t output) { return out - output > 4 ? 8 : 4; }

struct IntegerChain {
  int64_t in = 0, out = 0;
  int64_t widest = 0;  // Of the strides, and of `in` up to a multiple of 16.
  int64_t slots = 0;   // Matrices of numbers that are saved.
  int64_t stage_count = 0;
  const IntegerChainStage* stages = nullptr;
};

struct IntegerChainKernels {
  bool has_bytes;  // Else all codes are words.
  int lanes;       // Rows of a register.
  int few_rows;    // Up to so many are faster one by one.
  // Rows [rows, chain.in] through all stages, to [rows, chain.out]; one, or any number. False if
  // an input is NaN, which has no code, or a norm makes one of it; results are then anything.
  // `scratch` is IntegerChainScratch(chain.widest, chain.slots) bytes. That of a row is a
  // RowFunction (kernel/kernel.h) whose prepared memory begins with an IntegerChain.
  bool (*row)(const void* chain, const void* src, void* dst, void* scratch);
  bool (*rows)(const IntegerChain& chain, const float* src, int64_t rows, float* dst,
               void* scratch);
};

inline int64_t IntegerChainScratch(int64_t widest, int64_t slots) {
  // Matrices of 32 rows: what a stage reads and writes, and what is saved.
  return (2 + slots) * 32 * widest * static_cast<int64_t>(sizeof(float));
}

// What PackIntegerChain makes a chain of. Tensors may be empty where only memory is asked for.
struct IntegerChainLayer {
  struct Op {
    IntegerChainOp::Kind kind;
    std::vector<float> mean, scale, shift;  // kNorm: by output.
    float step = 1, least = 0, most = 0;    // kRound, and kAdd where it rounds.
    bool rounds = false;                    // kAdd.
    int64_t slot = -1;                      // kSave, kAdd.
  };

  int64_t in = 0, out = 0;
  int64_t slot = -1;  // As IntegerChainStage::slot; then there is no product.
  // All but the first: the product. Whole numbers that fit 16 bits, or 8; [out, in].
  bool byte_weight = false;
  std::vector<int32_t> weight;
  // x = (sum + bias) * scale + shift, by output; no |sum + bias| exceeds `largest`.
  std::vector<int32_t> bias;
  std::vector<float> scale, shift;
  bool in_double = false;
  double largest = 0;

  std::vector<Op> ops;

  // All but the last: the codes of the result, at most 16 bits; multiples of `step`.
  float step = 1, least = 0, most = 0;
};

// One more than the largest slot of the layers, in which the first one's input is 0; 0 where none
// has any.
int64_t SlotsOfChain(absl::Span<const IntegerChainLayer> layers);

// Writes the chain of `layers` for `kernels` into `memory`, 64-byte aligned, and what it points to
// behind it. Returns the bytes that this takes; with null `memory` only that.
int64_t PackIntegerChain(absl::Span<const IntegerChainLayer> layers,
                         const IntegerChainKernels& kernels, void* memory);

// IntegerChain::widest of such a chain.
int64_t WidestOfChain(absl::Span<const IntegerChainLayer> layers);

namespace dense_avx512_vnni {
extern const IntegerChainKernels kIntegerChainKernels;
}
namespace dense_avx512 {
extern const IntegerChainKernels kIntegerChainKernels;
}
namespace dense_avx2 {
extern const IntegerChainKernels kIntegerChainKernels;
}
namespace dense_baseline {
extern const IntegerChainKernels kIntegerChainKernels;
}

// The table for an instruction set, with VNNI where that has it and `vnni` says so.
const IntegerChainKernels& IntegerChainKernelsFor(Isa isa, bool vnni);

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_INTEGER_CHAIN_H_
