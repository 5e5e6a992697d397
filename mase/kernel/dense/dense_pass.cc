#include "mase/kernel/dense/dense_pass.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "mase/base/mix64.h"
#include "mase/kernel/dropout.h"

namespace mase {
namespace {

// From this many chunks on, a step's matrices do not fit into an L2 cache of 2 MB.
constexpr int64_t kChunksToRemake = 4;

constexpr int64_t kCacheLineFloats = 16;

int64_t Aligned(int64_t floats) {
  return (floats + kCacheLineFloats - 1) / kCacheLineFloats * kCacheLineFloats;
}

}  // namespace

float* AlignToCacheLine(float* p) {
  const uintptr_t behind = reinterpret_cast<uintptr_t>(p) % 64;  // Bytes, of whole floats.
  return p + (64 - behind) % 64 / sizeof(float);
}

DensePass::DensePass(const DenseNet::Plan& plan, const DenseTensors& tensors, int64_t rows)
    : plan_(plan),
      tensors_(tensors),
      kernels_(CurrentDenseKernels()),
      chunks_(rows),
      remakes_(chunks_.count >= kChunksToRemake) {
  float* next = AlignToCacheLine(tensors.workspace);
  const auto take = [&](int64_t floats) {
    float* taken = next;
    next += Aligned(floats);
    return taken;
  };
  mean_ = take(plan.statistics());
  scale_ = take(plan.statistics());
  shift_ = take(plan.statistics());
  offset_ = take(plan.statistics());
  slope_ = take(plan.statistics());
  partial_sums_ = take(2 * chunks_.count * plan.statistics());
  partial_gradients_ = take(chunks_.count * plan.partial_gradients());
  rounded_weights_ = take(plan.rounded_weights());
  labels_ = reinterpret_cast<int32_t*>(take(chunks_.count * chunks_.ld));
  matrices_ = take(chunks_.count * chunks_.ld * plan.chunk_features());
}

int64_t DensePass::WorkspaceFloats(const DenseNet::Plan& plan, int64_t rows) {
  const DenseChunks chunks(rows);
  const int64_t padded_rows = chunks.MaxPaddedRows();
  return kCacheLineFloats + 5 * Aligned(plan.statistics()) +
         Aligned(2 * chunks.count * plan.statistics()) +
         Aligned(chunks.count * plan.partial_gradients()) + Aligned(plan.rounded_weights()) +
         padded_rows + padded_rows * plan.chunk_features();
}

void DensePass::RoundWeights() {
  for (const DenseStage& stage : plan_.stages()) {
    if (!plan_.bfloat16() || stage.linear < 0) continue;
    kernels_.round_to_bfloat16(stage.in * stage.out, Tensor(plan_.layer(stage.linear).weight),
                               rounded_weights_ + stage.weight_gradient);
  }
}

void DensePass::LoadInput(Chunk chunk, const DenseRows& input) {
  const int64_t first = chunks_.first(chunk.index);
  const bool picked = input.index != nullptr;
  kernels_.load_by_feature(
      ShapeOf(chunk, plan_.in()), picked ? input.data : input.data + first * plan_.in(),
      picked ? input.index + first : nullptr, Matrix(chunk, plan_.stages().front().src));
}

void DensePass::ForwardSegment(Chunk chunk, int segment) {
  const auto& stages = plan_.stages();
  const auto& norms = plan_.norms();
  int s = 0;
  if (segment > 0) {
    s = norms[segment - 1];
    ForwardTail(chunk, s++);
  }
  const bool last = segment == static_cast<int>(norms.size());
  const int end = last ? static_cast<int>(stages.size()) : norms[segment];
  for (; s < end; ++s) {
    ForwardHead(chunk, s);
    ForwardTail(chunk, s);
  }
  if (!last) ForwardHead(chunk, end);
}

// The linear layer, and the moments of its results.
void DensePass::ForwardHead(Chunk chunk, int s) {
  const DenseStage& stage = plan_.stages()[s];
  if (stage.linear >= 0) {
    Round(stage.in, Source(chunk, s));
    const DenseLayer& layer = plan_.layer(stage.linear);
    DenseProduct product;
    product.a = Weight(stage);
    product.a_stride = stage.in;
    product.a_depth_stride = 1;
    product.features = stage.out;
    product.depth = stage.in;
    product.groups = Groups(chunk);
    product.ld = chunks_.ld;
    product.b = Source(chunk, s);
    product.c = stage.norm >= 0 ? Matrix(chunk, stage.norm_src) : Result(chunk, stage);
    product.bias = layer.bias >= 0 ? Tensor(layer.bias) : nullptr;
    product.relu = stage.relu && stage.norm < 0;
    kernels_.product(product);
  }
  if (stage.norm >= 0) {
    float* sums = PartialSums(chunk.index, stage);
    kernels_.moments(ShapeOf(chunk, stage.out), Matrix(chunk, stage.norm_src), sums,
                     sums + stage.out);
  }
}

void DensePass::CombineMoments(int norm) {
  const DenseStage& stage = plan_.stages()[plan_.norms()[norm]];
  const DenseLayer& layer = plan_.layer(stage.norm);
  const double n = static_cast<double>(chunks_.rows);
  for (int64_t f = 0; f < stage.out; ++f) {
    double sum = 0;
    for (int64_t c = 0; c < chunks_.count; ++c) {
      sum += static_cast<double>(PartialSums(c, stage)[f]);
    }
    const double mean = sum / n;
    double squares = 0;  // Of the distances from the mean, moved there from the chunks' means.
    for (int64_t c = 0; c < chunks_.count; ++c) {
      const float* partial = PartialSums(c, stage);
      const double size = static_cast<double>(chunks_.size(c));
      const double shift = static_cast<double>(partial[f]) / size - mean;
      squares += static_cast<double>(partial[stage.out + f]) + size * shift * shift;
    }
    const int64_t i = stage.statistics + f;
    const double gamma = layer.weight >= 0 ? Tensor(layer.weight)[f] : 1.0;
    mean_[i] = static_cast<float>(mean);
    scale_[i] = static_cast<float>(gamma / std::sqrt(squares / n + layer.epsilon));
    shift_[i] = layer.bias >= 0 ? Tensor(layer.bias)[f] : 0.0f;
    // Kept for the gradient: it wants 1 / sqrt(var + epsilon) even where gamma is 0.
    slope_[i] = static_cast<float>(1 / std::sqrt(squares / n + layer.epsilon));
    const auto move = [&](float& running, double batch) {
      running = static_cast<float>(layer.momentum * batch +
                                   (1 - layer.momentum) * static_cast<double>(running));
    };
    move(Tensor(layer.running_mean)[f], mean);
    move(Tensor(layer.running_var)[f], squares / (n - 1));
  }
}

// What follows the moments.
void DensePass::ForwardTail(Chunk chunk, int s) {
  const DenseStage& stage = plan_.stages()[s];
  const DenseShape shape = ShapeOf(chunk, stage.out);
  float* dst = Result(chunk, stage);
  const float* ready = dst;  // Where the stage's result is before dropout.
  if (stage.norm >= 0) {
    Normalize(chunk, stage);
  } else if (stage.linear < 0 && stage.relu) {
    kernels_.relu(shape, Source(chunk, s), dst);
  } else if (stage.linear < 0) {
    ready = Source(chunk, s);
  }
  if (stage.dropout >= 0) {
    float* factor = Matrix(chunk, stage.factor);
    DrawFactors(chunk, stage, factor);
    kernels_.multiply(shape, ready, factor, dst);
  }
}

void DensePass::DrawFactors(Chunk chunk, const DenseStage& stage, float* factor) const {
  const DenseLayer& layer = plan_.layer(stage.dropout);
  const DropoutFactors<float> factors(layer.p, StreamSeed(tensors_.seed, layer.stream));
  const int64_t first = chunks_.first(chunk.index), rows = chunks_.size(chunk.index);
  for (int64_t f = 0; f < stage.out; ++f) {
    float* row = factor + f * chunks_.ld;
    for (int64_t r = 0; r < rows; ++r) row[r] = factors[(first + r) * stage.out + f];
    std::fill(row + rows, row + 16 * Groups(chunk), 0.0f);
  }
}

void DensePass::Normalize(Chunk chunk, const DenseStage& stage) {
  const int64_t i = stage.statistics;
  kernels_.normalize(ShapeOf(chunk, stage.out), Matrix(chunk, stage.norm_src), mean_ + i,
                     scale_ + i, shift_ + i, stage.relu, Result(chunk, stage));
}

void DensePass::StoreOutput(Chunk chunk, float* output) {
  kernels_.store_by_row(ShapeOf(chunk, plan_.out()), Matrix(chunk, plan_.stages().back().dst),
                        output + chunks_.first(chunk.index) * plan_.out());
}

void DensePass::LoadDiffOutput(Chunk chunk, const float* diff_output) {
  kernels_.load_by_feature(ShapeOf(chunk, plan_.out()),
                           diff_output + chunks_.first(chunk.index) * plan_.out(), nullptr,
                           Matrix(chunk, plan_.stages().back().diff_dst));
}

ClassificationLoss DensePass::Loss(Chunk chunk, const DenseRows& input, const int64_t* labels) {
  const int64_t first = chunks_.first(chunk.index), rows = chunks_.size(chunk.index);
  int32_t* picked = labels_ + chunk.slot * chunks_.ld;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row = input.index == nullptr ? first + r : input.index[first + r];
    picked[r] = static_cast<int32_t>(labels[row]);
  }
  const DenseStage& stage = plan_.stages().back();
  return kernels_.softmax_cross_entropy(Matrix(chunk, stage.dst), picked, rows, stage.out,
                                        chunks_.ld, 1.0f / static_cast<float>(chunks_.rows),
                                        Matrix(chunk, stage.diff_dst));
}

