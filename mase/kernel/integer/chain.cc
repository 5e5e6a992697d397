#include "mase/kernel/integer/chain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/ops.h"
#include "mase/kernel/dense/integer_chain.h"
#include "mase/kernel/integer/epilogue.h"
#include "mase/kernel/integer/gemm.h"

namespace mase {
namespace {

using Kind = IntegerChainOp::Kind;

// Weights of a layer that stay in the nearest caches beside those of others.
constexpr int64_t kMostWeights = 1 << 14;
// Multiplications that are worth a task.
constexpr int64_t kTaskMacs = 1 << 21;
constexpr int64_t kMaxTasks = 32;

NumberRange RangeOf(const Codes& codes) {
  return NumberRange::OfSteps(codes.least(), codes.most(), codes.scale);
}

void SetRange(const Codes& codes, float& step, float& least, float& most) {
  step = codes.scale;
  least = static_cast<float>(codes.least());
  most = static_cast<float>(codes.most());
}

class ChainKernel final : public IntegerChainKernel {
 public:
  ChainKernel(int64_t rows, int64_t features, std::vector<IntegerChainPart> parts)
      : rows_(rows),
        parts_(std::move(parts)),
        isa_(CurrentIntegerIsa()),
        kernels_(IntegerChainKernelsFor(CurrentIsa(), isa_ == IntegerIsa::kVnni)) {
    layers_.push_back({.in = features, .out = features});
    slot_features_ = {features};
    for (const IntegerChainPart& part : parts_) Add(part);
    // Where the input is read again, or its stage saves numbers, it is saved numbers itself.
    const std::vector<IntegerChainLayer::Op>& ops = layers_.front().ops;
    if (std::any_of(parts_.begin(), parts_.end(),
                    [](const IntegerChainPart& part) { return part.slot == 0; }) ||
        std::any_of(ops.begin(), ops.end(), [](const auto& op) { return op.slot >= 0; })) {
      layers_.front().slot = 0;
    }
    prepared_bytes_ = PackIntegerChain(layers_, kernels_, nullptr);
    tasks_ = ChunkCount(rows_ * macs_, kTaskMacs,
                        std::clamp<int64_t>(rows_ / kernels_.lanes, 1, kMaxTasks));
    task_bytes_ = IntegerChainScratch(WidestOfChain(layers_), SlotsOfChain(layers_));
    scratch_bytes_ = tasks_ * task_bytes_;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    std::vector<IntegerChainLayer> layers = layers_;
    auto layer = layers.begin();
    size_t op = 0;
    bounds_.clear();
    NumberRange numbers = {.watched = true};  // The caller's.
    std::vector<NumberRange> saved(slot_features_.size(), numbers);
    for (auto part = parts_.begin(); part != parts_.end(); ++part) {
      if (part->op.op == ops::kLinear) {
        ++layer;
        op = 0;
        MASE_RETURN_IF_ERROR(InLayer(*part, FillProduct(*part, args, *layer)));
        numbers = {.largest = layer->largest * Largest(layer->scale) + Largest(layer->shift)};
      } else if (part->op.op == kEncode) {
        numbers = RangeOf(*part->op.codes);
      } else if (part->op.op == kSave) {
        saved[part->slot] = numbers;
      } else if (part->op.op == kRecall) {
        ++layer;
        op = 0;
        numbers = saved[part->slot];
      } else if (part->op.op == ops::kAdd) {
        // Saved numbers come from a product, or are rounded: only those that they are added to can
        // be the caller's, which are watched where they enter.
        const NumberRange other = part->src.has_value() ? RangeOf(*part->src) : saved[part->slot];
        MASE_RETURN_IF_ERROR(InLayer(*part, CheckSum(part, numbers, other)));
        numbers.largest += other.largest;
      } else if (part->op.op == ops::kBatchNorm1d) {
        while (layer->ops[op].kind != Kind::kNorm) ++op;
        MASE_RETURN_IF_ERROR(InLayer(*part, FillNorm(part->op, args, layer->out, IsRounded(part),
                                                     numbers, layer->ops[op++])));
      }
    }
    PackIntegerChain(layers, kernels_, args.prepared);
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const IntegerChain& chain = *args.Prepared<IntegerChain>();
    const float* src = args.Src<float>(0);
    float* dst = args.Dst<float>();
    bool ok = true;
    if (rows_ > kernels_.few_rows) {
      ok = RunBlocks(chain, src, dst, args.Scratch<char>());
    } else {
      for (int64_t r = 0; r < rows_; ++r, src += chain.in, dst += chain.out) {
        ok &= kernels_.row(&chain, src, dst, args.scratch);
      }
    }
    if (ok) [[likely]]
      return absl::OkStatus();
    // Numbers inside of the chain are sums of codes: only the rows that enter it can have one.
    return InLayer(
        parts_[0],
        absl::OutOfRangeError(
            "reads a NaN, or its batch norm makes one, for which the format has no code; "
            "run the net simulated, or clean the data"));
  }

