#include "mase/onnx/export.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/random.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/format/format.h"
#include "mase/format/whole_numbers.h"
#include "mase/graph/shape_inference.h"
#include "mase/onnx/import.h"
#include "mase/quantize/operands.h"
#include "onnx/onnx_pb.h"

namespace mase {
namespace {

using ::onnx::AttributeProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;
using Ints = std::vector<int64_t>;

constexpr int64_t kOpset = 17;
constexpr char kQonnxDomain[] = "qonnx.custom_op.general";

template <typename... Parts>
absl::Status CannotWrite(const Parts&... parts) {
  return absl::UnimplementedError(absl::StrCat(parts...));
}

class Exporter;
struct Rule;
const Rule* FindRule(absl::string_view op);

// Writes one node: `in` are the names of its inputs, `out` of its result.
using Write = std::function<absl::Status(Exporter&, const Node&, const std::vector<std::string>& in,
                                         const std::string& out)>;
struct Rule {
  absl::string_view op;
  Write write;
};

class Exporter {
 public:
  Exporter(const Graph& graph, OnnxForm form, InferredShapes shapes)
      : graph_(graph), form_(form), shapes_(std::move(shapes)) {}

  absl::StatusOr<ExportedNet> Run() {
    model_.set_ir_version(8);
    model_.set_producer_name("mase");
    model_.add_opset_import()->set_version(kOpset);
    if (form_ == OnnxForm::kQonnx) {
      auto* domain = model_.add_opset_import();
      domain->set_domain(kQonnxDomain);
      domain->set_version(1);
    }
    proto().set_name(graph_.name());
    for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
      if (absl::Status status = AddNode(*node); !status.ok()) {
        return Annotate(status, absl::StrCat(node->name(), " (", node->op(), ")"));
      }
    }
    ExportedNet net;
    net.bytes = model_.SerializeAsString();
    net.rounded = rounded_;
    if (lost_ > 0) {
      net.notes.push_back(absl::StrCat("Number formats of ", lost_,
                                       " nodes are left out: the file ",
                                       "computes the float net; its metadata names them"));
    }
    return net;
  }

  const Shape& ShapeOf(const Node& node) const { return shapes_.shape(node.outputs()[0]); }
  const Shape& InputShape(const Node& node, int i = 0) const {
    return shapes_.shape(node.inputs()[i]);
  }

  NodeProto& Add(const std::string& op, std::vector<std::string> in, const std::string& out) {
    NodeProto& node = *proto().add_node();
    node.set_op_type(op);
    node.set_name(out);
    for (const std::string& name : in) node.add_input(name);
    node.add_output(out);
    return node;
  }
  std::string Fresh(const std::string& base) { return absl::StrCat(base, ".", ++fresh_); }

  // Tensors as initializers; the name that it has.
  std::string Floats(const std::string& name, const Shape& shape, absl::Span<const float> values) {
    TensorProto& tensor = NewTensor(name, shape, TensorProto::FLOAT);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    return name;
  }
  std::string Number(const std::string& base, double number) {
    const float value = static_cast<float>(number);
    return Floats(Fresh(base), Shape(), absl::MakeConstSpan(&value, 1));
  }
  std::string Numbers(const std::string& base, const Ints& numbers) {
    const std::string name = Fresh(base);
    TensorProto& tensor =
        NewTensor(name, {static_cast<int64_t>(numbers.size())}, TensorProto::INT64);
    tensor.set_raw_data(numbers.data(), numbers.size() * sizeof(int64_t));
    return name;
  }

  // The module's tensor as the node is to read it; "" where the module lacks it.
  absl::StatusOr<std::string> Tensor(const Node& node, absl::string_view local) {
    const std::string* name = node.FindParameter(local);
    if (name == nullptr) return std::string();
    const GraphTensor& tensor = *graph_.FindTensor(*name);
    if (tensor.value.dtype() != DType::kFloat32) return CannotWrite("tensor '", *name, "'");
    const absl::string_view operand = node.schema().TensorOperand(local);
    const FormatProto* format = FormatOf(node, operand);
    if (format != nullptr) return RoundedTensor(node, tensor, operand, *format);
    if (written_.insert(*name).second) {
      Floats(*name, tensor.value.shape(), tensor.value.data<float>());
    }
    return *name;
  }

 private:
  ::onnx::GraphProto& proto() { return *model_.mutable_graph(); }

