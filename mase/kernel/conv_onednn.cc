// Convolutions on oneDNN. "conv_batch_norm", for the executor's fusion in inference, has a batch
// norm behind it, scaled into the weights, and perhaps a ReLU.
//
// The batch is cut into parts by its size alone; every part is a primitive that runs on one thread,
// and the parts run on the pool. So oneDNN never divides a sum among threads, and the gradients of
// weights, which sum over the batch, are added part by part in order.
// What oneDNN is asked for stands in conv_descriptions.h.
#include "mase/kernel/conv_onednn.h"

#include <omp.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/bfloat16.h"
#include "mase/kernel/conv_descriptions.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_norm.h"
#include "mase/kernel/onednn.h"
#include "mase/kernel/staged_call.h"

namespace mase {
namespace {

using Desc = dnnl::memory::desc;
using Orders = ConvDescriptions::Orders;
constexpr int64_t kFloatBytes = sizeof(float);

// Most parts of the batch, and of the gradient by weights, each of which costs a copy of them.
constexpr int64_t kMaxParts = 16;
constexpr int64_t kMaxWeightParts = 4;

// The most runs of output channels that gradients of weights are put in place by.
constexpr int64_t kMaxRuns = 16;

// The most runs of the first axis, each a stretch of the memory, that `weights` can be cut into.
int64_t ContiguousRuns(const Desc& weights) {
  const dnnl_memory_desc_t& desc = weights.data;
  const dnnl_blocking_desc_t& blocking = desc.format_desc.blocking;
  int64_t block = 1;
  for (int i = 0; i < blocking.inner_nblks; ++i) {
    if (blocking.inner_idxs[i] == 0) block *= blocking.inner_blks[i];
  }
  const int64_t blocks = desc.padded_dims[0] / block;
  const bool is_outermost = blocking.strides[0] * blocks == FloatsOf(weights);
  if (!is_outermost || desc.dims[0] != desc.padded_dims[0]) return 1;
  int64_t runs = std::min(blocks, kMaxRuns);
  while (blocks % runs != 0) --runs;
  return runs;
}

class OneDnnConvKernel : public Kernel {
 public:
  // Makes what the way back needs.
  using MakeMore = void (OneDnnConvKernel::*)(const ConvDescriptions&);

  // Throws dnnl::error.
  explicit OneDnnConvKernel(const KernelSpec& spec, MakeMore make_more = nullptr)
      : make_more_(make_more),
        g_(spec),
        norm_(spec),
        training_(spec.training),
        bfloat16_(spec.bfloat16) {
    reads_src_ = !bfloat16_;  // Backward reads the rounded one.
    src_row_ = g_.in_channels * g_.in[0] * g_.in[1];
    dst_row_ = g_.out_channels * g_.out[0] * g_.out[1];
    if (g_.batch == 0 || src_row_ == 0) return;
    const OneThread one_thread;
    const bool biased = g_.bias >= 0 || norm_.present;
    ConvDescriptions descriptions(g_, training_, biased, norm_.relu, /*exact=*/spec.sum_bits > 0);
    src_layouts_ = {descriptions.src_layout()};
    dst_layout_ = descriptions.dst_layout();
    try {
      MakePrimitives(descriptions);
    } catch (const dnnl::error&) {
      if (!descriptions.GiveUpWinograd()) throw;
      MakePrimitives(descriptions);
    }
    int64_t prepared = forward_floats_ + backward_floats_ + bias_floats();
    if (norm_.present || bfloat16_) prepared += g_.weight_elements();
    prepared_bytes_ = prepared * kFloatBytes;
    // On cache lines of their own.
    const int64_t diff_floats = RoundUp(diff_weight_floats_ + g_.out_channels);
    parts_scratch_ = std::max({slots_ * forward_scratch_, slots_ * data_scratch_,
                               slots_ * weights_scratch_ + weight_parts_ * diff_floats});
    const int64_t rounded = bfloat16_ && training_ ? g_.batch * dst_row_ : 0;
    scratch_bytes_ = (parts_scratch_ + rounded) * kFloatBytes;
    if (bfloat16_) workspace_bytes_ = g_.batch * src_row_ * kFloatBytes;
  }

  void MakeBackward(const ConvDescriptions& descriptions) {
    MakeBackwardData(descriptions);
    MakeBackwardWeights(descriptions);
  }

  KernelFacts facts() const override {
    if (forward_.empty()) return Kernel::facts();
    return {.implementation = implementation_, .isa = isa_};
  }

