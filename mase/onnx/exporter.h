// What the rules of export_ops.cc work with: a graph, and the file that is made of it.
#ifndef MASE_ONNX_EXPORTER_H_
#define MASE_ONNX_EXPORTER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "mase/exec/integer_plan.h"
#include "mase/format/whole_numbers.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/onnx/code_types.h"
#include "mase/onnx/export.h"
#include "mase/onnx/onnx_writer.h"
#include "proto/format.pb.h"

namespace mase {

template <typename... Parts>
absl::Status CannotWrite(const Parts&... parts) {
  return absl::UnimplementedError(absl::StrCat(parts...));
}

class Exporter {
 public:
  // `plans` are there for kQOperator alone.
  Exporter(const Graph& graph, const OnnxTarget& target, InferredShapes shapes,
           const IntegerPlans* plans)
      : graph_(graph),
        target_(target),
        shapes_(std::move(shapes)),
        plans_(plans),
        writer_(target.opset) {}

  absl::StatusOr<ExportedNet> Run();

  // ---- For rules
  OnnxWriter& writer() { return writer_; }
  const Shape& ShapeOf(const Node& node) const { return shapes_.shape(node.outputs()[0]); }
  const Shape& InputShape(const Node& node, int i = 0) const {
    return shapes_.shape(node.inputs()[i]);
  }
  // The module's tensor as the node is to read it; "" where the module lacks it.
  absl::StatusOr<std::string> Tensor(const Node& node, absl::string_view local);

 private:
  // Numbers as a code type has them: code = number + zero.
  struct Encoding {
    WholeNumbers numbers;
    const CodeType* type = nullptr;
    int64_t zero = 0;

    int64_t least() const { return numbers.blocks[0].least + zero; }
    int64_t most() const { return numbers.blocks[0].most + zero; }
    bool fills_type() const { return least() == type->least() && most() == type->most(); }
  };
  // Codes in the file: names of the tensor, its scale and its zero point.
  struct Names {
    std::string codes, scale, zero;
  };
  // What a node computed: its numbers, "" while they are not in the file, and codes of them. Of a
  // node that computes codes the first are what it computes.
  struct Result {
    std::string floats;
    std::vector<std::pair<Codes, Names>> codes;
  };
  // A module's tensor as whole numbers.
  struct TensorCodes {
    Encoding encoding;
    std::vector<float> rounded;  // What they stand for.
    std::vector<int64_t> codes;

    float step_of(int64_t output) const {
      const auto& blocks = encoding.numbers.blocks;
      return blocks[blocks.size() == 1 ? 0 : output].step;
    }
  };

  absl::Status AddNode(const Node& node);
  absl::Status AddByRule(const Node& node);

  // ---- Rounding (export_rounding.cc)
  // What the form rounds of the node; null: nothing.
  const FormatProto* FormatOf(const Node& node, absl::string_view operand) const;
  // The narrowest type of the opset; or one of a byte, which integer ops read.
  enum class Types { kAll, kBytes };
  absl::StatusOr<Encoding> EncodingOf(WholeNumbers numbers, Types types) const;
  absl::StatusOr<Encoding> EncodingOf(const FormatProto& format, const Shape& shape,
                                      bool per_output, Types types) const;
  // Scale and zero point as constants for the codes of that name.
  Names AddScales(const std::string& codes, const Encoding& encoding);
  // Names of the codes of `in`, which are made here.
  Names AddQuantizeLinear(const std::string& in, const std::string& codes,
                          const Encoding& encoding);
  void AddDequantizeLinear(const Names& codes, const std::string& out);
  absl::Status AddQuant(const std::string& in, const std::string& out, const WholeNumbers& numbers,
                        const Shape& shape);
  // The same by a float of 8 bits.
  absl::Status AddFloat8(const std::string& in, const std::string& out, const Float8Type& type);
  absl::StatusOr<TensorCodes> CodesOfTensor(const Node& node, const GraphTensor& tensor,
                                            absl::string_view operand, const FormatProto& given,
                                            Types types) const;
  Names StoreCodes(const std::string& base, const Shape& shape, const TensorCodes& codes);
  absl::StatusOr<std::string> RoundedTensor(const Node& node, const GraphTensor& tensor,
                                            absl::string_view operand, const FormatProto& given);
  // A value as an operand of the node: rounded where the record says so.
  absl::StatusOr<std::string> Rounded(const Node& node, absl::string_view operand,
                                      const std::string& in, const std::string& base,
                                      const Shape& shape);

  // ---- Integer ops (export_qoperator.cc)
  // Writes the node as an op on codes. False, and nothing is written, where there is none.
  absl::StatusOr<bool> AddOnCodes(const Node& node);
  absl::StatusOr<bool> AddIntegerLayer(const Node& node, const IntegerPlan& plan);
  absl::StatusOr<bool> AddKeepingCodes(const Node& node);
  absl::StatusOr<Names> CodesOf(const Node& producer, const Codes& codes);
  // As a byte. Unimplemented for wider codes, which integer ops do not read.
  absl::StatusOr<Encoding> EncodingOf(const Codes& codes) const;
  // The numbers that a node computed.
  std::string FloatsOf(const Node& producer);

  const Graph& graph_;
  const OnnxTarget target_;
  const InferredShapes shapes_;
  const IntegerPlans* const plans_;
  OnnxWriter writer_;
  absl::flat_hash_map<int, Result> results_;  // By node id.
  absl::flat_hash_set<std::string> written_;  // Tensors.
  std::vector<std::string> as_qdq_;           // Layers without an integer op, and why.
  int rounded_ = 0, lost_ = 0;
};

// How nodes of an op are written; see export_ops.cc.
absl::Status WriteByRule(Exporter& exporter, const Node& node, const std::vector<std::string>& in,
                         const std::string& out);

// The attributes of a convolution, for Conv and QLinearConv.
void SetWindows(const Node& node, ::onnx::NodeProto& conv);

}  // namespace mase

#endif  // MASE_ONNX_EXPORTER_H_
