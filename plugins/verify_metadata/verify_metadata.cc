// Pass plugin `verify_metadata`: whether the notes on nodes agree with the graph and
// with one another.
//
//   every node     class, op and an entry for each input, trained tensor and result
//   every entry    a known type; float of 16, 32 or 64 bits; quantized entries the type that
//                  the node's record has; integer and fixed with 0 <= frac_width <= width
//   every edge     the same shape and element type on both ends
//   layers         features and channels that fit the weight and the bias
//   element-wise   as many elements out as in
//
// The first fault is the error, with the number of all. Cost: O(nodes + uses).
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/empty.pb.h"
#include "mase/format/family.h"
#include "mase/graph/graph.h"
#include "mase/pass/common_metadata.h"
#include "mase/plugin/plugin.h"

namespace mase::plugins::verify_metadata {
namespace {

std::string ShapeText(const TensorMetadata& tensor) {
  return absl::StrCat("[", absl::StrJoin(tensor.shape(), ", "), "]");
}

bool SameShape(const TensorMetadata& a, const TensorMetadata& b) {
  return std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end());
}

int64_t Elements(const TensorMetadata& tensor) {
  int64_t count = 1;
  for (int64_t extent : tensor.shape()) count *= extent;
  return count;
}

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph) {}

  void Check() {
    for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
      node_ = node;
      common_ = &node->metadata().common();
      CheckClass();
      for (const TensorMetadata& entry : common_->args()) CheckEntry(entry);
      for (const TensorMetadata& entry : common_->results()) CheckEntry(entry);
      CheckEdges();
      CheckLayer();
    }
  }

  const std::vector<std::string>& faults() const { return faults_; }

 private:
  template <typename... Parts>
  void Fault(const Parts&... parts) {
    faults_.push_back(absl::StrCat(node_->name(), " (", node_->op(), "): ", parts...));
  }

  void CheckClass() {
    if (common_->mase_type() != node_->mase_type() || common_->mase_op() != node_->mase_op()) {
      Fault("noted as '", common_->mase_type(), "' '", common_->mase_op(), "', is '",
            node_->mase_type(), "' '", node_->mase_op(), "'");
    }
  }

  void CheckEntry(const TensorMetadata& entry) {
    const Quantization* record = node_->quantization();
    if (entry.type() == "float") {
      const bool known =
          entry.precision_size() == 1 &&
          (entry.precision(0) == "16" || entry.precision(0) == "32" || entry.precision(0) == "64");
      if (!known)
        Fault(entry.name(), ": float of ", absl::StrJoin(entry.precision(), ","), " bits");
    } else if (entry.type() != "int" && entry.type() != "bool" && entry.type() != "NA") {
      if (record == nullptr) {
        Fault(entry.name(), ": type '", entry.type(), "', but the node is not quantized");
      } else if (record->format() != entry.type()) {
        Fault(entry.name(), ": type '", entry.type(), "', but the node is quantized as ",
              record->format());
      } else if (IsFixedPoint(entry.type())) {
        CheckFixed(entry);
      }
    }
  }

  static bool IsFixedPoint(const std::string& format) {
    const Family* family = FindFamily(format);
    return family != nullptr && family->family_case == FormatProto::kInteger;
  }

  void CheckFixed(const TensorMetadata& entry) {
    int width = 0, frac_width = 0;
    const bool numbers =
        entry.precision_size() == 2 && absl::SimpleAtoi(entry.precision(0), &width) &&
        (entry.precision(1) == "None" || absl::SimpleAtoi(entry.precision(1), &frac_width));
    if (!numbers || width <= 0 || frac_width < 0 || frac_width > width) {
      Fault(entry.name(), ": precision ", absl::StrJoin(entry.precision(), "/"),
            ", want a width > 0 and a fraction between 0 and the width");
    }
  }

  void CheckEdges() {
    if (node_->kind() == NodeKind::kOutput) return;
    for (size_t i = 0; i < node_->inputs().size(); ++i) {
      const std::string name = absl::StrCat("data_in_", i);
      const TensorMetadata* to = FindArgument(*common_, name);
      if (to == nullptr) {
        Fault("no entry ", name);
        continue;
      }
      const Value* value = node_->inputs()[i];
      const Node& producer = *value->producer();
      const TensorMetadata* from =
          FindResult(producer.metadata().common(), absl::StrCat("data_out_", value->index()));
      if (from == nullptr) {
        Fault(name, ": ", producer.name(), " has no entry data_out_", value->index());
      } else if (!SameShape(*from, *to) || from->torch_dtype() != to->torch_dtype()) {
        Fault(name, " is ", to->torch_dtype(), ShapeText(*to), ", but ", producer.name(), " makes ",
              from->torch_dtype(), ShapeText(*from));
      }
    }
  }

  // Axis `axis` of an entry has to be `want` long.
  void CheckExtent(const TensorMetadata* entry, int axis, int64_t want, absl::string_view what) {
    if (entry == nullptr) return;  // Reported elsewhere, or optional.
    const int at = axis < 0 ? entry->shape_size() + axis : axis;
    if (at >= 0 && at < entry->shape_size() && entry->shape(at) == want) return;
    Fault(entry->name(), " has shape ", ShapeText(*entry), ", but ", what, " is ", want);
  }

  void CheckLayer() {
    const absl::string_view op = node_->op();
    const TensorMetadata* in = FindArgument(*common_, "data_in_0");
    const TensorMetadata* out = FindResult(*common_, "data_out_0");
    if (in == nullptr) return;
    for (const Parameter& parameter : node_->parameters()) {
      const GraphTensor* tensor = graph_.FindTensor(parameter.tensor);
      if (tensor != nullptr && tensor->buffer) continue;
      if (FindArgument(*common_, parameter.name) == nullptr) Fault("no entry ", parameter.name);
    }
    const bool linear = op == ops::kLinear;
    if (node_->Is(OpTrait::kOutputsFirst)) {
      const int axis = linear ? -1 : 1;  // Of features or channels in data.
      const char* in_name = linear ? "in_features" : "in_channels";
      const char* out_name = linear ? "out_features" : "out_channels";
      const int64_t in_size = node_->attributes().Int(in_name);
      const int64_t out_size = node_->attributes().Int(out_name);
      const int64_t groups = linear ? 1 : node_->attributes().Int("groups");
      CheckExtent(in, axis, in_size, in_name);
      CheckExtent(out, axis, out_size, out_name);
      CheckExtent(FindArgument(*common_, "weight"), 0, out_size, out_name);
      CheckExtent(FindArgument(*common_, "weight"), 1, in_size / groups,
                  linear ? in_name : "in_channels / groups");
      CheckExtent(FindArgument(*common_, "bias"), 0, out_size, out_name);
    } else if (op == ops::kRelu || op == ops::kFlatten) {
      if (out != nullptr && Elements(*in) != Elements(*out)) {
        Fault("makes ", ShapeText(*out), " of ", ShapeText(*in));
      }
    }
  }

  const Graph& graph_;
  const Node* node_ = nullptr;  // The one under test, and its notes.
  const CommonMetadata* common_ = nullptr;
  std::vector<std::string> faults_;
};

class VerifyMetadataPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<VerifyMetadataPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    Verifier verifier(graph);
    verifier.Check();
    const std::vector<std::string>& faults = verifier.faults();
    context.Count("nodes", graph.node_count());
    if (faults.empty()) return PassResult::Unchanged();
    return absl::InvalidArgumentError(
        faults.size() == 1 ? faults[0]
                           : absl::StrCat(faults[0], " (and ", faults.size() - 1, " more)"));
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<VerifyMetadataPass>(
      "verify_metadata", "Checks that the notes on nodes agree with the graph.",
      {.kind = PassKind::kAnalysis,
       .aliases = {"verify_common_metadata", "verify_common_metadata_analysis_pass",
                   "verify_software_metadata", "verify_software_metadata_analysis_pass"},
       .needs = {"add_common_metadata"}});
}

}  // namespace
}  // namespace mase::plugins::verify_metadata

MASE_DEFINE_PLUGIN("verify_metadata", "1.0.0", mase::plugins::verify_metadata::Register)
