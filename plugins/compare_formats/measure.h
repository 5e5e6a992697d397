// What one format does to a net: accuracy, error of the outputs, bits.
#ifndef MASE_PLUGINS_COMPARE_FORMATS_MEASURE_H_
#define MASE_PLUGINS_COMPARE_FORMATS_MEASURE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/calibrate/observer.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/pass/pass_context.h"

namespace mase::plugins::compare_formats {

struct Measurement {
  Evaluation evaluation;
  double sqnr_db = 0;  // Of the net's outputs on the samples, against those of the float net.
  // A value takes so many, on average over the chosen nodes' weights and over their data inputs; 32
  // where an operand stays float.
  double weight_bits = 0, activation_bits = 0;

  double bits() const { return (weight_bits + activation_bits) / 2; }
};

class NetMeasurer {
 public:
  // The nodes of `ops` will be quantized; records that they have are forgotten. `inputs` are
  // samples by placeholder, which give the ranges of activations. NotFound if no node has one of
  // the ops; else the executor's errors.
  static absl::StatusOr<NetMeasurer> Create(const Graph& graph, absl::Span<const std::string> ops,
                                            std::map<std::string, Tensor> inputs);

  int node_count() const { return static_cast<int>(nodes_.size()); }

  absl::StatusOr<Measurement> MeasureFloat(PassContext& context) const;

  // With `format`, fitted to each tensor, in all chosen nodes. InvalidArgument if one of their ops
  // cannot have it, else the executor's errors.
  absl::StatusOr<Measurement> Measure(const FormatProto& format, PassContext& context) const;

 private:
  absl::Status FindRanges();
  absl::StatusOr<std::vector<float>> Outputs(const Graph& graph) const;
  absl::StatusOr<Quantization> RecordFor(const Node& node, const FormatProto& format) const;
  absl::Status CountBits(const Graph& graph, Measurement* measurement) const;

  Graph graph_;  // Float where it will be quantized.
  InferredShapes shapes_;
  std::vector<const Node*> nodes_;
  std::map<std::string, Tensor> inputs_;
  std::map<std::pair<std::string, std::string>, Range> ranges_;  // By node and operand.
  std::vector<float> outputs_;                                   // Of the float net.
};

}  // namespace mase::plugins::compare_formats

#endif  // MASE_PLUGINS_COMPARE_FORMATS_MEASURE_H_