void DensePass::BackwardSegment(Chunk chunk, int segment, bool to_input) {
  const auto& stages = plan_.stages();
  const auto& norms = plan_.norms();
  const int first = segment == 0 ? -1 : norms[segment - 1];
  int s = static_cast<int>(stages.size()) - 1;
  if (segment < static_cast<int>(norms.size())) {
    s = norms[segment];
    BackwardHead(chunk, s, s > 0 || to_input);
    --s;
  }
  for (; s > first; --s) {
    BackwardTail(chunk, stages[s]);
    BackwardHead(chunk, s, s > 0 || to_input);
  }
  if (first >= 0) BackwardTail(chunk, stages[first]);
}

// Dropout and ReLU, and the sums that the norm needs.
void DensePass::BackwardTail(Chunk chunk, const DenseStage& stage) {
  const DenseShape shape = ShapeOf(chunk, stage.out);
  float* diff = Matrix(chunk, stage.diff_dst);
  if (stage.dropout >= 0) kernels_.multiply(shape, diff, Matrix(chunk, stage.factor), diff);
  // Where dropout zeroed the result, the gradient is zero already.
  if (stage.relu && !stage.masked) {
    kernels_.relu_gradient(shape, Result(chunk, stage), diff);
  }
  if (stage.norm >= 0) {
    float* sums = PartialSums(chunk.index, stage);
    kernels_.norm_gradient_sums(shape, diff, Matrix(chunk, stage.norm_src),
                                mean_ + stage.statistics, sums, sums + stage.out);
  }
}

