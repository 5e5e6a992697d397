#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/graph/ops.h"
#include "mase/kernel/dense/dense.h"
#include "mase/kernel/dense_chain.h"
#include "mase/kernel/dense_kernels.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/loss.h"

namespace mase {
namespace {

DenseLayer::Kind KindOf(absl::string_view op) {
  if (op == ops::kLinear) return DenseLayer::Kind::kLinear;
  if (op == ops::kBatchNorm1d) return DenseLayer::Kind::kBatchNorm;
  return op == ops::kRelu ? DenseLayer::Kind::kRelu : DenseLayer::Kind::kDropout;
}

// `op` has the layer's tensors by name: the spec, or one of its fused ops.
template <typename Op>
DenseLayer LayerOf(absl::string_view name, const Attributes& attributes, int64_t in, const Op& op) {
  DenseLayer layer = {.kind = KindOf(name),
                      .in = in,
                      .out = name == ops::kLinear ? attributes.Int("out_features") : in,
                      .weight = op.TensorIndex("weight"),
                      .bias = op.TensorIndex("bias"),
                      .running_mean = op.TensorIndex("running_mean"),
                      .running_var = op.TensorIndex("running_var"),
                      .stream = op.stream};
  if (layer.kind == DenseLayer::Kind::kBatchNorm) {
    layer.epsilon = attributes.Float("eps");
    layer.momentum = attributes.Float("momentum");
  }
  if (layer.kind == DenseLayer::Kind::kDropout) layer.p = attributes.Float("p");
  return layer;
}

// Inputs: the rows; with the loss also the labels, and perhaps which rows of both are meant.
class DenseTrainingKernel final : public Kernel {
 public:
  DenseTrainingKernel(DenseNet net, std::vector<int> counters, const KernelSpec& spec)
      : net_(std::move(net)),
        counters_(std::move(counters)),
        rows_(spec.srcs[0].shape[0]),
        with_loss_(spec.kernel == kDenseChainLoss),
        picks_(spec.srcs.size() > 2) {
    best_isa_ = true;
    has_backward_ = true;
    reads_src_ = with_loss_;
    turns_ = with_loss_;
    workspace_bytes_ = net_.WorkspaceFloats(rows_) * static_cast<int64_t>(sizeof(float));
  }

  absl::Status Forward(const KernelArgs& args) override {
    if (with_loss_) return absl::OkStatus();
    CountBatch(args);
    net_.Forward({.data = args.Src<float>(0), .rows = rows_}, Tensors(args, nullptr),
                 args.Dst<float>());
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs& args) override {
    const DenseTensors tensors = Tensors(args, args.diff_tensors);
    if (!with_loss_) {
      net_.Backward(rows_, args.DiffDst<float>(), tensors, args.DiffSrc<float>(0));
      return absl::OkStatus();
    }
    CountBatch(args);
    const ClassificationLoss loss =
        net_.TrainStep({.data = args.Src<float>(0),
                        .index = picks_ ? args.Src<int64_t>(2) : nullptr,
                        .rows = rows_},
                       args.Src<int64_t>(1), tensors);
    args.Dst<double>()[0] = loss.loss;
    args.Dst<double>()[1] = static_cast<double>(loss.correct);
    return absl::OkStatus();
  }

 private:
  DenseTensors Tensors(const KernelArgs& args, void* const* gradients) const {
    return {.tensors = args.tensors,
            .gradients = gradients,
            .workspace = args.Workspace<float>(),
            .seed = args.seed};
  }

  void CountBatch(const KernelArgs& args) const {
    for (const int counter : counters_) *args.Tensor<float>(counter) += 1;
  }

  const DenseNet net_;
  const std::vector<int> counters_;  // The tensors num_batches_tracked.
  const int64_t rows_;
  const bool with_loss_, picks_;
};

// "dense_chain" in training, or "dense_chain_loss".
KernelOr MakeDenseTraining(const KernelSpec& spec) {
  std::vector<DenseLayer> layers;
  std::vector<int> counters;
  int64_t features = spec.srcs[0].shape[1];
  const auto add = [&](absl::string_view name, const Attributes& attributes, const auto& op) {
    layers.push_back(LayerOf(name, attributes, features, op));
    features = layers.back().out;
    if (const int counter = op.TensorIndex("num_batches_tracked"); counter >= 0) {
      counters.push_back(counter);
    }
    return layers.back().kind == DenseLayer::Kind::kBatchNorm;
  };
  bool has_norm = add(spec.op, *spec.attributes, spec);
  for (const FusedOp& fused : spec.fused) {
    if (fused.op == kSoftmaxCrossEntropy.op) break;
    has_norm |= add(fused.op, fused.attributes, fused);
  }
  if (has_norm && spec.srcs[0].shape[0] == 1) return OneValuePerChannel(spec.srcs[0].shape);
  MASE_ASSIGN_OR_RETURN(DenseNet net, DenseNet::Create(layers, {.bfloat16 = spec.bfloat16}));
  return std::make_unique<DenseTrainingKernel>(std::move(net), std::move(counters), spec);
}

}  // namespace

std::vector<KernelEntry> DenseChainTrainingKernels() {
  const auto make_chain = [](const KernelSpec& spec) {
    return spec.training ? MakeDenseTraining(spec) : MakeDenseInference(spec);
  };
  return {{kDenseChain, DType::kFloat32, make_chain},
          {kDenseChainLoss, DType::kFloat64, MakeDenseTraining}};
}

}  // namespace mase
