// How nodes of the graph become ops of ONNX: a row of a table for each.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/onnx/exporter.h"

namespace mase {
namespace {

using ::onnx::NodeProto;
using Ints = std::vector<int64_t>;
using Names = std::vector<std::string>;

// Writes one node: `in` are the names of its inputs, `out` of its result.
using Write =
    std::function<absl::Status(Exporter&, const Node&, const Names& in, const std::string& out)>;
struct Rule {
  absl::string_view op;
  Write write;
};

Rule Same(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node&, const Names& in, const std::string& out) {
            e.writer().Add(onnx, in, out);
            return absl::OkStatus();
          }};
}

Rule WithNumber(absl::string_view op, const char* onnx, const char* ours, const char* theirs) {
  return {op, [=](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            OnnxWriter::SetFloat(e.writer().Add(onnx, in, out), theirs,
                                 node.attributes().Float(ours));
            return absl::OkStatus();
          }};
}

Rule WithAxis(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            OnnxWriter::SetInt(e.writer().Add(onnx, in, out), "axis", node.attributes().Int("dim"));
            return absl::OkStatus();
          }};
}

absl::Status WriteClip(Exporter& e, const Names& in, const std::string& out, double low,
                       double high) {
  e.writer().Add("Clip", {in[0], e.writer().Number(out, low), e.writer().Number(out, high)}, out);
  return absl::OkStatus();
}

absl::Status WriteLinear(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  MASE_ASSIGN_OR_RETURN(const std::string weight, e.Tensor(node, operands::kWeight));
  MASE_ASSIGN_OR_RETURN(const std::string bias, e.Tensor(node, operands::kBias));
  if (e.InputShape(node).rank() == 2) {
    Names inputs = {in[0], weight};
    if (!bias.empty()) inputs.push_back(bias);
    OnnxWriter::SetInt(e.writer().Add("Gemm", inputs, out), "transB", 1);
    return absl::OkStatus();
  }
  const std::string across = e.writer().Fresh(out),
                    product = bias.empty() ? out : e.writer().Fresh(out);
  OnnxWriter::SetInts(e.writer().Add("Transpose", {weight}, across), "perm", {1, 0});
  e.writer().Add("MatMul", {in[0], across}, product);
  if (!bias.empty()) e.writer().Add("Add", {product, bias}, out);
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
  SetWindows(node, e.writer().Add(op, inputs, out));
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
      name = e.writer().Floats(e.writer().Fresh(node.name()), {count}, values);
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
  OnnxWriter::SetFloat(e.writer().Add("BatchNormalization", inputs, out), "epsilon",
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
  NodeProto& norm = e.writer().Add("LayerNormalization", inputs, out);
  OnnxWriter::SetFloat(norm, "epsilon", node.attributes().Float("eps"));
  OnnxWriter::SetInt(norm, "axis", -static_cast<int64_t>(shape.size()));
  return absl::OkStatus();
}

Rule Pool(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            const Attributes& a = node.attributes();
            NodeProto& pool = e.writer().Add(onnx, in, out);
            OnnxWriter::SetInts(pool, "kernel_shape", a.Ints("kernel_size"));
            OnnxWriter::SetInts(pool, "strides", a.Ints("stride"));
            OnnxWriter::SetInts(pool, "pads", Twice(a.Ints("padding")));
            OnnxWriter::SetInt(pool, "ceil_mode", a.Bool("ceil_mode"));
            if (a.Find("count_include_pad") != nullptr) {
              OnnxWriter::SetInt(pool, "count_include_pad", a.Bool("count_include_pad"));
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
              e.writer().Add(global, in, out);
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
            NodeProto& pool = e.writer().Add(windows, in, out);
            OnnxWriter::SetInts(pool, "kernel_shape", kernel);
            OnnxWriter::SetInts(pool, "strides", kernel);
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
  e.writer().Add("Reshape", {in[0], e.writer().Numbers(out, shape)}, out);
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
  OnnxWriter::SetInts(e.writer().Add("Transpose", in, out), "perm", dims);
  return absl::OkStatus();
}

// Axes are an input from opset 18 on, and of ReduceSum since 13.
Rule Reduce(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            const Ints& dims = node.attributes().Ints("dims");
            const bool by_input =
                e.writer().opset() >= 18 || absl::string_view(onnx) == "ReduceSum";
            Names inputs = in;
            if (by_input) inputs.push_back(e.writer().Numbers(out, dims));
            NodeProto& reduce = e.writer().Add(onnx, inputs, out);
            if (!by_input) OnnxWriter::SetInts(reduce, "axes", dims);
            OnnxWriter::SetInt(reduce, "keepdims", node.attributes().Bool("keepdim"));
            return absl::OkStatus();
          }};
}

absl::Status WriteGelu(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  if (node.attributes().String("approximate") != "none") {
    return CannotWrite("is the approximation by tanh");
  }
  const std::string scaled = e.writer().Fresh(out), erf = e.writer().Fresh(out),
                    one = e.writer().Fresh(out), half = e.writer().Fresh(out);
  e.writer().Add("Mul", {in[0], e.writer().Number(out, M_SQRT1_2)}, scaled);
  e.writer().Add("Erf", {scaled}, erf);
  e.writer().Add("Add", {erf, e.writer().Number(out, 1)}, one);
  e.writer().Add("Mul", {in[0], e.writer().Number(out, 0.5)}, half);
  e.writer().Add("Mul", {half, one}, out);
  return absl::OkStatus();
}

