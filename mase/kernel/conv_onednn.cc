// Convolutions on oneDNN. "conv_batch_norm", for the executor's fusion in inference, has a batch
// norm behind it, scaled into the weights, and perhaps a ReLU.
//
// The batch is cut into parts by its size alone; every part is a primitive that runs on one thread,
// and the parts run on the pool. So oneDNN never divides a sum among threads, and the gradients of
// weights, which sum over the batch, are added part by part in order.
#include "mase/kernel/conv_onednn.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/parallel.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace mase {
namespace {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
constexpr auto kF32 = dnnl::memory::data_type::f32;

// Most parts of the batch, and of the gradient by weights, each of which costs a copy of them.
constexpr int64_t kMaxParts = 16;
constexpr int64_t kMaxWeightParts = 4;

const dnnl::engine& Engine() {
  static const dnnl::engine& engine = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// oneDNN plans a primitive for the number of threads that it sees when the primitive is made.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  const int before_;
};

int64_t Floats(const Desc& desc) { return static_cast<int64_t>(desc.get_size() / sizeof(float)); }

// A primitive with its arguments, made once; running it sets pointers and allocates nothing here.
class Call {
 public:
  Call(const dnnl::primitive& primitive, const std::vector<std::pair<int, Desc>>& arguments)
      : primitive_(primitive), stream_(Engine()) {
    for (const auto& [argument, desc] : arguments) {
      memories_.emplace_back(desc, Engine(), nullptr);
      arguments_.push_back({argument, memories_.back().get()});
    }
  }

  // Pointers in the order of the arguments.
  void Run(std::initializer_list<const float*> pointers) {
    size_t i = 0;
    for (const float* pointer : pointers) {
      if (i == memories_.size()) break;
      memories_[i++].set_data_handle(const_cast<float*>(pointer));
    }
    dnnl::error::wrap_c_api(
        dnnl_primitive_execute(primitive_.get(), stream_.get(),
                               static_cast<int>(arguments_.size()), arguments_.data()),
        "execution failed");
  }

 private:
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

absl::Status FromOneDnn(const dnnl::error& error) {
  return absl::InternalError(absl::StrCat("oneDNN: ", error.what(), " (status ", error.status, ")"));
}

// Runs body(part, begin, end) on the pool, where oneDNN may throw.
template <typename Body>
absl::Status RunParts(int64_t batch, int64_t parts, const Body& body) {
  std::atomic<int> failed = dnnl_success;
  ForChunks(batch, parts, [&](int64_t part, int64_t begin, int64_t end) {
    try {
      body(part, begin, end);
    } catch (const dnnl::error& error) {
      failed = error.status;
    }
  });
  if (failed == dnnl_success) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("oneDNN: convolution failed with status ", failed.load()));
}

class OneDnnConvKernel final : public Kernel<float> {
 public:
  // Throws dnnl::error.
  explicit OneDnnConvKernel(const KernelSpec& spec)
      : g_(spec), norm_(spec), training_(spec.training) {
    has_backward_ = true;
    reads_src_ = true;
    src_row_ = g_.in_channels * g_.in[0] * g_.in[1];
    dst_row_ = g_.out_channels * g_.out[0] * g_.out[1];
    if (g_.batch == 0 || src_row_ == 0) return;
    const OneThread one_thread;
    ChooseLayouts();
    src_layouts_ = {src_blocked_ ? Layout::kBlocked : Layout::kPlain};
    dst_layout_ = dst_blocked_ ? Layout::kBlocked : Layout::kPlain;
    parts_ = Parts(kMaxParts);
    weight_parts_ = Parts(kMaxWeightParts);
    MakeForward();
    if (training_) {
      MakeBackwardData();
      MakeBackwardWeights();
    }
    prepared_elements_ = forward_floats_ + backward_floats_;
    if (norm_.present) prepared_elements_ += RoundUp(g_.out_channels) + g_.weight_elements();
    // Each part's own, on cache lines of their own.
    const int64_t diff_floats = RoundUp(diff_weight_floats_ + g_.out_channels);
    scratch_elements_ = std::max({parts_ * forward_scratch_, parts_ * data_scratch_,
                                  weight_parts_ * (weights_scratch_ + diff_floats)});
  }