  absl::Status Prepare(const KernelArgs& args) override {
    try {
      float* prepared = args.Prepared<float>();
      const float* weights = args.Tensor<float>(g_.weight);
      float* bias = prepared + forward_floats_ + backward_floats_;
      float* own_weights = bias + bias_floats();
      if (norm_.present) {
        norm_.Fold(g_, args, bias, own_weights);
        weights = own_weights;
      }
      weights = ProductOperand(bfloat16_, g_.weight_elements(), weights, own_weights);
      if (forward_reorder_.has_value()) forward_reorder_->Run({weights, prepared});
      if (backward_reorder_.has_value()) {
        backward_reorder_->Run({weights, prepared + forward_floats_});
      }
    } catch (const dnnl::error& error) {
      return FromOneDnn(error);
    }
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    if (forward_.empty()) return absl::OkStatus();
    const float* bias = norm_.present  ? args.Prepared<float>() + forward_floats_ + backward_floats_
                        : g_.bias >= 0 ? args.Tensor<float>(g_.bias)
                                       : nullptr;
    return RunParts(
        g_.batch, parts_, slots_, [&](int64_t part, int64_t begin, int64_t end, int64_t slot) {
          const int64_t first = begin * src_row_;
          const float* src =
              ProductOperand(bfloat16_, (end - begin) * src_row_, args.Src<float>(0) + first,
                             bfloat16_ ? args.Workspace<float>() + first : nullptr);
          float* dst = args.Dst<float>() + begin * dst_row_;
          float* scratch = args.Scratch<float>() + slot * forward_scratch_;
          if (bias != nullptr) {
            forward_[part].Run({src, args.Prepared<float>(), dst, bias}, scratch);
          } else {
            forward_[part].Run({src, args.Prepared<float>(), dst}, scratch);
          }
        });
  }

  absl::Status Gradient(const BackwardArgs& args) {
    const float* diff_dst = ProductOperand(bfloat16_, g_.batch * dst_row_, args.DiffDst<float>(),
                                           args.Scratch<float>() + parts_scratch_);
    if (args.DiffSrc<float>(0) != nullptr && !data_.empty()) {
      const float* weights =
          args.Prepared<float>() + (backward_reorder_.has_value() ? forward_floats_ : 0);
      MASE_RETURN_IF_ERROR(RunParts(
          g_.batch, parts_, slots_, [&](int64_t part, int64_t begin, int64_t, int64_t slot) {
            data_[part].Run(
                {diff_dst + begin * dst_row_, weights, args.DiffSrc<float>(0) + begin * src_row_},
                args.Scratch<float>() + slot * data_scratch_);
          }));
    }
    return BackwardWeights(args, diff_dst);
  }

 private:
  // Every part reads all weights, so it should have twice as many activations to read; two parts
  // at least, for two cores. Up to twice as many where all are then of one size: threads have the
  // same to do, and all read weights in one order, which oneDNN may choose by the size. A batch
  // that has no such number (a prime one) may so end with direct sums.
  int64_t Parts(const ConvDescriptions& descriptions, int64_t most) const {
    int64_t samples = std::max<int64_t>(2 * g_.weight_elements() / (src_row_ + dst_row_), 4);
    if (descriptions.is_winograd()) samples = descriptions.GoodWinogradSamples();
    const int64_t parts = std::min(std::clamp<int64_t>(g_.batch / samples, 2, most), g_.batch);
    for (int64_t even = parts; even <= std::min(2 * parts, most); ++even) {
      if (g_.batch % even == 0) return even;
    }
    return parts;
  }

  static int64_t RoundUp(int64_t n) { return (n + 15) / 16 * 16; }
  int64_t bias_floats() const { return norm_.present ? RoundUp(g_.out_channels) : 0; }

  // The samples of each part; see RunParts.
  static int64_t Samples(int64_t batch, int64_t parts, int64_t part) {
    return batch * (part + 1) / parts - batch * part / parts;
  }

  void MakePrimitives(const ConvDescriptions& descriptions) {
    for (std::vector<StagedCall>* calls : {&forward_, &data_, &weights_}) calls->clear();
    diff_weights_.clear();
    parts_ = Parts(descriptions, kMaxParts);
    weight_parts_ = Parts(descriptions, kMaxWeightParts);
    MakeForward(descriptions);
    if (make_more_ != nullptr) (this->*make_more_)(descriptions);
  }