  TensorProto& NewTensor(const std::string& name, const Shape& shape, int type) {
    TensorProto& tensor = *proto().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const int64_t extent : shape.dims()) tensor.add_dims(extent);
    return tensor;
  }

  // What the form rounds of the node.
  const FormatProto* FormatOf(const Node& node, absl::string_view operand) const {
    if (form_ == OnnxForm::kFloat || operand.empty()) return nullptr;
    return FindFormat(node, operand);
  }

  struct Codes {
    WholeNumbers numbers;
    int type = TensorProto::INT8;
    int64_t least = -128, most = 127;  // Of that type.
    int64_t zero = 0;                  // code = number + zero
  };

  absl::StatusOr<Codes> CodesOf(const FormatProto& format, const Shape& shape, bool per_output) {
    Codes codes;
    MASE_ASSIGN_OR_RETURN(codes.numbers, WholeNumbersOf(format));
    const WholeNumbers& numbers = codes.numbers;
    if (numbers.rounding != FormatProto::NEAREST_EVEN || !numbers.rounds_by_step) {
      return CannotWrite(
          "rounds in another way than to nearest, ties to even; ONNX has that alone");
    }
    const int64_t least = numbers.blocks[0].least, most = numbers.blocks[0].most;
    if (numbers.blocks.size() > 1) {
      bool fits = per_output && static_cast<int64_t>(numbers.blocks.size()) == shape[0] &&
                  static_cast<int>(numbers.block_size.size()) == shape.rank() &&
                  numbers.block_size[0] == 1;
      for (int axis = 1; fits && axis < shape.rank(); ++axis) {
        fits = numbers.block_size[axis] == -1 || numbers.block_size[axis] >= shape[axis];
      }
      for (const WholeNumbers::Block& block : numbers.blocks) {
        fits &= block.least == least && block.most == most;
      }
      if (!fits)
        return CannotWrite("has ", numbers.blocks.size(), " scales; one, or of weights ",
                           "one for each output, can be written");
    }
    if (form_ == OnnxForm::kQonnx) return codes;
    if (most - least > 255) {
      return CannotWrite("has codes of ", numbers.width(), " bits; QDQ takes up to 8. ",
                         "`ch export qonnx` takes up to 24");
    }
    if (least >= -128 && most <= 127) return codes;
    codes.type = TensorProto::UINT8;
    codes.zero = std::max<int64_t>(-least, 0);
    codes.least = 0;
    codes.most = 255;
    if (most + codes.zero > 255) return CannotWrite("has codes that are no bytes");
    return codes;
  }

  // Scale and zero point as initializers.
  std::pair<std::string, std::string> Scales(const std::string& base, const Codes& codes) {
    std::vector<float> steps;
    for (const WholeNumbers::Block& block : codes.numbers.blocks) steps.push_back(block.step);
    const Shape shape = steps.size() == 1 ? Shape() : Shape({static_cast<int64_t>(steps.size())});
    const std::string scale = Floats(absl::StrCat(base, ".scale"), shape, steps);
    const std::string zero = absl::StrCat(base, ".zero_point");
    NewTensor(zero, shape, codes.type)
        .set_raw_data(std::string(steps.size(), static_cast<char>(codes.zero)));
    return {scale, zero};
  }