  absl::Status Prepare(float* const* tensors, float* prepared) override {
    try {
      const float* weights = tensors[g_.weight];
      if (norm_.present) weights = FoldNorm(tensors, prepared + forward_floats_);
      if (forward_reorder_ != nullptr) forward_reorder_->Run({weights, prepared});
      if (backward_reorder_ != nullptr) {
        backward_reorder_->Run({tensors[g_.weight], prepared + forward_floats_});
      }
    } catch (const dnnl::error& error) {
      return FromOneDnn(error);
    }
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs<float>& args) override {
    if (forward_.empty()) return absl::OkStatus();
    const float* bias = norm_.present   ? args.prepared + forward_floats_
                        : g_.bias >= 0 ? args.tensors[g_.bias]
                                       : nullptr;
    return RunParts(g_.batch, parts_, [&](int64_t part, int64_t begin, int64_t) {
      const float* src = args.srcs[0] + begin * src_row_;
      float* dst = args.dst + begin * dst_row_;
      float* scratch = args.scratch + part * forward_scratch_;
      if (bias != nullptr) {
        forward_[part].Run({src, args.prepared, dst, scratch, bias});
      } else {
        forward_[part].Run({src, args.prepared, dst, scratch});
      }
    });
  }

  absl::Status Backward(const BackwardArgs<float>& args) override {
    if (args.diff_srcs[0] != nullptr && !data_.empty()) {
      const float* weights =
          args.prepared + (backward_reorder_ == nullptr ? 0 : forward_floats_);
      MASE_RETURN_IF_ERROR(
          RunParts(g_.batch, parts_, [&](int64_t part, int64_t begin, int64_t) {
            data_[part].Run({args.diff_dst + begin * dst_row_, weights,
                             args.diff_srcs[0] + begin * src_row_,
                             args.scratch + part * data_scratch_});
          }));
    }
    return BackwardWeights(args);
  }

 private:
  // Every part reads all weights, so it should have twice as many activations to read; two parts
  // at least, for two cores.
  int64_t Parts(int64_t most) const {
    const int64_t samples = std::max<int64_t>(2 * g_.weight_elements() / (src_row_ + dst_row_), 4);
    return std::min(std::clamp<int64_t>(g_.batch / samples, 2, most), g_.batch);
  }

  static int64_t RoundUp(int64_t n) { return (n + 15) / 16 * 16; }

  Dims WeightDims() const {
    const Dims dims = {g_.out_channels, g_.in_channels / g_.groups, g_.kernel[0], g_.kernel[1]};
    if (g_.groups == 1) return dims;
    return {g_.groups, dims[0] / g_.groups, dims[1], dims[2], dims[3]};
  }
  Desc WeightDesc(Tag tag) const { return Desc(WeightDims(), kF32, tag); }
  Desc PlainWeights() const { return WeightDesc(g_.groups == 1 ? Tag::oihw : Tag::goihw); }
  static Tag DataTag(bool blocked) {
    return !blocked ? Tag::nchw : ChannelBlock() == 16 ? Tag::nChw16c : Tag::nChw8c;
  }
  Desc SrcDesc(int64_t samples) const {
    return Desc({samples, g_.in_channels, g_.in[0], g_.in[1]}, kF32, DataTag(src_blocked_));
  }
  Desc DstDesc(int64_t samples) const {
    return Desc({samples, g_.out_channels, g_.out[0], g_.out[1]}, kF32, DataTag(dst_blocked_));
  }
  bool HasBias() const { return g_.bias >= 0 || norm_.present; }
  Desc BiasDesc() const {
    return HasBias() ? Desc({g_.out_channels}, kF32, Tag::x) : Desc();
  }
  Dims Pair(const int64_t (&values)[2]) const { return {values[0], values[1]}; }
  Dims Dilates() const { return {g_.dilation[0] - 1, g_.dilation[1] - 1}; }
  // What makes the last window end where it does.
  Dims PaddingRight() const {
    Dims right(2);
    for (int i = 0; i < 2; ++i) {
      const int64_t window = (g_.kernel[i] - 1) * g_.dilation[i] + 1;
      right[i] = (g_.out[i] - 1) * g_.stride[i] + window - g_.in[i] - g_.padding[i];
    }
    return right;
  }
  static dnnl::primitive_attr Attributes() {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
  }

  dnnl::convolution_forward::primitive_desc ForwardDesc(int64_t samples, const Desc& weights) const {
    const auto kind = training_ ? dnnl::prop_kind::forward_training
                                : dnnl::prop_kind::forward_inference;
    return {{kind, dnnl::algorithm::convolution_direct, SrcDesc(samples), weights, BiasDesc(),
             DstDesc(samples), Pair(g_.stride), Dilates(), Pair(g_.padding), PaddingRight()},
            ForwardAttributes(),
            Engine()};
  }
  dnnl::primitive_attr ForwardAttributes() const {
    dnnl::primitive_attr attributes = Attributes();
    if (norm_.relu) {
      dnnl::post_ops after;
      after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attributes.set_post_ops(after);
    }
    return attributes;
  }

