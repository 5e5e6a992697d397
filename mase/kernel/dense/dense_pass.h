// One call on a DenseNet: where its memory lies, and the steps of a chunk of rows.
//
// Training runs in segments. A segment takes a chunk from the input, or from the normalization by
// one batch norm, to the moments of the next, or to the output; chunks do not see each other in
// between. The moments of all chunks are then combined, in order. Gradients go back the same way.
#ifndef MASE_KERNEL_DENSE_DENSE_PASS_H_
#define MASE_KERNEL_DENSE_DENSE_PASS_H_

#include <cstdint>

#include "mase/kernel/dense/dense_plan.h"
#include "mase/kernel/dense/kernels.h"

namespace mase {

// The first multiple of 64 bytes at or after p.
float* AlignToCacheLine(float* p);

class DensePass {
 public:
  DensePass(const DenseNet::Plan& plan, const DenseTensors& tensors, int64_t rows);

  static int64_t WorkspaceFloats(const DenseNet::Plan& plan, int64_t rows);

  const DenseChunks& chunks() const { return chunks_; }

  // A chunk, whose memory it uses, and the number of the thread that works on it.
  struct Chunk {
    int64_t index;
    int64_t slot;
    int64_t thread;
  };

  // With bfloat16: once, before the first segment.
  void RoundWeights();

  int segments() const { return static_cast<int>(plan_.norms().size()) + 1; }
  void LoadInput(Chunk chunk, const DenseRows& input);
  void ForwardSegment(Chunk chunk, int segment);
  void CombineMoments(int norm);  // After segment `norm`, before the next.
  void StoreOutput(Chunk chunk, float* output);

  void LoadDiffOutput(Chunk chunk, const float* diff_output);
  ClassificationLoss Loss(Chunk chunk, const DenseRows& input, const int64_t* labels);

  void BackwardSegment(Chunk chunk, int segment, bool to_input);
  void CombineNormGradients(int norm);  // After segment norm + 1, before segment norm.
  void StoreDiffInput(Chunk chunk, float* diff_input);
  void CombineGradients();  // At last.

 private:
  void ForwardHead(Chunk chunk, int s);
  void ForwardTail(Chunk chunk, int s);
  void Normalize(Chunk chunk, const DenseStage& stage);
  // The factors of a stage's dropout; zero in the padding.
  void DrawFactors(Chunk chunk, const DenseStage& stage, float* factor) const;
  void BackwardTail(Chunk chunk, const DenseStage& stage);
  void BackwardHead(Chunk chunk, int s, bool to_src);

  float* Matrix(Chunk chunk, int64_t features_before) const {
    return matrices_ + (chunk.slot * plan_.chunk_features() + features_before) * chunks_.ld;
  }
  // A stage's result. What is cheap to make is made again for the backward pass where keeping it
  // would push more out of the cache; a thread's chunks then share the memory.
  float* Result(Chunk chunk, const DenseStage& stage) const {
    if (remakes_ && stage.cheap) chunk.slot = chunk.thread;
    return Matrix(chunk, stage.dst);
  }
  float* Source(Chunk chunk, int s) const {
    return s == 0 ? Matrix(chunk, plan_.stages().front().src)
                  : Result(chunk, plan_.stages()[s - 1]);
  }
  const float* Weight(const DenseStage& stage) const {
    return plan_.bfloat16() ? rounded_weights_ + stage.weight_gradient
                            : Tensor(plan_.layer(stage.linear).weight);
  }
  // Makes operands of a linear layer of them, if they are to be bfloat16.
  void Round(int64_t features, float* matrix) const {
    if (plan_.bfloat16()) kernels_.round_to_bfloat16(features * chunks_.ld, matrix, matrix);
  }
  DenseShape ShapeOf(Chunk chunk, int64_t features) const {
    return {features, chunks_.size(chunk.index), chunks_.ld};
  }
  int64_t Groups(Chunk chunk) const { return (chunks_.size(chunk.index) + 15) / 16; }
  // The two sums of a chunk that a norm needs, forward or backward.
  float* PartialSums(int64_t chunk, const DenseStage& stage) const {
    return partial_sums_ + 2 * (chunk * plan_.statistics() + stage.statistics);
  }
  float* Tensor(int tensor) const { return static_cast<float*>(tensors_.tensors[tensor]); }
  // Null if the layer has no such tensor, or nobody wants its gradient.
  float* Gradient(int tensor) const {
    return tensor < 0 ? nullptr : static_cast<float*>(tensors_.gradients[tensor]);
  }
  // One chunk's gradients go straight to where they belong.
  float* PartialGradient(Chunk chunk, int64_t partial_offset, int tensor) const {
    return chunks_.count == 1
               ? Gradient(tensor)
               : partial_gradients_ + chunk.index * plan_.partial_gradients() + partial_offset;
  }
  void CombineGradient(int64_t partial_offset, int tensor, int64_t size);

  const DenseNet::Plan& plan_;
  const DenseTensors tensors_;
  const DenseKernels& kernels_;
  const DenseChunks chunks_;
  const bool remakes_;

  // The workspace.
  float* mean_;  // Per feature of all norms: (x - mean) * scale + shift normalizes,
  float* scale_;
  float* shift_;
  float* offset_;  // (diff - offset - (x - mean) * slope) * scale is the gradient.
  float* slope_;
  float* partial_sums_;
  float* partial_gradients_;
  float* rounded_weights_;
  int32_t* labels_;
  float* matrices_;
};

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_DENSE_PASS_H_
