#include "mase/calibrate/operands.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/parallel.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/format/block_layout.h"
#include "mase/format/format.h"
#include "mase/format/metrics.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

// Blocks, of which a method takes microseconds to milliseconds, that are worth a task.
constexpr int64_t kBlockGrain = 8;

// The nodes whose values an activation is.
struct Sources {
  std::vector<std::string> nodes;
  bool started = false;  // Its observer knows how much will come.
};

absl::Status OfOperand(const absl::Status& status, const OperandValues& operand) {
  return Annotate(status, absl::StrCat(operand.node, " (", operand.op, "): ", operand.operand));
}

// The tensors of the node's module, or else the nodes whose results belong to a role.
void FindValues(const Graph& graph, const Node& node, absl::string_view role,
                std::vector<Tensor>* tensors, std::vector<std::string>* sources) {
  for (const Operand& operand : OperandsOf(node)) {
    if (operand.role != role) continue;
    switch (operand.source) {
      case Operand::Source::kInput:
        sources->push_back(node.inputs()[operand.index]->producer()->name());
        break;
      case Operand::Source::kResult:
        sources->push_back(node.name());
        break;
      case Operand::Source::kTensor: {
        const GraphTensor* tensor = graph.FindTensor(node.parameters()[operand.index].tensor);
        if (tensor == nullptr || tensor->value.dtype() != DType::kFloat32) break;
        tensors->push_back(tensor->value);
        break;
      }
    }
  }
  if (!tensors->empty()) sources->clear();
}

absl::Status ObserveTensors(OperandValues* operand) {
  int64_t count = 0;
  for (const Tensor& tensor : operand->tensors) count += tensor.elements();
  operand->observer = Observer(count);
  for (const Tensor& tensor : operand->tensors) {
    MASE_RETURN_IF_ERROR(OfOperand(operand->observer.Observe(tensor.data<float>()), *operand));
  }
  operand->observer.EndBatch();
  return absl::OkStatus();
}

void AppendOutputs(const Executor& executor, std::vector<float>* outputs) {
  for (int i = 0; i < executor.output_count(); ++i) {
    outputs->insert(outputs->end(), executor.output(i).begin(), executor.output(i).end());
  }
}

absl::Status ObserveBatch(const Executor& executor, int64_t batch_rows, int64_t rows,
                          double momentum, Sources& sources, OperandValues& operand) {
  std::vector<absl::Span<const float>> values;
  int64_t count = 0;
  for (const std::string& source : sources.nodes) {
    MASE_ASSIGN_OR_RETURN(values.emplace_back(), executor.NodeValue(source));
    count += static_cast<int64_t>(values.back().size());
  }
  if (!sources.started) operand.observer = Observer(count * rows / batch_rows, momentum);
  sources.started = true;
  for (const absl::Span<const float> span : values) {
    MASE_RETURN_IF_ERROR(OfOperand(operand.observer.Observe(span), operand));
  }
  operand.observer.EndBatch();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FloatRun> RunFloat(const Graph& graph, const SampleBatches& samples,
                                  double momentum) {
  FloatRun run;
  std::vector<Sources> sources;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (node->quantization() == nullptr) continue;
    for (const OperandFormat& entry : node->quantization()->operand()) {
      OperandValues operand = {.node = node->name(),
                               .op = std::string(node->op()),
                               .operand = entry.operand(),
                               .format = entry.format()};
      sources.emplace_back();
      FindValues(graph, *node, entry.operand(), &operand.tensors, &sources.back().nodes);
      MASE_RETURN_IF_ERROR(ObserveTensors(&operand));
      run.operands.push_back(std::move(operand));
    }
  }
  std::vector<std::string> taps;
  for (const Sources& source : sources) {
    taps.insert(taps.end(), source.nodes.begin(), source.nodes.end());
  }
  MASE_RETURN_IF_ERROR(
      RunSamples(graph, samples, {.execution = Execution::kFloat, .taps = std::move(taps)},
                 [&](const Executor& executor, int64_t batch_rows) {
                   AppendOutputs(executor, &run.outputs);
                   for (size_t i = 0; i < sources.size(); ++i) {
                     if (sources[i].nodes.empty()) continue;
                     MASE_RETURN_IF_ERROR(ObserveBatch(executor, batch_rows, samples.rows(),
                                                       momentum, sources[i], run.operands[i]));
                   }
                   return absl::OkStatus();
                 }));
  return run;
}

