// "dense_chain" in inference: blocks of rows pass through all layers while they are in the L1
// cache, and one row through all of them in one call (kernel/dense/chain_kernels.h). What each
// layer's own kernel computes, to the bit, for any number of rows. A residual sum adds the matrix
// of an earlier result, which its stage has to itself.
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "mase/base/parallel.h"
#include "mase/graph/ops.h"
#include "mase/kernel/chain_parts.h"
#include "mase/kernel/dense/kernels.h"
#include "mase/kernel/dense_kernels.h"
#include "mase/kernel/gemm.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kLine = 64;  // Bytes.

// A run "linear? batch norm? sum? ReLU?" of the chain.
struct Stage {
  int64_t in = 0, out = 0;  // Features.
  bool linear = false, norm = false, relu = false;
  // Slots (chain_parts.h): what it reads instead of the stage before it, what it adds, and where
  // its result is saved, behind which the next stage begins.
  int64_t recall = -1, add = -1, save = -1;
  double eps = 0;  // The norm's.
  // Positions in KernelArgs::tensors.
  int weight = -1, bias = -1, norm_weight = -1, norm_bias = -1, mean = -1, variance = -1;
  // Matrices of the scratch, as DenseChainStage has them.
  int64_t from = -1, src_stride = 0, to = 0, added = -1;
  // Places among the floats that Prepare writes.
  int64_t packed_weight = 0, padded_bias = 0, statistics = 0;

  int64_t stride() const { return PadColumns(out); }  // Of a row of results.
};

// Rows of a block: matrices of activations fill most of an L1 cache. Whole tiles.
int64_t BlockRows(int64_t matrices, int64_t widest, int64_t rows) {
  constexpr int64_t kFloats = 9216, kMultiple = 24, kMost = 240;
  const int64_t fit = kFloats / (matrices * widest) / kMultiple * kMultiple;
  return std::clamp<int64_t>(rows, 1, std::clamp(fit, kMultiple, kMost));
}

// Fewer rows than this go one by one.
constexpr int64_t kFewRows = 6;

// Multiplications that are worth a task.
constexpr int64_t kTaskMacs = 1 << 20;
constexpr int64_t kMaxTasks = 32;

// W [out, in] in the strips of DenseChainStage.
void PackWeight(const float* weight, const Stage& s, float* packed) {
  for (int64_t first = 0; first < s.stride();) {
    const int64_t width = DenseChainStrip(s.stride(), first) * kColumnPadding;
    for (int64_t i = 0; i < s.in; ++i, packed += width) {
      for (int64_t o = first; o < std::min(first + width, s.out); ++o) {
        packed[o - first] = weight[o * s.in + i];
      }
    }
    first += width;
  }
}

class DenseInferenceKernel final : public Kernel {
 public:
  explicit DenseInferenceKernel(const KernelSpec& spec)
      : kernels_(CurrentDenseChainLoops()), rows_(spec.dst.shape[0]) {
    best_isa_ = true;
    stages_.push_back({.in = spec.srcs[0].shape[1], .out = spec.srcs[0].shape[1]});
    // A sum with the rows themselves wants them as a matrix, whose rows are padded.
    for (const FusedOp& fused : spec.fused) {
      if (fused.op == ops::kAdd && fused.attributes.Int(kSlot) == 0) stages_[0].save = 0;
    }
    Add(spec.op, *spec.attributes, spec);
    for (const FusedOp& fused : spec.fused) Add(fused.op, fused.attributes, fused);
    PlaceMemory();
  }

  absl::Status Prepare(const KernelArgs& args) override {
    DenseChain* chain = args.Prepared<DenseChain>();
    DenseChainStage* ready = reinterpret_cast<DenseChainStage*>(chain + 1);
    float* floats = reinterpret_cast<float*>(args.Prepared<char>() + floats_at_);
    std::fill_n(floats, (prepared_bytes_ - floats_at_) / kFloatBytes, 0.0f);
    *chain = {.in = stages_.front().in,
              .out = stages_.back().out,
              .widest = widest_,
              .stage_count = static_cast<int64_t>(stages_.size()),
              .stages = ready,
              .matrices = matrices_};
    for (const Stage& s : stages_) {
      *ready = {.in = s.in,
                .out = s.out,
                .stride = s.stride(),
                .relu = s.relu,
                .from = s.from,
                .src_stride = s.src_stride,
                .to = s.to,
                .add = s.added};
      if (s.linear) {
        PackWeight(args.Tensor<float>(s.weight), s, floats + s.packed_weight);
        if (s.bias >= 0) std::copy_n(args.Tensor<float>(s.bias), s.out, floats + s.padded_bias);
        ready->weight = floats + s.packed_weight;
        ready->bias = floats + s.padded_bias;
      }
      float* mean = floats + s.statistics;
      if (s.norm) ready->mean = mean;
      for (int64_t c = 0; s.norm && c < s.out; ++c) {
        const double gamma =
            s.norm_weight < 0 ? 1.0 : static_cast<double>(args.Tensor<float>(s.norm_weight)[c]);
        mean[c] = args.Tensor<float>(s.mean)[c];
        mean[s.stride() + c] =
            static_cast<float>(gamma / std::sqrt(args.Tensor<float>(s.variance)[c] + s.eps));
        mean[2 * s.stride() + c] = s.norm_bias < 0 ? 0.0f : args.Tensor<float>(s.norm_bias)[c];
      }
      ++ready;
    }
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    if (rows_ >= kFewRows) {
      RunBlocks(args);
      return absl::OkStatus();
    }
    const DenseChain& chain = *args.Prepared<DenseChain>();
    const float* src = args.Src<float>(0);
    float* dst = args.Dst<float>();
    for (int64_t r = 0; r < rows_; ++r, src += chain.in, dst += chain.out) {
      kernels_.row(&chain, src, dst, args.scratch);
    }
    return absl::OkStatus();
  }