  void MakeForward(const ConvDescriptions& descriptions) {
    Desc weights = descriptions.AnyWeights();
    const Orders orders = descriptions.ChooseOrders([&](Orders orders) {
      return descriptions.Forward(Samples(g_.batch, parts_, 0), orders, weights);
    });
    for (int64_t part = 0; part < parts_; ++part) {
      const int64_t samples = Samples(g_.batch, parts_, part);
      const auto desc = descriptions.Forward(samples, orders, weights);
      weights = desc.weights_desc();
      isa_ = std::string(OneDnnIsa(desc.impl_info_str()));
      implementation_ = absl::StrCat("oneDNN ", desc.impl_info_str());
      std::vector<StagedCall::Operand> operands = {
          {DNNL_ARG_SRC, desc.src_desc(), descriptions.OutsideSrc(samples)},
          {DNNL_ARG_WEIGHTS, weights},
          {DNNL_ARG_DST, desc.dst_desc(), descriptions.OutsideDst(samples), /*written=*/true}};
      if (g_.bias >= 0 || norm_.present) operands.push_back({DNNL_ARG_BIAS, desc.bias_desc()});
      forward_.emplace_back(dnnl::convolution_forward(desc), desc.scratchpad_desc(), operands);
    }
    forward_scratch_ = MostScratch(forward_);
    forward_floats_ = RoundUp(FloatsOf(weights));
    forward_weights_ = weights;
    forward_reorder_ = OneDnnCall::Reorder(descriptions.PlainWeights(), weights);
  }

  void MakeBackwardData(const ConvDescriptions& descriptions) {
    Desc weights = descriptions.AnyWeights();
    const Orders orders = descriptions.ChooseOrders([&](Orders orders) {
      return descriptions.BackwardData(Samples(g_.batch, parts_, 0), orders, weights);
    });
    for (int64_t part = 0; part < parts_; ++part) {
      const int64_t samples = Samples(g_.batch, parts_, part);
      const auto desc = descriptions.BackwardData(samples, orders, weights);
      weights = desc.weights_desc();
      if (part == 0) absl::StrAppend(&implementation_, ", ", desc.impl_info_str());
      data_.emplace_back(
          dnnl::convolution_backward_data(desc), desc.scratchpad_desc(),
          std::vector<StagedCall::Operand>{
              {DNNL_ARG_DIFF_DST, desc.diff_dst_desc(), descriptions.OutsideDst(samples)},
              {DNNL_ARG_WEIGHTS, weights},
              {DNNL_ARG_DIFF_SRC, desc.diff_src_desc(), descriptions.OutsideSrc(samples),
               /*written=*/true}});
    }
    data_scratch_ = MostScratch(data_);
    if (weights == forward_weights_) return;
    backward_floats_ = RoundUp(FloatsOf(weights));
    backward_reorder_ = OneDnnCall::Reorder(descriptions.PlainWeights(), weights);
  }

  void MakeBackwardWeights(const ConvDescriptions& descriptions) {
    Desc weights = descriptions.AnyWeights();
    const Orders orders = descriptions.ChooseOrders([&](Orders orders) {
      return descriptions.BackwardWeights(Samples(g_.batch, weight_parts_, 0), orders, weights);
    });
    for (int64_t part = 0; part < weight_parts_; ++part) {
      const int64_t samples = Samples(g_.batch, weight_parts_, part);
      const auto desc = descriptions.BackwardWeights(samples, orders, weights);
      weights = desc.diff_weights_desc();
      if (part == 0) absl::StrAppend(&implementation_, ", ", desc.impl_info_str());
      std::vector<StagedCall::Operand> operands = {
          {DNNL_ARG_SRC, desc.src_desc(), descriptions.OutsideSrc(samples)},
          {DNNL_ARG_DIFF_DST, desc.diff_dst_desc(), descriptions.OutsideDst(samples)},
          {DNNL_ARG_DIFF_WEIGHTS, weights}};
      if (g_.bias >= 0) operands.push_back({DNNL_ARG_DIFF_BIAS, desc.diff_bias_desc()});
      weights_.emplace_back(dnnl::convolution_backward_weights(desc), desc.scratchpad_desc(),
                            operands);
    }
    weights_scratch_ = MostScratch(weights_);
    diff_weight_elements_ = FloatsOf(weights);
    diff_weight_floats_ = RoundUp(diff_weight_elements_);
    MakeGradientReorders(weights, descriptions.PlainWeights());
  }

  static int64_t MostScratch(const std::vector<StagedCall>& calls) {
    int64_t most = 0;
    for (const StagedCall& call : calls) most = std::max(most, call.scratch_floats());
    return RoundUp(most);
  }

  // One for each run of output channels.
  void MakeGradientReorders(const Desc& weights, const Desc& plain) {
    const int64_t runs = ContiguousRuns(weights);
    dnnl::memory::dims dims = weights.dims(), first(dims.size(), 0);
    dims[0] /= runs;
    for (int64_t run = 0; run < runs; ++run, first[0] += dims[0]) {
      diff_weights_.push_back(OneDnnCall::Reorder(weights.submemory_desc(dims, first),
                                                  plain.submemory_desc(dims, first)));
    }
  }