absl::Status WriteSoftplus(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  if (node.attributes().Float("beta") != 1) return CannotWrite("has another beta than 1");
  e.writer().Add("Softplus", in, out);
  return absl::OkStatus();
}

// -log(1 + e^-x)
absl::Status WriteLogSigmoid(Exporter& e, const Node&, const Names& in, const std::string& out) {
  const std::string turned = e.writer().Fresh(out), soft = e.writer().Fresh(out);
  e.writer().Add("Neg", in, turned);
  e.writer().Add("Softplus", {turned}, soft);
  e.writer().Add("Neg", {soft}, out);
  return absl::OkStatus();
}

absl::Status WriteSilu(Exporter& e, const Node&, const Names& in, const std::string& out) {
  const std::string gate = e.writer().Fresh(out);
  e.writer().Add("Sigmoid", in, gate);
  e.writer().Add("Mul", {in[0], gate}, out);
  return absl::OkStatus();
}

absl::Status WriteEmbedding(Exporter& e, const Node& node, const Names& in,
                            const std::string& out) {
  MASE_ASSIGN_OR_RETURN(const std::string weight, e.Tensor(node, operands::kWeight));
  e.writer().Add("Gather", {weight, in[0]}, out);
  return absl::OkStatus();
}

// A comparison's truths as numbers.
Rule Comparison(absl::string_view op, const char* onnx) {
  return {op, [onnx](Exporter& e, const Node&, const Names& in, const std::string& out) {
            const std::string truth = e.writer().Fresh(out);
            e.writer().Add(onnx, in, truth);
            OnnxWriter::SetInt(e.writer().Add("Cast", {truth}, out), "to",
                               ::onnx::TensorProto::FLOAT);
            return absl::OkStatus();
          }};
}

absl::Status WriteWhere(Exporter& e, const Node&, const Names& in, const std::string& out) {
  const std::string truth = e.writer().Fresh(out);
  OnnxWriter::SetInt(e.writer().Add("Cast", {in[0]}, truth), "to", ::onnx::TensorProto::BOOL);
  e.writer().Add("Where", {truth, in[1], in[2]}, out);
  return absl::OkStatus();
}

Rule Shrink(absl::string_view op, bool moves) {
  return {op, [moves](Exporter& e, const Node& node, const Names& in, const std::string& out) {
            NodeProto& shrink = e.writer().Add("Shrink", in, out);
            const double lambd = node.attributes().Float("lambd");
            OnnxWriter::SetFloat(shrink, "lambd", lambd);
            OnnxWriter::SetFloat(shrink, "bias", moves ? lambd : 0);
            return absl::OkStatus();
          }};
}

absl::Status WriteSlice(Exporter& e, const Node& node, const Names& in, const std::string& out) {
  const Attributes& a = node.attributes();
  e.writer().Add(
      "Slice",
      {in[0], e.writer().Numbers(out, {a.Int("start")}), e.writer().Numbers(out, {a.Int("end")}),
       e.writer().Numbers(out, {a.Int("dim")}), e.writer().Numbers(out, {a.Int("step")})},
      out);
  return absl::OkStatus();
}

absl::Status WriteIndexSelect(Exporter& e, const Node& node, const Names& in,
                              const std::string& out) {
  const std::string index = e.writer().Numbers(out, node.attributes().Ints("index"));
  OnnxWriter::SetInt(e.writer().Add("Gather", {in[0], index}, out), "axis",
                     node.attributes().Int("dim"));
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
      {ops::kSoftplus, WriteSoftplus},
      {ops::kLogSigmoid, WriteLogSigmoid},
      WithNumber(ops::kLeakyRelu, "LeakyRelu", "negative_slope", "alpha"),
      WithNumber(ops::kElu, "Elu", "alpha", "alpha"),
      Same(ops::kSelu, "Selu"),
      Same(ops::kSigmoid, "Sigmoid"),
      Same(ops::kTanh, "Tanh"),
      Same(ops::kSoftsign, "Softsign"),
      Same(ops::kHardswish, "HardSwish"),
      {ops::kHardsigmoid,
       [](Exporter& e, const Node&, const Names& in, const std::string& out) {
         OnnxWriter::SetFloat(e.writer().Add("HardSigmoid", in, out), "alpha", 1.0f / 6);
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
      Comparison(ops::kGt, "Greater"),
      Comparison(ops::kGe, "GreaterOrEqual"),
      Comparison(ops::kEq, "Equal"),
      {ops::kWhere, WriteWhere},
      Shrink(ops::kHardshrink, false),
      Shrink(ops::kSoftshrink, true),
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

}  // namespace

absl::Status WriteByRule(Exporter& exporter, const Node& node, const Names& in,
                         const std::string& out) {
  for (const Rule& rule : Rules()) {
    if (rule.op == node.op()) return rule.write(exporter, node, in, out);
  }
  return CannotWrite("is no op that can be written to ONNX");
}

void SetWindows(const Node& node, NodeProto& conv) {
  const Attributes& a = node.attributes();
  OnnxWriter::SetInts(conv, "kernel_shape", a.Ints("kernel_size"));
  OnnxWriter::SetInts(conv, "strides", a.Ints("stride"));
  OnnxWriter::SetInts(conv, "dilations", a.Ints("dilation"));
  OnnxWriter::SetInts(conv, "pads", Twice(a.Ints("padding")));
  OnnxWriter::SetInt(conv, "group", a.Int("groups"));
  if (a.Find("output_padding") != nullptr) {
    OnnxWriter::SetInts(conv, "output_padding", a.Ints("output_padding"));
  }
}

}  // namespace mase