  RowFunction row_function() const override { return rows_ == 1 ? kernels_.row : nullptr; }

 private:
  [[gnu::noinline]] void RunBlocks(const KernelArgs& args) const {
    const DenseChain& chain = *args.Prepared<DenseChain>();
    ForChunks(rows_, tasks_, [&](int64_t task, int64_t begin, int64_t end) {
      float* scratch = args.Scratch<float>() + task * matrices_ * block_rows_ * widest_;
      for (int64_t first = begin; first < end; first += block_rows_) {
        kernels_.block(chain, args.Src<float>(0) + first * chain.in,
                       std::min(block_rows_, end - first), args.Dst<float>() + first * chain.out,
                       scratch);
      }
    });
  }

  // One more layer; `tensors`, the spec or one of its fused ops, knows where its tensors are.
  template <typename Op>
  void Add(absl::string_view op, const Attributes& attributes, const Op& tensors) {
    const bool is_linear = op == ops::kLinear, is_norm = op == ops::kBatchNorm1d;
    const bool is_sum = op == ops::kAdd;
    if (op == kSave) {
      stages_.back().save = attributes.Int(kSlot);
      return;
    }
    const Stage& last = stages_.back();
    const bool ends = last.relu || last.save >= 0 || op == kRecall;
    const bool follows_sum = last.add >= 0, follows_norm = last.norm || follows_sum;
    if (ends || (is_linear && (last.linear || follows_norm)) || (is_norm && follows_norm) ||
        (is_sum && follows_sum)) {
      stages_.push_back({.in = last.out, .out = last.out});
    }
    Stage& stage = stages_.back();
    if (op == kRecall) {
      stage.recall = attributes.Int(kSlot);
      stage.in = stage.out = OutOf(stage.recall);
    } else if (is_linear) {
      stage.linear = true;
      stage.out = attributes.Int("out_features");
      stage.weight = tensors.TensorIndex("weight");
      stage.bias = tensors.TensorIndex("bias");
    } else if (is_norm) {
      stage.norm = true;
      stage.eps = attributes.Float("eps");
      stage.norm_weight = tensors.TensorIndex("weight");
      stage.norm_bias = tensors.TensorIndex("bias");
      stage.mean = tensors.TensorIndex("running_mean");
      stage.variance = tensors.TensorIndex("running_var");
    } else if (is_sum) {
      stage.add = attributes.Int(kSlot);
    } else {
      stage.relu = true;
    }
  }

  // Features of what a slot has by now.
  int64_t OutOf(int64_t slot) const {
    for (auto stage = stages_.rbegin(); stage != stages_.rend(); ++stage) {
      if (stage->save == slot) return stage->out;
    }
    return stages_.front().in;
  }

  // Results that are saved have a matrix of their own, the others take turns.
  void PlaceMatrices() {
    std::vector<int64_t> matrix_of;  // By slot.
    const auto matrix = [&](int64_t slot) -> int64_t& {
      matrix_of.resize(std::max<size_t>(matrix_of.size(), slot + 1), -1);
      return matrix_of[slot];
    };
    int64_t last = -1;
    for (Stage& stage : stages_) {
      stage.from = stage.recall >= 0 ? matrix(stage.recall) : last;
      stage.src_stride = stage.from < 0 ? stages_.front().in : PadColumns(stage.in);
      if (stage.add >= 0) stage.added = matrix(stage.add);
      stage.to = stage.from == 0 ? 1 : 0;
      if (stage.save >= 0) {
        int64_t& own = matrix(stage.save);
        if (own < 0) own = matrices_++;
        stage.to = own;
      }
      last = stage.to;
    }
  }

  void PlaceMemory() {
    PlaceMatrices();
    int64_t floats = 0, macs = 0;
    const auto place = [&](int64_t count) {
      floats += count;
      return floats - count;
    };
    for (Stage& stage : stages_) {
      if (stage.linear) {
        stage.packed_weight = place(stage.in * stage.stride());
        stage.padded_bias = place(stage.stride());
      }
      if (stage.norm) stage.statistics = place(3 * stage.stride());
      macs += stage.in * stage.out;
      widest_ = std::max(widest_, stage.stride());
    }
    const int64_t heads = static_cast<int64_t>(sizeof(DenseChain)) +
                          static_cast<int64_t>(stages_.size() * sizeof(DenseChainStage));
    floats_at_ = (heads + kLine - 1) / kLine * kLine;
    prepared_bytes_ = floats_at_ + floats * kFloatBytes;
    block_rows_ = BlockRows(matrices_, widest_, rows_);
    tasks_ = ChunkCount(rows_ * macs, kTaskMacs, std::clamp<int64_t>(rows_, 1, kMaxTasks));
    scratch_bytes_ = tasks_ * matrices_ * block_rows_ * widest_ * kFloatBytes;
  }

  const DenseChainLoops& kernels_;
  const int64_t rows_;
  std::vector<Stage> stages_;
  // Prepared memory is a DenseChain, its stages, and from here on floats.
  int64_t floats_at_ = 0;
  int64_t matrices_ = 2, widest_ = kColumnPadding, block_rows_ = 1, tasks_ = 1;
};

}  // namespace

KernelOr MakeDenseInference(const KernelSpec& spec) { return Make<DenseInferenceKernel>(spec); }

}  // namespace mase
