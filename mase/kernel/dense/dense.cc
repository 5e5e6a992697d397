#include "mase/kernel/dense/dense.h"

#include <omp.h>

#include <algorithm>

#include "glog/logging.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/dense/dense_pass.h"
#include "mase/kernel/dense/dense_plan.h"

namespace mase {
namespace {

enum class Memory {
  kPerChunk,   // What a chunk writes is there for the next call.
  kPerThread,  // A thread's chunks share memory, which stays in the cache.
};

enum class Order { kForward, kBackward };

// The opposite of the last segment's order finds its last chunks still in the cache.
Order OrderOf(int segment) { return segment % 2 == 0 ? Order::kForward : Order::kBackward; }

// Calls body(chunk) for all chunks, on OpenMP's threads if there are more than one. A thread works
// on the same chunks each time, in `order`.
template <typename Body>
void ForEachChunk(const DenseChunks& chunks, Memory memory, Order order, const Body& body) {
  if (chunks.count == 1) return body(DensePass::Chunk{0, 0, 0});
  const int wanted = static_cast<int>(std::min<int64_t>(omp_get_max_threads(), chunks.count));
#pragma omp parallel num_threads(wanted)
  {
    const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    const int64_t begin = chunks.count * thread / threads;
    const int64_t end = chunks.count * (thread + 1) / threads;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = order == Order::kForward ? i : begin + end - 1 - i;
      body(DensePass::Chunk{c, memory == Memory::kPerChunk ? c : thread, thread});
    }
  }
}

void CheckRows(const DenseNet::Plan& plan, int64_t rows) {
  CHECK_GE(rows, plan.norms().empty() ? 1 : 2) << "rows of a training step";
}

// All segments but the last one of the forward pass.
void ForwardToLastSegment(DensePass& pass, const DenseRows& input) {
  pass.RoundWeights();
  for (int segment = 0; segment + 1 < pass.segments(); ++segment) {
    ForEachChunk(pass.chunks(), Memory::kPerChunk, OrderOf(segment), [&](DensePass::Chunk chunk) {
      if (segment == 0) pass.LoadInput(chunk, input);
      pass.ForwardSegment(chunk, segment);
    });
    pass.CombineMoments(segment);
  }
}

void FinishForward(DensePass& pass, const DenseRows& input, DensePass::Chunk chunk) {
  if (pass.segments() == 1) pass.LoadInput(chunk, input);
  pass.ForwardSegment(chunk, pass.segments() - 1);
}

// All segments but the last one of the backward pass, which is the first of the forward pass's.
void BackwardFromLastSegment(DensePass& pass, float* diff_input) {
  for (int segment = pass.segments() - 2; segment >= 0; --segment) {
    pass.CombineNormGradients(segment);
    ForEachChunk(pass.chunks(), Memory::kPerChunk, OrderOf(segment), [&](DensePass::Chunk chunk) {
      pass.BackwardSegment(chunk, segment, diff_input != nullptr);
      if (segment == 0 && diff_input != nullptr) pass.StoreDiffInput(chunk, diff_input);
    });
  }
  pass.CombineGradients();
}

}  // namespace

absl::StatusOr<DenseNet> DenseNet::Create(absl::Span<const DenseLayer> layers,
                                          const DenseOptions& options) {
  DenseNet net;
  MASE_ASSIGN_OR_RETURN(net.plan_, Plan::Create(layers, options));
  return net;
}

int64_t DenseNet::in() const { return plan_->in(); }
int64_t DenseNet::out() const { return plan_->out(); }

int64_t DenseNet::WorkspaceFloats(int64_t rows) const {
  return DensePass::WorkspaceFloats(*plan_, rows);
}

void DenseNet::Forward(const DenseRows& input, const DenseTensors& tensors, float* output) const {
  CheckRows(*plan_, input.rows);
  DensePass pass(*plan_, tensors, input.rows);
  ForwardToLastSegment(pass, input);
  const Order order = OrderOf(pass.segments() - 1);
  ForEachChunk(pass.chunks(), Memory::kPerChunk, order, [&](DensePass::Chunk chunk) {
    FinishForward(pass, input, chunk);
    pass.StoreOutput(chunk, output);
  });
}

void DenseNet::Backward(int64_t rows, const float* diff_output, const DenseTensors& tensors,
                        float* diff_input) const {
  CheckRows(*plan_, rows);
  DensePass pass(*plan_, tensors, rows);
  const int last = pass.segments() - 1;
  ForEachChunk(pass.chunks(), Memory::kPerChunk, OrderOf(last), [&](DensePass::Chunk chunk) {
    pass.LoadDiffOutput(chunk, diff_output);
    pass.BackwardSegment(chunk, last, diff_input != nullptr);
    if (last == 0 && diff_input != nullptr) pass.StoreDiffInput(chunk, diff_input);
  });
  BackwardFromLastSegment(pass, diff_input);
}

ClassificationLoss DenseNet::TrainStep(const DenseRows& input, const int64_t* labels,
                                       const DenseTensors& tensors) const {
  CheckRows(*plan_, input.rows);
  DensePass pass(*plan_, tensors, input.rows);
  ForwardToLastSegment(pass, input);
  ClassificationLoss losses[DenseChunks::kMaxCount];
  // Without a norm nothing outlives its chunk.
  const Memory memory = pass.segments() == 1 ? Memory::kPerThread : Memory::kPerChunk;
  const Order order = OrderOf(pass.segments() - 1);
  ForEachChunk(pass.chunks(), memory, order, [&](DensePass::Chunk chunk) {
    FinishForward(pass, input, chunk);
    losses[chunk.index] = pass.Loss(chunk, input, labels);
    pass.BackwardSegment(chunk, pass.segments() - 1, false);
  });
  BackwardFromLastSegment(pass, nullptr);
  ClassificationLoss total;
  for (int64_t c = 0; c < pass.chunks().count; ++c) {
    total.loss += losses[c].loss;
    total.correct += losses[c].correct;
  }
  total.loss /= static_cast<double>(input.rows);
  return total;
}

}  // namespace mase