void DensePass::CombineNormGradients(int norm) {
  const DenseStage& stage = plan_.stages()[plan_.norms()[norm]];
  const DenseLayer& layer = plan_.layer(stage.norm);
  const double n = static_cast<double>(chunks_.rows);
  for (int64_t f = 0; f < stage.out; ++f) {
    double diff_sum = 0, product_sum = 0;
    for (int64_t c = 0; c < chunks_.count; ++c) {
      const float* partial = PartialSums(c, stage);
      diff_sum += static_cast<double>(partial[f]);
      product_sum += static_cast<double>(partial[stage.out + f]);
    }
    const int64_t i = stage.statistics + f;
    const double inverse = static_cast<double>(slope_[i]);
    if (float* gradient = Gradient(layer.weight)) {
      gradient[f] = static_cast<float>(product_sum * inverse);
    }
    if (float* gradient = Gradient(layer.bias)) gradient[f] = static_cast<float>(diff_sum);
    offset_[i] = static_cast<float>(diff_sum / n);
    slope_[i] = static_cast<float>(product_sum * inverse * inverse / n);
  }
}

// The norm's own gradient, then the linear layer's.
void DensePass::BackwardHead(Chunk chunk, int s, bool to_src) {
  const DenseStage& stage = plan_.stages()[s];
  float* diff = Matrix(chunk, stage.diff_dst);
  if (stage.norm >= 0) {
    const int64_t i = stage.statistics;
    kernels_.norm_gradient(ShapeOf(chunk, stage.out), Matrix(chunk, stage.norm_src), mean_ + i,
                           offset_ + i, slope_ + i, scale_ + i, diff);
  }
  if (stage.linear < 0) return;
  if (remakes_ && s > 0 && plan_.stages()[s - 1].cheap) {
    Normalize(chunk, plan_.stages()[s - 1]);
    Round(stage.in, Source(chunk, s));
  }
  Round(stage.out, diff);
  const DenseLayer& layer = plan_.layer(stage.linear);
  DenseWeightGradient gradient;
  gradient.diff = diff;
  gradient.src = Source(chunk, s);
  gradient.ld = chunks_.ld;
  gradient.groups = Groups(chunk);
  gradient.out = stage.out;
  gradient.in = stage.in;
  gradient.weight = PartialGradient(chunk, stage.weight_gradient, layer.weight);
  if (Gradient(layer.bias) != nullptr) {
    gradient.bias = PartialGradient(chunk, stage.bias_gradient, layer.bias);
  }
  kernels_.weight_gradient(gradient);
  if (!to_src) return;
  DenseProduct product;
  product.a = Weight(stage);
  product.a_stride = 1;
  product.a_depth_stride = stage.in;
  product.features = stage.in;
  product.depth = stage.out;
  product.groups = Groups(chunk);
  product.ld = chunks_.ld;
  product.b = diff;
  product.c = Matrix(chunk, stage.diff_src);
  if (s > 0 && plan_.stages()[s - 1].relu) product.mask = Source(chunk, s);
  kernels_.product(product);
}

void DensePass::StoreDiffInput(Chunk chunk, float* diff_input) {
  kernels_.store_by_row(ShapeOf(chunk, plan_.in()), Matrix(chunk, plan_.stages().front().diff_src),
                        diff_input + chunks_.first(chunk.index) * plan_.in());
}

void DensePass::CombineGradients() {
  for (const DenseStage& stage : plan_.stages()) {
    if (stage.linear < 0) continue;
    const DenseLayer& layer = plan_.layer(stage.linear);
    CombineGradient(stage.bias_gradient, layer.bias, stage.out);
    CombineGradient(stage.weight_gradient, layer.weight, stage.in * stage.out);
  }
}

void DensePass::CombineGradient(int64_t partial_offset, int tensor, int64_t size) {
  float* sum = Gradient(tensor);
  if (chunks_.count == 1 || sum == nullptr) return;
  const float* partial = partial_gradients_ + partial_offset;
  std::memcpy(sum, partial, sizeof(float) * static_cast<size_t>(size));
  for (int64_t c = 1; c < chunks_.count; ++c) {
    kernels_.accumulate(size, partial + c * plan_.partial_gradients(), sum);
  }
}

}  // namespace mase