  RowFunction row_function() const override { return rows_ == 1 ? kernels_.row : nullptr; }

  KernelFacts facts() const override {
    SumBound all;
    for (const SumBound& bound : bounds_) all.Include(bound);
    return Facts(all);
  }

  std::vector<KernelFacts> StepFacts() const override {
    std::vector<KernelFacts> facts(parts_.back().step + 1, {.isa = IntegerIsaName(isa_)});
    auto bound = bounds_.begin();
    for (const IntegerChainPart& part : parts_) {
      if (part.op.op == ops::kLinear) facts[part.step] = Facts(*bound++);
    }
    return facts;
  }

 private:
  // Which layer of several an error is about; whoever runs the kernel says which several.
  absl::Status InLayer(const IntegerChainPart& part, const absl::Status& status) const {
    return parts_.front().label == parts_.back().label ? status : Annotate(status, part.label);
  }

  // Whether codes are made behind a part, perhaps of what it computes.
  bool IsRounded(std::vector<IntegerChainPart>::const_iterator part) const {
    return std::any_of(part, parts_.end(), [](const IntegerChainPart& next) {
      return next.op.op == ops::kLinear || next.op.op == kEncode;
    });
  }

  // As CheckNorm of a sum: infinities of either sign may meet.
  absl::Status CheckSum(std::vector<IntegerChainPart>::const_iterator part,
                        const NumberRange& numbers, const NumberRange& other) const {
    constexpr double kLargest = std::numeric_limits<float>::max();
    if (numbers.largest <= kLargest || other.largest <= kLargest || !IsRounded(part)) {
      return absl::OkStatus();
    }
    return absl::OutOfRangeError(
        "adds numbers that may both be infinite, of which a nan can come, and no code stands for "
        "it; look at running_var and weights of the batch norms in front of it");
  }

  KernelFacts Facts(const SumBound& bound) const {
    return {.isa = IntegerIsaName(isa_), .sum_bits = bound.bits(), .bias = bound.bias};
  }

  [[gnu::noinline]] bool RunBlocks(const IntegerChain& chain, const float* src, float* dst,
                                   char* scratch) const {
    bool ok[kMaxTasks];
    std::fill_n(ok, tasks_, true);
    ForChunks(rows_, tasks_, [&](int64_t task, int64_t begin, int64_t end) {
      ok[task] = kernels_.rows(chain, src + begin * chain.in, end - begin, dst + begin * chain.out,
                               scratch + task * task_bytes_);
    });
    return std::all_of(ok, ok + tasks_, [](bool task_ok) { return task_ok; });
  }

  void Add(const IntegerChainPart& part) {
    IntegerChainLayer* layer = &layers_.back();
    IntegerChainLayer::Op op;
    if (part.op.op == ops::kLinear) {
      // Rounding twice to one grid is rounding once.
      if (last_codes_ == part.src) layer->ops.pop_back();
      SetRange(*part.src, layer->step, layer->least, layer->most);
      const int64_t in = layer->out, out = part.op.attributes.Int("out_features");
      layers_.push_back({.in = in, .out = out, .byte_weight = part.weight.is_byte()});
      macs_ += in * out;
      last_codes_.reset();
    } else if (part.op.op == kRecall) {
      const int64_t features = slot_features_[part.slot];
      layers_.push_back({.in = features, .out = features, .slot = part.slot});
      last_codes_.reset();
    } else if (part.op.op == kEncode) {
      op.kind = Kind::kRound;
      SetRange(*part.op.codes, op.step, op.least, op.most);
      layer->ops.push_back(op);
      last_codes_ = part.op.codes;
    } else if (part.op.op != kDecode) {
      op.kind = part.op.op == ops::kRelu  ? Kind::kRelu
                : part.op.op == ops::kAdd ? Kind::kAdd
                : part.op.op == kSave     ? Kind::kSave
                                          : Kind::kNorm;
      op.slot = part.slot;
      op.rounds = op.kind == Kind::kAdd && part.src.has_value();
      if (op.rounds) SetRange(*part.src, op.step, op.least, op.most);
      if (op.kind == Kind::kSave) {
        slot_features_.resize(std::max<size_t>(slot_features_.size(), part.slot + 1));
        slot_features_[part.slot] = layer->out;
      }
      layer->ops.push_back(op);
      last_codes_.reset();
    }
  }