absl::StatusOr<std::vector<float>> RunQuantized(const Graph& graph, const SampleBatches& samples) {
  std::vector<float> outputs;
  MASE_RETURN_IF_ERROR(RunSamples(graph, samples, {}, [&](const Executor& executor, int64_t) {
    AppendOutputs(executor, &outputs);
    return absl::OkStatus();
  }));
  return outputs;
}

absl::StatusOr<FormatProto> CalibrateOperand(const OperandValues& operand, CalibrationMethod method,
                                             const CalibratorOptions& options,
                                             absl::Span<const int64_t> block_size) {
  const auto calibrate = [&](const Observer& seen, const FitOptions& fit) {
    CalibratorOptions with = options;
    with.fit = fit;
    absl::StatusOr<FormatProto> format =
        Calibrate(operand.format, seen.empty() ? operand.observer : seen, method, with);
    if (!format.ok()) format = OfOperand(format.status(), operand);
    return format;
  };
  if (block_size.empty()) return calibrate(operand.observer, options.fit);
  FitOptions affine = options.fit;
  affine.affine = true;
  const Tensor& tensor = operand.tensors[0];
  const std::vector<int32_t> extents(block_size.begin(), block_size.end());
  const BlockLayout layout = BlockLayout::Mase(tensor.shape(), extents, /*skip_first_dim=*/false,
                                               /*whole_leading_axes=*/false);
  std::vector<std::vector<float>> blocks(layout.blocks());
  layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
    const float* run = tensor.data<float>().data() + offset;
    blocks[block].insert(blocks[block].end(), run, run + count);
  });
  const auto calibrate_block = [&](const std::vector<float>& block) -> absl::StatusOr<FormatProto> {
    Observer seen(static_cast<int64_t>(block.size()));
    MASE_RETURN_IF_ERROR(seen.Observe(block));
    seen.EndBatch();
    return calibrate(seen, affine);
  };
  std::vector<FormatProto> formats(blocks.size());
  std::vector<absl::Status> statuses(blocks.size());
  ParallelFor(layout.blocks(), kBlockGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      absl::StatusOr<FormatProto> format = calibrate_block(blocks[i]);
      statuses[i] = format.status();
      if (format.ok()) formats[i] = *std::move(format);
    }
  });
  for (const absl::Status& status : statuses) MASE_RETURN_IF_ERROR(status);
  return JoinBlocks(formats, block_size);
}

absl::StatusOr<OperandError> MeasureOperand(const OperandValues& operand,
                                            const FormatProto& proto) {
  MASE_ASSIGN_OR_RETURN(const auto format, Format::Create(proto));
  std::vector<float> values, quantized;
  std::vector<uint8_t> saturated;
  const auto measure = [&](absl::Span<const float> part, const Shape& shape) -> absl::Status {
    const size_t begin = values.size();
    values.insert(values.end(), part.begin(), part.end());
    quantized.resize(values.size());
    saturated.resize(values.size());
    MASE_RETURN_IF_ERROR(format->Quantize(part.data(), quantized.data() + begin, shape));
    return format->FindSaturated(part.data(), saturated.data() + begin, shape);
  };
  for (const Tensor& tensor : operand.tensors) {
    MASE_RETURN_IF_ERROR(OfOperand(measure(tensor.data<float>(), tensor.shape()), operand));
  }
  if (operand.tensors.empty()) {
    const absl::Span<const float> seen = operand.observer.values();
    MASE_RETURN_IF_ERROR(OfOperand(measure(seen, {static_cast<int64_t>(seen.size())}), operand));
  }
  OperandError error;
  if (values.empty()) return error;
  error.sqnr_db = std::min(MeasureQuantizationError(values, quantized).sqnr_db, kMaxSqnrDb);
  error.saturated = static_cast<double>(std::count(saturated.begin(), saturated.end(), 1)) /
                    static_cast<double>(saturated.size());
  return error;
}

}  // namespace mase