  // Quant of QONNX: numbers between the format's ends.
  absl::Status AddQuant(const std::string& in, const std::string& out, const Codes& codes,
                        const Shape& shape) {
    const WholeNumbers& numbers = codes.numbers;
    const int64_t least = numbers.blocks[0].least, most = numbers.blocks[0].most;
    const bool is_signed = least < 0;
    const int width = numbers.width();
    const int64_t lo = is_signed ? -(int64_t{1} << (width - 1)) : 0;
    if (least != lo || most != lo + (int64_t{1} << width) - 1) {
      return CannotWrite(
          "has a zero point, or ends that are not those of its width; QONNX's Quant ",
          "is written without");
    }
    std::vector<float> steps;
    for (const WholeNumbers::Block& block : numbers.blocks) steps.push_back(block.step);
    Shape scales;
    if (steps.size() > 1) {
      scales.push_back(static_cast<int64_t>(steps.size()));
      for (int axis = 1; axis < shape.rank(); ++axis) scales.push_back(1);
    }
    const std::string scale = Floats(absl::StrCat(out, ".scale"), scales, steps);
    NodeProto& node = Add("Quant", {in, scale, Number(out, 0), Number(out, width)}, out);
    node.set_domain(kQonnxDomain);
    SetInt(node, "signed", is_signed);
    SetInt(node, "narrow", 0);
    AttributeProto& mode = *node.add_attribute();
    mode.set_name("rounding_mode");
    mode.set_type(AttributeProto::STRING);
    mode.set_s("ROUND");
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> RoundedTensor(const Node& node, const GraphTensor& tensor,
                                            absl::string_view operand, const FormatProto& given) {
    const Shape& shape = tensor.value.shape();
    MASE_ASSIGN_OR_RETURN(const OperandView view,
                          ViewOperand(node, operand, given, shape, shapes_));
    absl::StatusOr<Codes> codes = CodesOf(view.format->proto(), shape, true);
    if (!codes.ok()) return Annotate(codes.status(), operand);
    const std::string out = absl::StrCat(tensor.name, ".of_", node.name());
    ++rounded_;
    if (form_ == OnnxForm::kQonnx) {
      if (written_.insert(tensor.name).second) {
        Floats(tensor.name, shape, tensor.value.data<float>());
      }
      MASE_RETURN_IF_ERROR(AddQuant(tensor.name, out, *codes, shape));
      return out;
    }
    std::vector<float> rounded(shape.elements());
    MASE_RETURN_IF_ERROR(
        view.format->Quantize(tensor.value.data<float>().data(), rounded.data(), view.shape));
    const int64_t blocks = static_cast<int64_t>(codes->numbers.blocks.size());
    const int64_t per_block = std::max<int64_t>(shape.elements() / blocks, 1);
    std::string bytes;
    for (int64_t i = 0; i < shape.elements(); ++i) {
      const double step = codes->numbers.blocks[i / per_block].step;
      const double number = std::nearbyint(rounded[i] / step);
      if (!std::isfinite(number)) return CannotWrite(operand, " holds a number without a code");
      bytes.push_back(static_cast<char>(static_cast<int64_t>(number) + codes->zero));
    }
    const std::string name = absl::StrCat(out, ".codes");
    NewTensor(name, shape, codes->type).set_raw_data(bytes);
    const auto [scale, zero] = Scales(out, *codes);
    SetInt(Add("DequantizeLinear", {name, scale, zero}, out), "axis", 0);
    return out;
  }

  // A value as an operand of the node: rounded where the record says so.
  absl::StatusOr<std::string> Rounded(const Node& node, absl::string_view operand,
                                      const std::string& in, const std::string& base,
                                      const Shape& shape) {
    const FormatProto* format = FormatOf(node, operand);
    if (format == nullptr) return in;
    absl::StatusOr<Codes> codes = CodesOf(*format, shape, false);
    if (!codes.ok()) return Annotate(codes.status(), operand);
    ++rounded_;
    if (form_ == OnnxForm::kQonnx) {
      MASE_RETURN_IF_ERROR(AddQuant(in, base, *codes, shape));
      return base;
    }
    const WholeNumbers::Block& block = codes->numbers.blocks[0];
    std::string from = in;
    if (block.least + codes->zero > codes->least || block.most + codes->zero < codes->most) {
      const std::string cut = absl::StrCat(base, ".cut");
      Add("Clip",
          {from, Number(base, static_cast<double>(block.least) * block.step),
           Number(base, static_cast<double>(block.most) * block.step)},
          cut);
      from = cut;
    }
    const auto [scale, zero] = Scales(base, *codes);
    const std::string quantized = absl::StrCat(base, ".codes");
    Add("QuantizeLinear", {from, scale, zero}, quantized);
    Add("DequantizeLinear", {quantized, scale, zero}, base);
    return base;
  }

  void Describe(const std::string& name, const Shape& shape, int type,
                ::onnx::ValueInfoProto* info) {
    info->set_name(name);
    auto* tensor = info->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    tensor->mutable_shape();
    for (int axis = 0; axis < shape.rank(); ++axis) {
      auto* dim = tensor->mutable_shape()->add_dim();
      if (axis == 0) dim->set_dim_param("rows");
      if (axis > 0) dim->set_dim_value(shape[axis]);
    }
  }

  absl::Status AddNode(const Node& node) {
    if (node.kind() == NodeKind::kPlaceholder) {
      const ValueInfo& info = shapes_.info(node.outputs()[0]);
      Describe(node.name(), info.shape,
               info.dtype == DType::kInt64 ? TensorProto::INT64 : TensorProto::FLOAT,
               proto().add_input());
      names_[node.id()] = node.name();
      return absl::OkStatus();
    }
    if (node.kind() == NodeKind::kOutput) {
      for (const Value* value : node.inputs()) {
        Describe(names_[value->producer()->id()], shapes_.shape(value), TensorProto::FLOAT,
                 proto().add_output());
      }
      return absl::OkStatus();
    }
    if (node.Is(OpTrait::kFromShapes)) return absl::OkStatus();
    if (node.Is(OpTrait::kStored)) {
      MASE_ASSIGN_OR_RETURN(names_[node.id()], Tensor(node, "value"));
      return absl::OkStatus();
    }
    if (const Quantization* record = node.quantization(); record != nullptr) {
      auto* entry = model_.add_metadata_props();
      entry->set_key(absl::StrCat("mase.format.", node.name()));
      entry->set_value(DescribeRecord(*record));
      lost_ += form_ == OnnxForm::kFloat;
      for (const OperandFormat& operand : record->operand()) {
        if (form_ != OnnxForm::kFloat && operand.format().semantics() == FormatProto::REFERENCE) {
          return CannotWrite(
              "has REFERENCE semantics, MASE's own float arithmetic; quantize it with ",
              "EXACT semantics");
        }
      }
    }
    const Rule* rule = FindRule(node.op());
    if (rule == nullptr) return CannotWrite("is no op that can be written to ONNX");
    std::vector<std::string> in;
    for (size_t i = 0; i < node.inputs().size(); ++i) {
      const Node* producer = node.inputs()[i]->producer();
      if (producer->Is(OpTrait::kFromShapes)) continue;
      const int input = static_cast<int>(i);
      MASE_ASSIGN_OR_RETURN(std::string name,
                            Rounded(node, node.schema().InputOperand(input), names_[producer->id()],
                                    absl::StrCat(node.name(), ".in", i), InputShape(node, input)));
      in.push_back(std::move(name));
    }
    const bool rounds = FormatOf(node, operands::kDataOut) != nullptr;
    const std::string out = rounds ? absl::StrCat(node.name(), ".raw") : node.name();
    MASE_RETURN_IF_ERROR(rule->write(*this, node, in, out));
    names_[node.id()] = out;
    if (rounds) {
      MASE_ASSIGN_OR_RETURN(names_[node.id()],
                            Rounded(node, operands::kDataOut, out, node.name(), ShapeOf(node)));
    }
    return absl::OkStatus();
  }

 public:
  static void SetInt(NodeProto& node, const std::string& name, int64_t value) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::INT);
    attribute.set_i(value);
  }
  static void SetFloat(NodeProto& node, const std::string& name, double value) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::FLOAT);
    attribute.set_f(static_cast<float>(value));
  }
  static void SetInts(NodeProto& node, const std::string& name, const Ints& values) {
    AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::INTS);
    for (const int64_t value : values) attribute.add_ints(value);
  }

 private:
  const Graph& graph_;
  const OnnxForm form_;
  const InferredShapes shapes_;
  ::onnx::ModelProto model_;
  absl::flat_hash_map<int, std::string> names_;  // Of results, by node id.
  absl::flat_hash_set<std::string> written_;     // Tensors.
  int fresh_ = 0, rounded_ = 0, lost_ = 0;
};

