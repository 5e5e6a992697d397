// The plugin of the SDK's first release. Frozen: it is built against the headers of today, and what
// it uses has to stay (docs/compatibility.md). One of each thing that a plugin can register.
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/data/data_reader.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/graph/graph.h"
#include "mase/graph/graph_hash.h"
#include "mase/graph/op_function.h"
#include "mase/graph/shape_inference.h"
#include "mase/graph/verifier.h"
#include "mase/metric/metric.h"
#include "mase/plugin/plugin.h"

namespace first_plugin {

class FirstPass final : public mase::Pass {
 public:
  using Options = google::protobuf::Empty;
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<FirstPass>();
  }

  absl::StatusOr<mase::PassResult> Run(mase::Graph& graph,
                                       mase::PassContext& context) const override {
    MASE_RETURN_IF_ERROR(mase::VerifyGraph(graph));
    MASE_ASSIGN_OR_RETURN(const mase::InferredShapes shapes, mase::InferShapesFor(graph, 2));
    mase::Table table("first", "Nodes", {{"node"}, {"op"}, {"elements"}, {"share", "%", 1}});
    for (const mase::Node* node : graph.NodesInOrder()) {
      if (node->outputs().empty()) continue;
      table.AddRow({node->name(), node->op(), shapes.shape(node->outputs()[0]).elements(), 0.5});
      context.Count("nodes");
      context.Note(*node, "seen", "it is there");
    }
    const auto samples = context.Samples(4);
    if (samples.ok()) {
      MASE_ASSIGN_OR_RETURN(const auto values, context.RunNet(graph, samples->inputs));
      context.Count("results", static_cast<double>(values.size()));
    }
    (*context.result().mutable_fields())["seed"].set_number_value(
        static_cast<double>(context.seed()));
    MASE_RETURN_IF_ERROR(context.Progress(1, 1, "graph"));
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(table)));
    MASE_RETURN_IF_ERROR(
        context.WriteArtifact("first/hash.txt", std::to_string(mase::HashGraph(graph)) + "\n"));
    return mase::PassResult::Unchanged();
  }
};

// Whole numbers up to `most`.
class FirstFormat final : public mase::Format {
 public:
  explicit FirstFormat(const mase::FormatProto& proto)
      : Format(proto), most_(static_cast<float>(proto.plugin().value(0))) {}
  double BitsPerValue(const mase::Shape&) const override { return 32; }
  double lowest() const override { return -most_; }
  double highest() const override { return most_; }
  double step() const override { return 1; }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const mase::Shape& shape,
                          uint64_t) const override {
    for (int64_t i = 0; i < shape.elements(); ++i) {
      const float rounded = std::nearbyint(src[i]);
      dst[i] = rounded > most_ ? most_ : rounded < -most_ ? -most_ : rounded;
    }
    return absl::OkStatus();
  }

 private:
  const float most_;
};

absl::StatusOr<std::unique_ptr<const mase::Format>> CreateFormat(const mase::FormatProto& proto) {
  MASE_RETURN_IF_ERROR(mase::CheckRange("first_format", "most", proto.plugin().value(0), 1, 1e6));
  return std::make_unique<FirstFormat>(proto);
}

constexpr mase::FamilyParameter kParameters[] = {{.name = "most",
                                                  .need = mase::FamilyParameter::kOptional,
                                                  .in_precision = true,
                                                  .fallback = 100}};
const mase::Family kFormat = {.family_case = mase::FormatProto::kPlugin,
                              .name = "first_format",
                              .class_suffix = "First",
                              .summary = "whole numbers",
                              .example = "plugin { family: 'first_format' value: 100 }",
                              .parameters = kParameters,
                              .create = CreateFormat,
                              .has_reference = false};

struct FirstOp {
  template <typename T>
  static absl::Status Forward(const mase::OpCall<T>& call) {
    for (int64_t i = 0; i < call.result.elements(); ++i) call.result[i] = 2 * call.inputs[0][i];
    return absl::OkStatus();
  }
  template <typename T>
  static absl::Status Backward(const mase::OpGradients<T>& call) {
    for (int64_t i = 0; i < call.result.elements(); ++i) {
      call.diff_inputs[0][i] = 2 * call.diff_result[i];
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<std::vector<mase::ValueInfo>> SameShape(absl::Span<const mase::ValueInfo> inputs,
                                                       const mase::Attributes&) {
  return std::vector<mase::ValueInfo>{inputs[0]};
}

class FirstMetric final : public mase::Metric {
 public:
  void Add(absl::Span<const float>, absl::Span<const int64_t> labels) override {
    rows_ += static_cast<int64_t>(labels.size());
  }
  double Finish() const override { return static_cast<double>(rows_); }

 private:
  int64_t rows_ = 0;
};

absl::StatusOr<mase::ReadRows> ReadNothing(const std::string&) {
  return absl::UnimplementedError("reads nothing");
}

absl::Status Register(mase::PassRegistrar& registrar) {
  MASE_RETURN_IF_ERROR(registrar.AddPass<FirstPass>("first_pass", "Looks at every node.",
                                                    {.kind = mase::PassKind::kAnalysis}));
  MASE_RETURN_IF_ERROR(registrar.AddFormat(&kFormat));
  MASE_RETURN_IF_ERROR(registrar.AddOp<FirstOp>({.name = "first_op",
                                                 .doc = "2 x",
                                                 .module_class = "FirstOp",
                                                 .module_type = "module_related_func",
                                                 .function_type = "module_related_func",
                                                 .arguments = {{"input"}},
                                                 .shape_rule = SameShape}));
  MASE_RETURN_IF_ERROR(registrar.AddMetric({.name = "first_metric",
                                            .summary = "Rows.",
                                            .create = [](int64_t) -> std::unique_ptr<mase::Metric> {
                                              return std::make_unique<FirstMetric>();
                                            }}));
  return registrar.AddDataReader(
      {.name = "first_reader",
       .summary = "Nothing.",
       .recognizes = [](absl::string_view head) { return head == "FIRST"; },
       .read = ReadNothing});
}

}  // namespace first_plugin

MASE_DEFINE_PLUGIN("first_plugin", "1.0.0", first_plugin::Register)