  absl::Status BackwardWeights(const BackwardArgs& args, const float* diff_dst) {
    float* diff_weight = args.DiffTensor<float>(g_.weight);
    float* diff_bias = g_.bias < 0 ? nullptr : args.DiffTensor<float>(g_.bias);
    if (diff_weight == nullptr && diff_bias == nullptr) return absl::OkStatus();
    if (weights_.empty()) {
      if (diff_weight != nullptr) std::fill_n(diff_weight, g_.weight_elements(), 0.0f);
      if (diff_bias != nullptr) std::fill_n(diff_bias, g_.out_channels, 0.0f);
      return absl::OkStatus();
    }
    const float* src = bfloat16_ ? args.Workspace<float>() : args.Src<float>(0);
    const int64_t sums_size = RoundUp(diff_weight_floats_ + g_.out_channels);
    float* const sums = args.Scratch<float>() + slots_ * weights_scratch_;
    MASE_RETURN_IF_ERROR(RunParts(
        g_.batch, weight_parts_, slots_, [&](int64_t part, int64_t begin, int64_t, int64_t slot) {
          float* own = sums + part * sums_size;
          weights_[part].Run(
              {src + begin * src_row_, diff_dst + begin * dst_row_, own, own + diff_weight_floats_},
              args.Scratch<float>() + slot * weights_scratch_);
        }));
    // Adds what the parts found to the first one's.
    const auto add_parts = [&](int64_t begin, int64_t end) {
      for (int64_t part = 1; part < weight_parts_; ++part) {
        const float* own = sums + part * sums_size;
        for (int64_t i = begin; i < end; ++i) sums[i] += own[i];
      }
    };
    if (diff_bias != nullptr) {
      add_parts(diff_weight_floats_, diff_weight_floats_ + g_.out_channels);
      std::copy_n(sums + diff_weight_floats_, g_.out_channels, diff_bias);
    }
    if (diff_weight == nullptr) return absl::OkStatus();
    // A run is put in place while its sums are in the cache.
    const int64_t runs = static_cast<int64_t>(diff_weights_.size());
    return RunParts(runs, runs, runs, [&](int64_t run, int64_t, int64_t, int64_t) {
      add_parts(diff_weight_elements_ * run / runs, diff_weight_elements_ * (run + 1) / runs);
      diff_weights_[run].Run({sums, diff_weight});
    });
  }

  const MakeMore make_more_;
  const ConvGeometry g_;
  const ConvNorm norm_;
  const bool training_;
  const bool bfloat16_;
  int64_t src_row_, dst_row_;  // Elements of a sample.
  int64_t parts_ = 1, weight_parts_ = 1;
  const int64_t slots_ = std::min<int64_t>(kMaxParts, omp_get_max_threads());  // Run at a time.
  std::vector<StagedCall> forward_, data_, weights_;                           // By part.
  Desc forward_weights_;
  std::string implementation_;  // Forward; in training the gradients', too.
  std::string isa_;             // Forward.
  std::optional<OneDnnCall> forward_reorder_, backward_reorder_;
  std::vector<OneDnnCall> diff_weights_;  // By run of output channels.
  // Numbers of floats; scratch of one slot.
  int64_t forward_floats_ = 0, backward_floats_ = 0;
  int64_t diff_weight_elements_ = 0, diff_weight_floats_ = 0;  // The second on whole cache lines.
  int64_t forward_scratch_ = 0, data_scratch_ = 0, weights_scratch_ = 0;
  int64_t parts_scratch_ = 0;  // Of all parts.
};

class OneDnnTrainingConvKernel final : public OneDnnConvKernel {
 public:
  explicit OneDnnTrainingConvKernel(const KernelSpec& spec)
      : OneDnnConvKernel(spec, &OneDnnConvKernel::MakeBackward) {
    has_backward_ = true;
  }
  absl::Status Backward(const BackwardArgs& args) override { return Gradient(args); }
};

template <typename K>
KernelOr MakeOrError(const KernelSpec& spec) {
  try {
    return std::make_unique<K>(spec);
  } catch (const dnnl::error& error) {
    return FromOneDnn(error);
  }
}

}  // namespace

KernelOr MakeOneDnnConv(const KernelSpec& spec) { return MakeOrError<OneDnnConvKernel>(spec); }
KernelOr MakeOneDnnTrainingConv(const KernelSpec& spec) {
  return MakeOrError<OneDnnTrainingConvKernel>(spec);
}

}  // namespace mase
