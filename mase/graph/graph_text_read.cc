#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/text_format.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/text_error.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/graph_text_internal.h"
#include "mase/graph/graph_text_scanner.h"
#include "mase/graph/verifier.h"

namespace mase {
namespace {

using graph_text::DefaultKind;
using graph_text::DefaultTarget;
using graph_text::DefaultTensor;
using graph_text::OwnedTensors;
using graph_text::ReadAttribute;
using graph_text::ReadType;
using graph_text::Scanner;

class Reader {
 public:
  absl::StatusOr<Graph> Read(absl::string_view text) {
    int number = 0;
    for (absl::string_view row : absl::StrSplit(text, '\n')) {
      const absl::string_view content = absl::StripAsciiWhitespace(row);
      Scanner line(row, ++number);
      if (content.empty() || content[0] == '#') continue;
      const bool indented = absl::ascii_isspace(row[0]);
      MASE_RETURN_IF_ERROR(indented && node_ != nullptr ? Continuation(line) : Statement(line));
    }
    FinishRecord();
    MASE_RETURN_IF_ERROR(VerifyGraph(graph_));
    return std::move(graph_);
  }

 private:
  // A line that is not indented, or stands before the first node.
  absl::Status Statement(Scanner& line) {
    FinishRecord();
    const size_t begin = line.position();
    MASE_ASSIGN_OR_RETURN(const std::string word, line.Word("a node's name"));
    if (!line.TryTake('=')) {
      if (word == "graph" && node_ == nullptr) return GraphName(line);
      if (word == "tensor" && node_ == nullptr) return TensorLine(line);
      return line.Error("want '=' after the name '", word, "'");
    }
    return NodeLine(word, begin, line);
  }

  absl::Status GraphName(Scanner& line) {
    MASE_ASSIGN_OR_RETURN(std::string name, line.Word("the graph's name"));
    graph_.set_name(std::move(name));
    return line.End();
  }

  absl::Status TensorLine(Scanner& line) {
    const size_t begin = line.position();
    MASE_ASSIGN_OR_RETURN(const std::string name, line.Word("a tensor's name"));
    MASE_RETURN_IF_ERROR(line.Take(':'));
    MASE_ASSIGN_OR_RETURN(const ValueInfo type, ReadType(line));
    bool buffer = false;
    if (!line.AtEnd()) {
      const size_t at = line.position();
      MASE_ASSIGN_OR_RETURN(const std::string word, line.Word("buffer"));
      if (word != "buffer")
        return line.ErrorAt(at, absl::StrCat("want buffer, found '", word, "'"));
      buffer = true;
    }
    if (graph_.FindTensor(name) != nullptr) {
      return line.ErrorAt(begin, absl::StrCat("two tensors are named '", name, "'"));
    }
    MASE_RETURN_IF_ERROR(line.At(begin, AddTensor(name, type.dtype, type.shape, buffer)));
    return line.End();
  }

  absl::Status AddTensor(const std::string& name, DType dtype, const Shape& shape, bool buffer) {
    MASE_RETURN_IF_ERROR(shape.Validate());
    elements_ += shape.elements();
    if (elements_ > limits::kMaxGraphTextElements) {
      return absl::ResourceExhaustedError(
          absl::StrCat("tensor '", name, "' ", shape.ToString(), ": the graph's tensors have ",
                       elements_, " elements, limit ", limits::kMaxGraphTextElements));
    }
    graph_.SetTensor(name, Tensor::Zeros(dtype, shape), buffer);
    return absl::OkStatus();
  }

  absl::Status NodeLine(const std::string& name, size_t begin, Scanner& line) {
    if (infos_.contains(name)) {
      return line.ErrorAt(begin, absl::StrCat("two nodes are named '", name, "'"));
    }
    NodeSpec spec{.name = name};
    MASE_ASSIGN_OR_RETURN(const OpSchema* schema, ReadOp(line, spec));
    MASE_RETURN_IF_ERROR(ReadArguments(*schema, line, spec));
    spec.target = std::string(DefaultTarget(spec.kind, name, spec.op));
    if (line.TryTake('@')) {
      MASE_ASSIGN_OR_RETURN(spec.target, line.Word("a target"));
    }
    std::optional<ValueInfo> type;
    const size_t type_begin = line.position();
    if (line.TryTake(':')) {
      MASE_ASSIGN_OR_RETURN(type, ReadType(line));
    }
    MASE_RETURN_IF_ERROR(line.End());
    if (spec.kind == NodeKind::kPlaceholder && type.has_value()) {
      const absl::Span<const int64_t> dims = type->shape.dims();
      spec.attributes.Set("shape", std::vector<int64_t>(dims.begin(), dims.end()));
      spec.attributes.Set("dtype", std::string(DTypeName(type->dtype)));
    }
    // What the node makes and owns follows from its inputs and attributes. Where some are missing
    // AddNode says so.
    ValueInfo info;
    if (IsComplete(*schema, spec)) {
      Attributes attributes = spec.attributes;
      for (const AttributeSpec& attribute : schema->attributes) {
        if (attributes.Find(attribute.name) == nullptr) {
          attributes.Set(attribute.name, attribute.fallback);
        }
      }
      absl::StatusOr<ValueInfo> inferred = Infer(*schema, spec, attributes);
      if (!inferred.ok()) return line.At(begin, inferred.status());
      info = *std::move(inferred);
      if (type.has_value()) MASE_RETURN_IF_ERROR(line.At(type_begin, CheckType(spec, info, *type)));
      MASE_RETURN_IF_ERROR(line.At(begin, OwnTensors(*schema, attributes, spec)));
    }
    const absl::StatusOr<Node*> node = graph_.AddNode(std::move(spec));
    if (!node.ok()) return line.At(begin, node.status());
    node_ = *node;
    infos_[name] = std::move(info);
    return absl::OkStatus();
  }