  absl::Status FillProduct(const IntegerChainPart& part, const KernelArgs& args,
                           IntegerChainLayer& layer) {
    const int weight_at = part.op.TensorIndex("weight"), bias_at = part.op.TensorIndex("bias");
    const float* weight = args.Tensor<float>(weight_at);
    const std::vector<float>& scales = part.weight.scales;
    const auto scale = [&](int64_t o) { return scales[scales.size() == 1 ? 0 : o]; };
    for (int64_t i = 0; i < layer.out * layer.in; ++i) {
      const double code = std::nearbyint(static_cast<double>(weight[i]) / scale(i / layer.in));
      if (!(code >= part.weight.least && code <= part.weight.most)) {  // Nor nan.
        return absl::OutOfRangeError(absl::StrCat("weight ", i, " is ", weight[i],
                                                  ", whose code is none of the format's, ",
                                                  part.weight.least, " to ", part.weight.most));
      }
      layer.weight.push_back(static_cast<int32_t>(code));
    }
    // The numbers behind the sums, and the proof of their range, are those of the layer by itself.
    IntegerGemm gemm(*part.src, layer.byte_weight ? Factors::kBytes : Factors::kWords, 1, layer.in,
                     layer.out);
    std::vector<char> packed(gemm.packed_bytes());
    SumBound bound;
    MASE_RETURN_IF_ERROR(
        gemm.Pack([&](int64_t o, int64_t, int64_t k) { return layer.weight[o * layer.in + k]; },
                  [&](int64_t o) { return part.src->scale * scale(o); },
                  bias_at < 0 ? nullptr : args.Tensor<float>(bias_at), packed.data(), &bound));
    const IntegerGemm::Columns columns = gemm.ColumnsAt(packed.data(), 0);
    layer.in_double = columns.in_double;
    layer.largest = std::max(-bound.least, bound.most);
    layer.scale.assign(columns.scale, columns.scale + layer.out);
    layer.shift.assign(columns.shift, columns.shift + layer.out);
    for (int64_t o = 0; o < layer.out; ++o) {
      uint32_t total = 0;
      for (int64_t k = 0; k < layer.in; ++k) {
        total += static_cast<uint32_t>(layer.weight[o * layer.in + k]);
      }
      // Of numbers, where that is of stored codes.
      layer.bias.push_back(static_cast<int32_t>(static_cast<uint32_t>(columns.offset[o]) +
                                                total * static_cast<uint32_t>(part.src->zero)));
    }
    bounds_.push_back(bound);
    return absl::OkStatus();
  }

  static double Largest(const std::vector<float>& numbers) {
    float largest = 0;
    for (const float number : numbers) largest = std::max(largest, std::abs(number));
    return static_cast<double>(largest);
  }

  // `numbers` are those that the norm reads, and then those that it makes.
  static absl::Status FillNorm(const FusedOp& norm, const KernelArgs& args, int64_t features,
                               bool is_rounded, NumberRange& numbers, IntegerChainLayer::Op& op) {
    const double eps = norm.attributes.Float("eps");
    const int weight = norm.TensorIndex("weight"), bias = norm.TensorIndex("bias");
    const float* mean = args.Tensor<float>(norm.TensorIndex("running_mean"));
    const float* variance = args.Tensor<float>(norm.TensorIndex("running_var"));
    op.mean.assign(mean, mean + features);
    NumberRange results = {.largest = 0, .watched = numbers.watched};
    for (int64_t c = 0; c < features; ++c) {
      const double gamma = weight < 0 ? 1.0 : static_cast<double>(args.Tensor<float>(weight)[c]);
      op.scale.push_back(static_cast<float>(gamma / std::sqrt(variance[c] + eps)));
      op.shift.push_back(bias < 0 ? 0.0f : args.Tensor<float>(bias)[c]);
      if (!is_rounded) continue;
      MASE_ASSIGN_OR_RETURN(const NumberRange result,
                            CheckNorm(c, mean[c], op.scale[c], op.shift[c], numbers));
      results.Include(result);
    }
    numbers = results;
    return absl::OkStatus();
  }

  const int64_t rows_;
  const std::vector<IntegerChainPart> parts_;
  const IntegerIsa isa_;
  const IntegerChainKernels& kernels_;
  std::vector<IntegerChainLayer> layers_;  // Without tensors.
  std::optional<Codes> last_codes_;        // Of the last layer's last op, if that rounds.
  int64_t macs_ = 0, tasks_ = 1, task_bytes_ = 0;
  std::vector<int64_t> slot_features_;
  std::vector<SumBound> bounds_;  // Of each product, after Prepare.
};

}  // namespace

bool ServesIntegerChain(const Codes& codes) {
  return codes.rounding == Codes::Rounding::kNearestEven && !codes.nan_is_zero;
}

bool ServesIntegerChain(const IntegerChainPart& linear) {
  const Attributes& attributes = linear.op.attributes;
  return attributes.Int("in_features") * attributes.Int("out_features") <= kMostWeights &&
         attributes.Int("in_features") > 0 && attributes.Int("out_features") > 0 &&
         linear.src.has_value() && ServesIntegerChain(*linear.src);
}

std::unique_ptr<IntegerChainKernel> MakeIntegerChain(int64_t rows, int64_t features,
                                                     std::vector<IntegerChainPart> parts) {
  return std::make_unique<ChainKernel>(rows, features, std::move(parts));
}

}  // namespace mase