// ---- The table

using Names = std::vector<std::string>;

Rule Same(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node&, const Names& in, const std::string& out) {
            e.Add(onnx, in, out);
            return absl::OkStatus();
          }};
}

Rule WithNumber(absl::string_view op, const char* onnx, const char* ours, const char* theirs) {
  return {op, [=](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            Exporter::SetFloat(e.Add(onnx, in, out), theirs, node.attributes().Float(ours));
            return absl::OkStatus();
          }};
}

Rule WithAxis(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            Exporter::SetInt(e.Add(onnx, in, out), "axis", node.attributes().Int("dim"));
            return absl::OkStatus();
          }};
}

absl::Status WriteClip(Exporter& e, const Names& in, const std::string& out, double low,
                       double high) {
  e.Add("Clip", {in[0], e.Number(out, low), e.Number(out, high)}, out);
  return absl::OkStatus();
}

absl::Status WriteLinear(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  MASE_ASSIGN_OR_RETURN(const std::string weight, e.Tensor(node, operands::kWeight));
  MASE_ASSIGN_OR_RETURN(const std::string bias, e.Tensor(node, operands::kBias));
  if (e.InputShape(node).rank() == 2) {
    Names inputs = {in[0], weight};
    if (!bias.empty()) inputs.push_back(bias);
    Exporter::SetInt(e.Add("Gemm", inputs, out), "transB", 1);
    return absl::OkStatus();
  }
  const std::string across = e.Fresh(out), product = bias.empty() ? out : e.Fresh(out);
  Exporter::SetInts(e.Add("Transpose", {weight}, across), "perm", {1, 0});
  e.Add("MatMul", {in[0], across}, product);
  if (!bias.empty()) e.Add("Add", {product, bias}, out);
  return absl::OkStatus();
}