  // y = (W x + b - mean) scale + shift = (scale W) x + (b - mean) scale + shift, with scale =
  // weight / sqrt(variance + eps). Writes the new bias and, behind it, the new weights.
  const float* FoldNorm(float* const* tensors, float* bias) const {
    float* weights = bias + RoundUp(g_.out_channels);
    const int64_t per_channel = g_.weight_elements() / g_.out_channels;
    const auto at = [&](int tensor, int64_t c, double absent) {
      return tensor < 0 ? absent : static_cast<double>(tensors[tensor][c]);
    };
    for (int64_t c = 0; c < g_.out_channels; ++c) {
      const double scale =
          at(norm_.weight, c, 1) / std::sqrt(at(norm_.variance, c, 1) + norm_.eps);
      bias[c] = static_cast<float>((at(g_.bias, c, 0) - at(norm_.mean, c, 0)) * scale +
                                   at(norm_.bias, c, 0));
      const float* from = tensors[g_.weight] + c * per_channel;
      for (int64_t i = 0; i < per_channel; ++i) {
        weights[c * per_channel + i] = static_cast<float>(from[i] * scale);
      }
    }
    return weights;
  }

  // Blocks of channels where they come out even and oneDNN has a generated kernel for them; an
  // image's few channels may be plain before a blocked result.
  void ChooseLayouts() {
    const int64_t block = ChannelBlock();
    const bool depthwise = g_.groups == g_.in_channels && g_.groups == g_.out_channels;
    const int64_t groups = depthwise ? 1 : g_.groups;
    src_blocked_ = g_.in_channels / groups % block == 0;
    dst_blocked_ = g_.out_channels / groups % block == 0;
    if (!src_blocked_ && g_.in_channels > 4) dst_blocked_ = false;
    if (!dst_blocked_) src_blocked_ = false;
    if (!dst_blocked_) return;
    const char* name = ForwardDesc(1, WeightDesc(Tag::any)).impl_info_str();
    if (absl::StrContains(name, "ref") || absl::StrContains(name, "gemm")) {
      src_blocked_ = dst_blocked_ = false;
    }
  }

  // The samples of each part; see ForChunks.
  static int64_t Samples(int64_t batch, int64_t parts, int64_t part) {
    return batch * (part + 1) / parts - batch * part / parts;
  }

  void MakeForward() {
    Desc weights = WeightDesc(Tag::any);
    int64_t scratch = 0;
    for (int64_t part = 0; part < parts_; ++part) {
      const int64_t samples = Samples(g_.batch, parts_, part);
      const auto desc = ForwardDesc(samples, weights);
      weights = desc.weights_desc();
      scratch = std::max(scratch, Floats(desc.scratchpad_desc()));
      std::vector<std::pair<int, Desc>> arguments = {{DNNL_ARG_SRC, desc.src_desc()},
                                                     {DNNL_ARG_WEIGHTS, weights},
                                                     {DNNL_ARG_DST, desc.dst_desc()},
                                                     {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}};
      if (HasBias()) arguments.push_back({DNNL_ARG_BIAS, desc.bias_desc()});
      forward_.emplace_back(dnnl::convolution_forward(desc), arguments);
    }
    forward_scratch_ = RoundUp(scratch);
    forward_floats_ = RoundUp(Floats(weights));
    forward_weights_ = weights;
    forward_reorder_ = MakeReorder(PlainWeights(), weights);
  }