  static bool IsComplete(const OpSchema& schema, const NodeSpec& spec) {
    for (const AttributeSpec& attribute : schema.attributes) {
      if (attribute.required && spec.attributes.Find(attribute.name) == nullptr) return false;
    }
    const size_t most = schema.arguments.size();
    return spec.inputs.size() >= most - schema.optional_arguments &&
           (schema.variadic || spec.inputs.size() <= most);
  }

  // "[KIND] OP(", up to the bracket.
  absl::StatusOr<const OpSchema*> ReadOp(Scanner& line, NodeSpec& spec) {
    size_t begin = line.position();
    MASE_ASSIGN_OR_RETURN(spec.op, line.Word("an op"));
    const graph_text::KindWord* kind = nullptr;
    if (!line.TryTake('(')) {
      std::vector<std::string> known;
      for (const graph_text::KindWord& word : graph_text::kKindWords) {
        known.emplace_back(word.word);
        if (word.word == spec.op) kind = &word;
      }
      if (kind == nullptr && line.AtEnd()) return line.Error("want '(' after the op");
      if (kind == nullptr) {
        return line.ErrorAt(
            begin, absl::StrCat("'", spec.op, "' is no kind of node", Suggest(spec.op, known)));
      }
      begin = line.position();
      MASE_ASSIGN_OR_RETURN(spec.op, line.Word("an op"));
      MASE_RETURN_IF_ERROR(line.Take('('));
    }
    const absl::StatusOr<const OpSchema*> schema = LookUpOp(spec.op);
    if (!schema.ok()) return line.At(begin, schema.status());
    spec.kind = kind != nullptr ? kind->kind : DefaultKind(**schema);
    return *schema;
  }

  absl::Status ReadArguments(const OpSchema& schema, Scanner& line, NodeSpec& spec) {
    if (line.TryTake(')')) return absl::OkStatus();
    do {
      const size_t begin = line.position();
      MASE_ASSIGN_OR_RETURN(const std::string word, line.Word("an argument"));
      if (!line.TryTake('=')) {
        MASE_RETURN_IF_ERROR(ReadInput(word, begin, line, spec));
      } else if (line.TryTake('%')) {
        MASE_ASSIGN_OR_RETURN(std::string tensor, line.Word("a tensor's name"));
        spec.parameters.push_back({word, std::move(tensor)});
      } else {
        MASE_RETURN_IF_ERROR(ReadNamed(schema, word, begin, line, spec));
      }
    } while (line.TryTake(','));
    return line.Take(')');
  }

  absl::Status ReadInput(const std::string& name, size_t begin, Scanner& line, NodeSpec& spec) {
    const Node* producer = graph_.FindNode(name);
    if (producer == nullptr) {
      std::vector<std::string> known;
      for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
        known.push_back(node->name());
      }
      return line.ErrorAt(
          begin, absl::StrCat("no node above is named '", name, "'", Suggest(name, known)));
    }
    if (producer->outputs().empty()) {
      return line.ErrorAt(begin, absl::StrCat("'", name, "' produces nothing"));
    }
    spec.inputs.push_back(producer->outputs()[0]);
    return absl::OkStatus();
  }

  absl::Status ReadNamed(const OpSchema& schema, const std::string& name, size_t begin,
                         Scanner& line, NodeSpec& spec) {
    std::vector<std::string> known;
    for (const AttributeSpec& attribute : schema.attributes) {
      known.emplace_back(attribute.name);
      if (attribute.name != name) continue;
      if (spec.attributes.Find(name) != nullptr) {
        return line.ErrorAt(begin, absl::StrCat("attribute '", name, "' is given twice"));
      }
      MASE_ASSIGN_OR_RETURN(Attribute value, ReadAttribute(attribute.fallback, line));
      spec.attributes.Set(name, std::move(value));
      return absl::OkStatus();
    }
    return line.ErrorAt(
        begin, absl::StrCat(schema.name, " has no attribute '", name, "'", Suggest(name, known)));
  }