Ints Twice(const Ints& values) {
  Ints both = values;
  both.insert(both.end(), values.begin(), values.end());
  return both;
}

absl::Status WriteConv(Exporter& e, const Node& node, const Names& in, const std::string& out,
                       const char* op) {
  MASE_ASSIGN_OR_RETURN(const std::string weight, e.Tensor(node, operands::kWeight));
  MASE_ASSIGN_OR_RETURN(const std::string bias, e.Tensor(node, operands::kBias));
  Names inputs = {in[0], weight};
  if (!bias.empty()) inputs.push_back(bias);
  const Attributes& a = node.attributes();
  NodeProto& conv = e.Add(op, inputs, out);
  Exporter::SetInts(conv, "kernel_shape", a.Ints("kernel_size"));
  Exporter::SetInts(conv, "strides", a.Ints("stride"));
  Exporter::SetInts(conv, "dilations", a.Ints("dilation"));
  Exporter::SetInts(conv, "pads", Twice(a.Ints("padding")));
  Exporter::SetInt(conv, "group", a.Int("groups"));
  if (a.Find("output_padding") != nullptr) {
    Exporter::SetInts(conv, "output_padding", a.Ints("output_padding"));
  }
  return absl::OkStatus();
}

Rule Conv(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            return WriteConv(e, node, in, out, onnx);
          }};
}

// Weight and bias, as ones and zeros where the module has none.
absl::Status AddAffine(Exporter& e, const Node& node, int64_t count, Names& inputs) {
  for (const absl::string_view local : {operands::kWeight, operands::kBias}) {
    MASE_ASSIGN_OR_RETURN(std::string name, e.Tensor(node, local));
    if (name.empty()) {
      const std::vector<float> values(count, local == operands::kWeight ? 1.0f : 0.0f);
      name = e.Floats(e.Fresh(node.name()), {count}, values);
    }
    inputs.push_back(std::move(name));
  }
  return absl::OkStatus();
}

absl::Status WriteBatchNorm(Exporter& e, const Node& node, const Names& in,
                            const std::string& out) {
  if (!node.attributes().Bool("track_running_stats")) {
    return CannotWrite("has no running statistics");
  }
  Names inputs = {in[0]};
  MASE_RETURN_IF_ERROR(AddAffine(e, node, node.attributes().Int("num_features"), inputs));
  for (const char* statistic : {"running_mean", "running_var"}) {
    MASE_ASSIGN_OR_RETURN(std::string name, e.Tensor(node, statistic));
    inputs.push_back(std::move(name));
  }
  Exporter::SetFloat(e.Add("BatchNormalization", inputs, out), "epsilon",
                     node.attributes().Float("eps"));
  return absl::OkStatus();
}

absl::Status WriteLayerNorm(Exporter& e, const Node& node, const Names& in,
                            const std::string& out) {
  const Ints& shape = node.attributes().Ints("normalized_shape");
  Names inputs = {in[0]};
  if (shape.size() != 1 && !node.attributes().Bool("elementwise_affine")) {
    return CannotWrite("has no weight over several axes");
  }
  MASE_RETURN_IF_ERROR(AddAffine(e, node, shape[0], inputs));
  NodeProto& norm = e.Add("LayerNormalization", inputs, out);
  Exporter::SetFloat(norm, "epsilon", node.attributes().Float("eps"));
  Exporter::SetInt(norm, "axis", -static_cast<int64_t>(shape.size()));
  return absl::OkStatus();
}