  void MakeBackwardData() {
    Desc weights = WeightDesc(Tag::any);
    int64_t scratch = 0;
    for (int64_t part = 0; part < parts_; ++part) {
      const int64_t samples = Samples(g_.batch, parts_, part);
      const dnnl::convolution_backward_data::primitive_desc desc(
          {dnnl::algorithm::convolution_direct, SrcDesc(samples), weights, DstDesc(samples),
           Pair(g_.stride), Dilates(), Pair(g_.padding), PaddingRight()},
          Attributes(), Engine(), ForwardDesc(samples, forward_weights_));
      weights = desc.weights_desc();
      scratch = std::max(scratch, Floats(desc.scratchpad_desc()));
      data_.emplace_back(dnnl::convolution_backward_data(desc),
                         std::vector<std::pair<int, Desc>>{
                             {DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
                             {DNNL_ARG_WEIGHTS, weights},
                             {DNNL_ARG_DIFF_SRC, desc.diff_src_desc()},
                             {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
    }
    data_scratch_ = RoundUp(scratch);
    if (weights == forward_weights_) return;
    backward_floats_ = RoundUp(Floats(weights));
    backward_reorder_ = MakeReorder(PlainWeights(), weights);
  }

  void MakeBackwardWeights() {
    Desc weights = WeightDesc(Tag::any);
    int64_t scratch = 0;
    for (int64_t part = 0; part < weight_parts_; ++part) {
      const int64_t samples = Samples(g_.batch, weight_parts_, part);
      const dnnl::convolution_backward_weights::primitive_desc desc(
          {dnnl::algorithm::convolution_direct, SrcDesc(samples), weights, BiasDesc(),
           DstDesc(samples), Pair(g_.stride), Dilates(), Pair(g_.padding), PaddingRight()},
          Attributes(), Engine(), ForwardDesc(samples, forward_weights_));
      weights = desc.diff_weights_desc();
      scratch = std::max(scratch, Floats(desc.scratchpad_desc()));
      std::vector<std::pair<int, Desc>> arguments = {{DNNL_ARG_SRC, desc.src_desc()},
                                                     {DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
                                                     {DNNL_ARG_DIFF_WEIGHTS, weights},
                                                     {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}};
      if (g_.bias >= 0) arguments.push_back({DNNL_ARG_DIFF_BIAS, desc.diff_bias_desc()});
      weights_.emplace_back(dnnl::convolution_backward_weights(desc), arguments);
    }
    weights_scratch_ = RoundUp(scratch);
    diff_weight_floats_ = RoundUp(Floats(weights));
    diff_weights_ = MakeReorder(weights, PlainWeights());
  }

  static std::unique_ptr<Call> MakeReorder(const Desc& from, const Desc& to) {
    const dnnl::reorder::primitive_desc desc(Engine(), from, Engine(), to);
    return std::make_unique<Call>(
        dnnl::reorder(desc),
        std::vector<std::pair<int, Desc>>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }

  absl::Status BackwardWeights(const BackwardArgs<float>& args) {
    float* diff_weight = args.diff_tensors[g_.weight];
    float* diff_bias = g_.bias < 0 ? nullptr : args.diff_tensors[g_.bias];
    if (diff_weight == nullptr && diff_bias == nullptr) return absl::OkStatus();
    if (weights_.empty()) {
      if (diff_weight != nullptr) std::fill_n(diff_weight, g_.weight_elements(), 0.0f);
      if (diff_bias != nullptr) std::fill_n(diff_bias, g_.out_channels, 0.0f);
      return absl::OkStatus();
    }
    const int64_t sums_size = RoundUp(diff_weight_floats_ + g_.out_channels);
    float* const sums = args.scratch + weight_parts_ * weights_scratch_;
    MASE_RETURN_IF_ERROR(
        RunParts(g_.batch, weight_parts_, [&](int64_t part, int64_t begin, int64_t) {
          float* own = sums + part * sums_size;
          weights_[part].Run({args.srcs[0] + begin * src_row_, args.diff_dst + begin * dst_row_,
                              own, args.scratch + part * weights_scratch_,
                              own + diff_weight_floats_});
        }));
    ParallelFor(weight_parts_ > 1 ? sums_size : 0, kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t part = 1; part < weight_parts_; ++part) {
        const float* own = sums + part * sums_size;
        for (int64_t i = begin; i < end; ++i) sums[i] += own[i];
      }
    });
    if (diff_bias != nullptr) {
      std::copy_n(sums + diff_weight_floats_, g_.out_channels, diff_bias);
    }
    if (diff_weight == nullptr) return absl::OkStatus();
    try {
      diff_weights_->Run({sums, diff_weight});
    } catch (const dnnl::error& error) {
      return FromOneDnn(error);
    }
    return absl::OkStatus();
  }

  // The batch norm behind it; positions of its tensors.
  struct Norm {
    explicit Norm(const KernelSpec& spec) : present(spec.op == "conv_batch_norm") {
      if (!present) return;
      eps = spec.attributes->Float("eps");
      relu = spec.attributes->Bool("relu");
      weight = spec.TensorIndex("norm.weight");
      bias = spec.TensorIndex("norm.bias");
      mean = spec.TensorIndex("norm.running_mean");
      variance = spec.TensorIndex("norm.running_var");
    }
    bool present, relu = false;
    double eps = 0;
    int weight = -1, bias = -1, mean = -1, variance = -1;
  };

  const ConvGeometry g_;
  const Norm norm_;
  const bool training_;
  int64_t src_row_, dst_row_;  // Elements of a sample.
  bool src_blocked_ = false, dst_blocked_ = false;
  int64_t parts_ = 1, weight_parts_ = 1;
  std::vector<Call> forward_, data_, weights_;  // By part.
  Desc forward_weights_;
  std::unique_ptr<Call> forward_reorder_, backward_reorder_, diff_weights_;
  // Numbers of floats; scratch of one part.
  int64_t forward_floats_ = 0, backward_floats_ = 0, diff_weight_floats_ = 0;
  int64_t forward_scratch_ = 0, data_scratch_ = 0, weights_scratch_ = 0;
};

}  // namespace

KernelOr<float> MakeOneDnnConv(const KernelSpec& spec) {
  try {
    return std::make_unique<OneDnnConvKernel>(spec);
  } catch (const dnnl::error& error) {
    return FromOneDnn(error);
  }
}

}  // namespace mase