  // What the node makes of its inputs.
  absl::StatusOr<ValueInfo> Infer(const OpSchema& schema, const NodeSpec& spec,
                                  const Attributes& attributes) const {
    std::vector<ValueInfo> inputs;
    for (const Value* input : spec.inputs) inputs.push_back(infos_.at(input->producer()->name()));
    MASE_ASSIGN_OR_RETURN(std::vector<ValueInfo> results, schema.shape_rule(inputs, attributes));
    if (results.empty()) return ValueInfo();
    MASE_RETURN_IF_ERROR(results[0].shape.Validate());
    return std::move(results[0]);
  }

  static absl::Status CheckType(const NodeSpec& spec, const ValueInfo& made,
                                const ValueInfo& said) {
    if (spec.kind == NodeKind::kOutput) return absl::InvalidArgumentError("output makes nothing");
    if (said.dtype == made.dtype && said.shape == made.shape) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(spec.op, " makes ", DTypeName(made.dtype),
                                                   made.shape.ToString(), ", but the line says ",
                                                   DTypeName(said.dtype), said.shape.ToString()));
  }

  // Names the tensors of the node, where the line does not, and adds those that are not there yet.
  absl::Status OwnTensors(const OpSchema& schema, const Attributes& attributes, NodeSpec& spec) {
    const std::vector<ParameterSpec> owned = OwnedTensors(schema, spec.kind, attributes);
    if (spec.parameters.empty()) {
      for (const ParameterSpec& each : owned) {
        spec.parameters.push_back({each.name, DefaultTensor(spec.target, each.name)});
      }
    }
    for (const ParameterSpec& each : owned) {
      for (const Parameter& parameter : spec.parameters) {
        if (parameter.name != each.name || graph_.FindTensor(parameter.tensor) != nullptr) continue;
        MASE_RETURN_IF_ERROR(AddTensor(parameter.tensor, each.dtype, each.shape, each.buffer));
      }
    }
    return absl::OkStatus();
  }

  // "quantized FORMAT [class SUFFIX]", or "OPERAND = FORMAT".
  absl::Status Continuation(Scanner& line) {
    const size_t begin = line.position();
    MASE_ASSIGN_OR_RETURN(const std::string word, line.Word("quantized, or an operand"));
    if (line.TryTake('=')) {
      if (!quantized_) return line.ErrorAt(begin, "want a line 'quantized FORMAT' before operands");
      OperandFormat& operand = *record_.add_operand();
      operand.set_operand(word);
      return ReadFormat(line, *operand.mutable_format());
    }
    if (word != "quantized" || quantized_) {
      return line.ErrorAt(begin, absl::StrCat("want ", quantized_ ? "" : "'quantized FORMAT' or ",
                                              "'OPERAND = FORMAT', found '", word, "'"));
    }
    quantized_ = true;
    MASE_ASSIGN_OR_RETURN(*record_.mutable_format(), line.Word("a format's name"));
    if (line.AtEnd()) return absl::OkStatus();
    const size_t at = line.position();
    MASE_ASSIGN_OR_RETURN(const std::string clause, line.Word("class"));
    if (clause != "class")
      return line.ErrorAt(at, absl::StrCat("want class, found '", clause, "'"));
    MASE_ASSIGN_OR_RETURN(*record_.mutable_class_suffix(), line.Word("the suffix of a class"));
    return line.End();
  }

  static absl::Status ReadFormat(Scanner& line, FormatProto& format) {
    const size_t begin = line.position();
    FirstTextError errors;
    google::protobuf::TextFormat::Parser parser;
    parser.RecordErrorsTo(&errors);
    parser.SetRecursionLimit(limits::kMaxConfigNesting);
    if (parser.ParseFromString(std::string(line.Rest()), &format)) return absl::OkStatus();
    return line.ErrorAt(begin + errors.column() - 1, errors.message());
  }

  void FinishRecord() {
    if (quantized_) graph_.SetQuantization(node_, std::move(record_));
    record_ = Quantization();
    quantized_ = false;
  }

  Graph graph_;
  Node* node_ = nullptr;  // The last one read.
  bool quantized_ = false;
  Quantization record_;                                // Of node_, once `quantized_`.
  absl::flat_hash_map<std::string, ValueInfo> infos_;  // By node.
  int64_t elements_ = 0;
};

}  // namespace

absl::StatusOr<Graph> ReadGraphText(absl::string_view text) { return Reader().Read(text); }

}  // namespace mase