Rule Pool(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            const Attributes& a = node.attributes();
            NodeProto& pool = e.Add(onnx, in, out);
            Exporter::SetInts(pool, "kernel_shape", a.Ints("kernel_size"));
            Exporter::SetInts(pool, "strides", a.Ints("stride"));
            Exporter::SetInts(pool, "pads", Twice(a.Ints("padding")));
            Exporter::SetInt(pool, "ceil_mode", a.Bool("ceil_mode"));
            if (a.Find("count_include_pad") != nullptr) {
              Exporter::SetInt(pool, "count_include_pad", a.Bool("count_include_pad"));
            }
            return absl::OkStatus();
          }};
}

// Windows of one size that cover the input without overlaps, or a single one.
Rule AdaptivePool(absl::string_view op, const char* global, const char* windows) {
  return {op, [=](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            const Ints& sizes = node.attributes().Ints("output_size");
            const Shape& shape = e.InputShape(node);
            if (std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n == 1; })) {
              e.Add(global, in, out);
              return absl::OkStatus();
            }
            Ints kernel;
            for (size_t i = 0; i < sizes.size(); ++i) {
              const int64_t extent = shape[static_cast<int>(i) + 2];
              if (extent % sizes[i] != 0) {
                return CannotWrite("has windows of different sizes: ", extent, " into ", sizes[i]);
              }
              kernel.push_back(extent / sizes[i]);
            }
            NodeProto& pool = e.Add(windows, in, out);
            Exporter::SetInts(pool, "kernel_shape", kernel);
            Exporter::SetInts(pool, "strides", kernel);
            return absl::OkStatus();
          }};
}

absl::Status WriteView(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  // Extents for this batch, but for the rows, which stay open.
  const Shape& from = e.InputShape(node);
  const Shape& to = e.ShapeOf(node);
  Ints shape(to.dims().begin(), to.dims().end());
  if (to.rank() == 0 || from.rank() == 0 || to[0] != from[0]) {
    return CannotWrite("moves the rows: ", from.ToString(), " becomes ", to.ToString());
  }
  shape[0] = 0;  // Copied.
  e.Add("Reshape", {in[0], e.Numbers(out, shape)}, out);
  return absl::OkStatus();
}

absl::Status WritePermute(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  const int rank = e.ShapeOf(node).rank();
  Ints dims(rank);
  for (int i = 0; i < rank; ++i) dims[i] = i;
  const auto front = [rank](int64_t axis) { return axis < 0 ? axis + rank : axis; };
  if (node.op() == ops::kPermute) {
    dims = node.attributes().Ints("dims");
    for (int64_t& axis : dims) axis = front(axis);
  } else {
    std::swap(dims[front(node.attributes().Int("dim0"))],
              dims[front(node.attributes().Int("dim1"))]);
  }
  Exporter::SetInts(e.Add("Transpose", in, out), "perm", dims);
  return absl::OkStatus();
}

// Axes are an attribute of all of them in opset 17, but an input of ReduceSum.
Rule Reduce(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            const Ints& dims = node.attributes().Ints("dims");
            const bool by_input = absl::string_view(onnx) == "ReduceSum";
            Names inputs = in;
            if (by_input) inputs.push_back(e.Numbers(out, dims));
            NodeProto& reduce = e.Add(onnx, inputs, out);
            if (!by_input) Exporter::SetInts(reduce, "axes", dims);
            Exporter::SetInt(reduce, "keepdims", node.attributes().Bool("keepdim"));
            return absl::OkStatus();
          }};
}

absl::Status WriteGelu(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  if (node.attributes().String("approximate") != "none") {
    return CannotWrite("is the approximation by tanh");
  }
  const std::string scaled = e.Fresh(out), erf = e.Fresh(out), one = e.Fresh(out),
                    half = e.Fresh(out);
  e.Add("Mul", {in[0], e.Number(out, M_SQRT1_2)}, scaled);
  e.Add("Erf", {scaled}, erf);
  e.Add("Add", {erf, e.Number(out, 1)}, one);
  e.Add("Mul", {in[0], e.Number(out, 0.5)}, half);
  e.Add("Mul", {half, one}, out);
  return absl::OkStatus();
}

absl::Status WriteSilu(Exporter& e, const Node&, const Names& in, const std::string& out) {
  const std::string gate = e.Fresh(out);
  e.Add("Sigmoid", in, gate);
  e.Add("Mul", {in[0], gate}, out);
  return absl::OkStatus();
}

absl::Status WriteEmbedding(Exporter& e, const Node& node, const Names& in,
                            const std::string& out) {
  MASE_ASSIGN_OR_RETURN(const std::string weight, e.Tensor(node, operands::kWeight));
  e.Add("Gather", {weight, in[0]}, out);
  return absl::OkStatus();
}

