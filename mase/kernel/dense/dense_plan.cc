#include "mase/kernel/dense/dense_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr int64_t kGroup = 16;

int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

absl::Status CheckLayer(const DenseLayer& layer) {
  using Kind = DenseLayer::Kind;
  if (layer.in <= 0 || layer.out <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("features [", layer.in, " -> ", layer.out, "], want positive numbers"));
  }
  if (layer.kind != Kind::kLinear && layer.in != layer.out) {
    return absl::InvalidArgumentError(
        absl::StrCat("features [", layer.in, " -> ", layer.out, "] of a layer that keeps them"));
  }
  if (layer.kind == Kind::kLinear && layer.weight < 0) {
    return absl::InvalidArgumentError("a linear layer without a weight");
  }
  if (layer.kind == Kind::kBatchNorm && (layer.running_mean < 0 || layer.running_var < 0)) {
    return absl::InvalidArgumentError("a batch norm without running statistics");
  }
  return absl::OkStatus();
}

}  // namespace

DenseChunks::DenseChunks(int64_t rows) : rows(rows) {
  count = std::clamp<int64_t>((rows + kRows - 1) / kRows, 1, kMaxCount);
  chunk_rows = RoundUp(std::max<int64_t>(1, (rows + count - 1) / count), kGroup);
  count = std::max<int64_t>(1, (rows + chunk_rows - 1) / chunk_rows);
  ld = chunk_rows / kGroup % 2 == 1 ? chunk_rows : chunk_rows + kGroup;
}

int64_t DenseChunks::size(int64_t chunk) const { return std::min(chunk_rows, rows - first(chunk)); }

int64_t DenseChunks::MaxPaddedRows() const {
  // Fewer rows can make fewer but longer chunks.
  return count == 1 ? ld : count * (std::max(kRows, chunk_rows) + kGroup);
}

absl::StatusOr<std::shared_ptr<const DenseNet::Plan>> DenseNet::Plan::Create(
    absl::Span<const DenseLayer> layers, const DenseOptions& options) {
  auto plan = std::make_shared<Plan>();
  plan->options_ = options;
  plan->layers_.assign(layers.begin(), layers.end());
  MASE_RETURN_IF_ERROR(plan->Check());
  plan->MakeStages();
  plan->PlaceMatrices();
  return plan;
}

absl::Status DenseNet::Plan::Check() const {
  if (layers_.empty()) return absl::InvalidArgumentError("dense chain: no layers");
  for (size_t i = 0; i < layers_.size(); ++i) {
    absl::Status status = CheckLayer(layers_[i]);
    if (status.ok() && i > 0 && layers_[i].in != layers_[i - 1].out) {
      status = absl::InvalidArgumentError(
          absl::StrCat(layers_[i].in, " features in, but ", layers_[i - 1].out, " come"));
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("dense chain: layer ", i, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

void DenseNet::Plan::MakeStages() {
  int last_rank = 3;  // Of the kinds in a stage's order; a lower or equal one opens a new stage.
  for (size_t i = 0; i < layers_.size(); ++i) {
    const DenseLayer& layer = layers_[i];
    const int rank = static_cast<int>(layer.kind);
    if (rank <= last_rank) {
      stages_.push_back({.in = layer.in});
    }
    last_rank = rank;
    DenseStage& stage = stages_.back();
    stage.out = layer.out;
    switch (layer.kind) {
      case DenseLayer::Kind::kLinear:
        stage.linear = static_cast<int>(i);
        break;
      case DenseLayer::Kind::kBatchNorm:
        stage.norm = static_cast<int>(i);
        norms_.push_back(static_cast<int>(stages_.size()) - 1);
        break;
      case DenseLayer::Kind::kRelu:
        stage.relu = true;
        break;
      case DenseLayer::Kind::kDropout:
        stage.dropout = static_cast<int>(i);
        break;
    }
  }
}

void DenseNet::Plan::PlaceMatrices() {
  max_features_ = in();
  for (const DenseStage& stage : stages_) max_features_ = std::max(max_features_, stage.out);
  const auto place = [&](int64_t features) {
    chunk_features_ += features;
    return chunk_features_ - features;
  };
  // Two matrices for gradients, which linear layers read from and write to in turn.
  const int64_t diff[2] = {place(max_features_), place(max_features_)};
  int64_t dst = place(in());
  int turn = 0;
  for (size_t s = 0; s < stages_.size(); ++s) {
    DenseStage& stage = stages_[s];
    stage.src = dst;
    stage.norm_src = stage.linear >= 0 && stage.norm >= 0 ? place(stage.out) : stage.src;
    stage.dst = dst = place(stage.out);
    if (stage.dropout >= 0) stage.factor = place(stage.out);
    stage.diff_src = diff[turn];
    if (stage.linear >= 0) turn = 1 - turn;
    stage.diff_dst = diff[turn];
    stage.masked = s + 1 < stages_.size() && stages_[s + 1].linear >= 0;
    stage.cheap = stage.masked && stage.norm >= 0 && stage.dropout < 0;
    if (stage.linear >= 0) {
      stage.weight_gradient = partial_gradients_;
      stage.bias_gradient = stage.weight_gradient + stage.in * stage.out;
      partial_gradients_ = stage.bias_gradient + stage.out;
    }
    if (stage.norm >= 0) {
      stage.statistics = statistics_;
      statistics_ += stage.out;
    }
  }
}

}  // namespace mase