absl::Status WriteSlice(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  const Attributes& a = node.attributes();
  e.Add("Slice",
        {in[0], e.Numbers(out, {a.Int("start")}), e.Numbers(out, {a.Int("end")}),
         e.Numbers(out, {a.Int("dim")}), e.Numbers(out, {a.Int("step")})},
        out);
  return absl::OkStatus();
}

absl::Status WriteIndexSelect(Exporter& e, const Node& node, const Names& in,
                              const std::string& out) {
  const std::string index = e.Numbers(out, node.attributes().Ints("index"));
  Exporter::SetInt(e.Add("Gather", {in[0], index}, out), "axis", node.attributes().Int("dim"));
  return absl::OkStatus();
}

const std::vector<Rule>& Rules() {
  static const auto& rules = *new std::vector<Rule>{
      {ops::kLinear, WriteLinear},
      Conv(ops::kConv1d, "Conv"),
      Conv(ops::kConv2d, "Conv"),
      Conv(ops::kConvTranspose2d, "ConvTranspose"),
      {ops::kBatchNorm1d, WriteBatchNorm},
      {ops::kBatchNorm2d, WriteBatchNorm},
      {ops::kLayerNorm, WriteLayerNorm},
      Same(ops::kMatmul, "MatMul"),
      Same(ops::kBmm, "MatMul"),
      Same(ops::kRelu, "Relu"),
      {ops::kRelu6, [](Exporter& e, const Node&, const Names& in,
                       const std::string& out) { return WriteClip(e, in, out, 0, 6); }},
      {ops::kHardtanh,
       [](Exporter& e, const Node& node, const Names& in, const std::string& out) {
         return WriteClip(e, in, out, node.attributes().Float("min_val"),
                          node.attributes().Float("max_val"));
       }},
      {ops::kGelu, WriteGelu},
      {ops::kSilu, WriteSilu},
      WithNumber(ops::kLeakyRelu, "LeakyRelu", "negative_slope", "alpha"),
      WithNumber(ops::kElu, "Elu", "alpha", "alpha"),
      Same(ops::kSelu, "Selu"),
      Same(ops::kSigmoid, "Sigmoid"),
      Same(ops::kTanh, "Tanh"),
      Same(ops::kSoftsign, "Softsign"),
      Same(ops::kHardswish, "HardSwish"),
      {ops::kHardsigmoid,
       [](Exporter& e, const Node&, const Names& in, const std::string& out) {
         Exporter::SetFloat(e.Add("HardSigmoid", in, out), "alpha", 1.0f / 6);
         return absl::OkStatus();
       }},
      Same(ops::kAbs, "Abs"),
      Same(ops::kCeil, "Ceil"),
      Same(ops::kCos, "Cos"),
      Same(ops::kErf, "Erf"),
      Same(ops::kExp, "Exp"),
      Same(ops::kFloor, "Floor"),
      Same(ops::kLog, "Log"),
      Same(ops::kNeg, "Neg"),
      Same(ops::kReciprocal, "Reciprocal"),
      Same(ops::kRound, "Round"),
      Same(ops::kSin, "Sin"),
      Same(ops::kSqrt, "Sqrt"),
      Same(ops::kAdd, "Add"),
      Same(ops::kSub, "Sub"),
      Same(ops::kMul, "Mul"),
      Same(ops::kDiv, "Div"),
      Same(ops::kPow, "Pow"),
      Same(ops::kMaximum, "Max"),
      Same(ops::kMinimum, "Min"),
      WithAxis(ops::kSoftmax, "Softmax"),
      WithAxis(ops::kLogSoftmax, "LogSoftmax"),
      WithAxis(ops::kCat, "Concat"),
      Pool(ops::kMaxPool1d, "MaxPool"),
      Pool(ops::kMaxPool2d, "MaxPool"),
      Pool(ops::kAvgPool1d, "AveragePool"),
      Pool(ops::kAvgPool2d, "AveragePool"),
      AdaptivePool(ops::kAdaptiveAvgPool1d, "GlobalAveragePool", "AveragePool"),
      AdaptivePool(ops::kAdaptiveAvgPool2d, "GlobalAveragePool", "AveragePool"),
      AdaptivePool(ops::kAdaptiveMaxPool1d, "GlobalMaxPool", "MaxPool"),
      AdaptivePool(ops::kAdaptiveMaxPool2d, "GlobalMaxPool", "MaxPool"),
      Reduce(ops::kMean, "ReduceMean"),
      Reduce(ops::kSum, "ReduceSum"),
      Reduce(ops::kAmax, "ReduceMax"),
      Reduce(ops::kAmin, "ReduceMin"),
      {ops::kFlatten, WriteView},
      {ops::kView, WriteView},
      {ops::kReshape, WriteView},
      {ops::kPermute, WritePermute},
      {ops::kTranspose, WritePermute},
      {ops::kSlice, WriteSlice},
      {ops::kIndexSelect, WriteIndexSelect},
      {ops::kEmbedding, WriteEmbedding},
      Same(ops::kDropout, "Identity"),
      Same(ops::kIdentity, "Identity"),
  };
  return rules;
}

const Rule* FindRule(absl::string_view op) {
  for (const Rule& rule : Rules()) {
    if (rule.op == op) return &rule;
  }
  return nullptr;
}

// The results on these inputs.
absl::StatusOr<std::vector<float>> Results(const Graph& graph, Execution execution, int64_t rows,
                                           const std::vector<std::vector<float>>& floats,
                                           const std::vector<Ints>& ids) {
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, {.execution = execution}));
  std::vector<InputData> inputs;
  for (size_t i = 0; i < floats.size(); ++i) {
    ids[i].empty() ? inputs.emplace_back(floats[i].data()) : inputs.emplace_back(ids[i].data());
  }
  MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kInference, rows, inputs));
  return std::vector<float>(executor->output().begin(), executor->output().end());
}

}  // namespace

absl::StatusOr<ExportedNet> ExportOnnx(const Graph& graph, OnnxForm form) {
  constexpr int64_t kRows = 3;  // Any number; extents that are equal to it by chance do not matter.
  MASE_ASSIGN_OR_RETURN(InferredShapes shapes, InferShapesFor(graph, kRows));
  return Exporter(graph, form, std::move(shapes)).Run();
}

absl::StatusOr<double> WriteOnnx(absl::string_view path, const Graph& graph, OnnxForm form,
                                 const ExportedNet& net) {
  const std::string written = absl::StrCat(path, ".tmp-", ::getpid(), ".onnx");
  const absl::Cleanup remove = [&written] { std::remove(written.c_str()); };
  MASE_RETURN_IF_ERROR(WriteFileAtomically(written, net.bytes));
  MASE_ASSIGN_OR_RETURN(const ImportedNet read, ImportOnnx(written));
  constexpr int64_t kRows = 16;
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, kRows));
  TorchGenerator random(1);
  std::vector<std::vector<float>> floats;
  std::vector<Ints> ids;
  for (const Node* placeholder : graph.placeholders()) {
    const ValueInfo& info = shapes.info(placeholder->outputs()[0]);
    std::vector<float>& numbers = floats.emplace_back(info.shape.elements());
    random.FillNormal(absl::MakeSpan(numbers), 0, 1);
    ids.emplace_back();
    // The first rows of any table.
    if (info.dtype == DType::kInt64) ids.back().assign(numbers.size(), 0);
  }
  const Execution execution = form == OnnxForm::kFloat ? Execution::kFloat : Execution::kSimulated;
  MASE_ASSIGN_OR_RETURN(const std::vector<float> want,
                        Results(graph, execution, kRows, floats, ids));
  MASE_ASSIGN_OR_RETURN(const std::vector<float> got,
                        Results(read.graph, Execution::kSimulated, kRows, floats, ids));
  double largest = 0, difference = got.size() == want.size() ? 0 : HUGE_VAL;
  for (size_t i = 0; i < want.size() && i < got.size(); ++i) {
    largest = std::max<double>(largest, std::fabs(want[i]));
    const bool both_nan = std::isnan(want[i]) && std::isnan(got[i]);
    const double apart = std::fabs(static_cast<double>(want[i]) - got[i]);
    if (!both_nan) difference = std::isnan(apart) ? HUGE_VAL : std::max(difference, apart);
  }
  constexpr double kClose = 1e-5;
  if (!(difference <= kClose * largest)) {
    return absl::InternalError(absl::StrCat("the file, read back, differs from the net by ",
                                            difference, " of ", largest, "; it is not kept"));
  }
  MASE_RETURN_IF_ERROR(WriteFileAtomically(path, net.bytes));
  return largest == 0 ? 0.0 : difference / largest;
}

}  // namespace mase
