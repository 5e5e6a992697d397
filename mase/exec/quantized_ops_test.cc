// Every quantizable op, as module and as function, in every number format, EXACT and REFERENCE: it
// computes the plain op on rounded operands, and gradients pass the rounding by the format's rule;
// or an error says what there is instead.
//
// Operands come out of a linear layer that reads one-hot rows, so that its weights are the
// operand's values and their gradients the operand's. Everything is in double, so tolerances are
// tight.
#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/format/family.h"
#include "mase/quantize/operands.h"
#include "mase/quantize/reference.h"
#include "mase/quantize/rule.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/reference_kernels.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using Ints = std::vector<int64_t>;
using ::testing::AnyOf;
using ::testing::HasSubstr;

struct OpCase {
  std::string op;
  std::vector<Shape> inputs;
  Attributes attributes = {};
};

const std::vector<OpCase>& OpCases() {
  const Shape image = {4, 3, 4, 6}, signal = {4, 3, 8};
  static const auto& cases = *new std::vector<OpCase>{
      {"linear", {{4, 6}}, {{"in_features", int64_t{6}}, {"out_features", int64_t{5}}}},
      {"conv1d",
       {signal},
       {{"in_channels", int64_t{3}}, {"out_channels", int64_t{4}}, {"kernel_size", Ints{3}}}},
      {"conv2d",
       {image},
       {{"in_channels", int64_t{3}}, {"out_channels", int64_t{4}}, {"kernel_size", Ints{3, 3}}}},
      {"convtranspose2d",
       {image},
       {{"in_channels", int64_t{3}},
        {"out_channels", int64_t{4}},
        {"kernel_size", Ints{3, 2}},
        {"stride", Ints{2, 1}},
        {"bias", false}}},
      {"matmul", {signal, {4, 8, 5}}},
      {"bmm", {signal, {4, 8, 5}}},
      {"add", {signal, signal}},
      {"sub", {signal, {4, 3, 1}}},
      {"mul", {image, {4, 1, 4, 6}}},
      {"relu", {signal}},
      {"gelu", {signal}},
      {"selu", {signal}},
      {"silu", {signal}},
      {"tanh", {signal}},
      {"softsign", {signal}},
      {"softplus", {signal}},
      {"softmax", {signal}},
      {"avg_pool1d", {signal}, {{"kernel_size", Ints{2}}, {"stride", Ints{2}}}},
      {"avg_pool2d", {image}, {{"kernel_size", Ints{2, 2}}, {"stride", Ints{2, 2}}}},
      {"adaptive_avg_pool1d", {signal}, {{"output_size", Ints{4}}}},
      {"adaptive_avg_pool2d", {image}, {{"output_size", Ints{2, 3}}}},
      {"batch_norm1d", {{4, 6}}, {{"num_features", int64_t{6}}}},
      {"batch_norm2d", {image}, {{"num_features", int64_t{3}}}},
      {"layer_norm", {signal}, {{"normalized_shape", Ints{8}}, {"elementwise_affine", false}}},
      {"rms_norm", {signal}, {{"normalized_shape", Ints{8}}}},
      {"group_norm", {{4, 4, 3, 3}}, {{"num_groups", int64_t{2}}, {"num_channels", int64_t{4}}}},
      {"instance_norm2d", {image}, {{"num_features", int64_t{3}}}},
  };
  return cases;
}

// The op behind one linear layer per input.
class OperandNet {
 public:
  OperandNet(const OpCase& c, NodeKind kind) : net_(OneHot(c.inputs[0])) {
    std::vector<Value*> values;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      Value* x = i == 0 ? net_.input() : net_.Input(OneHot(c.inputs[i]));
      values.push_back(net_.Module("linear", {x},
                                   {{"in_features", Rows(c.inputs[i])},
                                    {"out_features", c.inputs[i][-1]},
                                    {"bias", false}}));
      rows_.emplace_back(Rows(c.inputs[i]) * Rows(c.inputs[i]));
      for (int64_t row = 0; row < Rows(c.inputs[i]); ++row) {
        rows_.back()[row * (Rows(c.inputs[i]) + 1)] = 1;
      }
    }
    node_ = (kind == NodeKind::kCallModule ? net_.Module(c.op, values, c.attributes)
                                           : net_.Function(c.op, values, c.attributes))
                ->producer();
    graph_ = net_.Finish({node_->outputs()[0]});
    shapes_ = ValueOrDie(InferShapesFor(graph_));
  }

  Graph& graph() { return graph_; }
  const GraphTensor& graph_tensor(absl::string_view name) const { return *graph_.FindTensor(name); }
  Node* node() const { return node_; }
  const InferredShapes& shapes() const { return shapes_; }
  std::vector<InputData> inputs() const {
    std::vector<InputData> pointers;
    for (const std::vector<double>& rows : rows_) pointers.push_back(rows.data());
    return pointers;
  }

  // The tensor that holds the values of input `i`, transposed.
  const std::string& InputTensor(int i) const {
    return *node_->inputs()[i]->producer()->FindParameter("weight");
  }

 private:
  static int64_t Rows(const Shape& shape) { return shape.elements() / shape[-1]; }
  static Shape OneHot(Shape shape) {
    const int64_t rows = Rows(shape);
    shape.set_dim(-1, rows);
    return shape;
  }

  TestNet net_;
  Graph graph_;
  Node* node_;
  InferredShapes shapes_;
  std::vector<std::vector<double>> rows_;
};

// [columns, rows] to [rows, columns].
template <typename T>
std::vector<T> Transposed(absl::Span<const T> values, int64_t rows) {
  const int64_t columns = static_cast<int64_t>(values.size()) / rows;
  std::vector<T> result(values.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) result[i * columns + j] = values[j * rows + i];
  }
  return result;
}

// One operand's tensor and what the record does to it.
struct Operand {
  std::string tensor;  // In the graph; transposed for an input.
  bool is_input = false;
  Shape shape;
  std::vector<float> values, rounded;
  std::shared_ptr<const Format> format;  // Null: stays float.
  Shape view;
};

class PairTest {
 public:
  PairTest(const OpCase& c, NodeKind kind, const FormatProto& format)
      : op_(c.op), net_(c, kind), format_(format) {}

  // An error, or OK after all expectations.
  absl::Status Run() {
    MASE_RETURN_IF_ERROR(MakeRecord());
    MASE_RETURN_IF_ERROR(RoundOperands());
    MASE_ASSIGN_OR_RETURN(auto executor, Executor64::Create(net_.graph()));
    MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kInference, 4, net_.inputs()));
    ExpectNear(executor->output(), RoundOutput(PlainOp()), "inference");
    return CheckTraining(*executor);
  }

 private:
  absl::Status MakeRecord() {
    MASE_ASSIGN_OR_RETURN(const RuleFormat rule, UniformRule(format_));
    MASE_ASSIGN_OR_RETURN(const Quantization record,
                          QuantizationFor(*net_.node(), rule, net_.shapes()));
    net_.graph().SetQuantization(net_.node(), record);
    return absl::OkStatus();
  }

  absl::Status RoundOperands() {
    using Source = mase::Operand::Source;
    const Node& node = *net_.node();
    const auto role_of = [&node](Source source, int index) -> absl::string_view {
      for (const mase::Operand& operand : OperandsOf(node)) {
        if (operand.source == source && operand.index == index) return operand.role;
      }
      return "";
    };
    for (int i = 0; i < static_cast<int>(node.inputs().size()); ++i) {
      operands_.push_back({net_.InputTensor(i), true, net_.shapes().shape(node.inputs()[i])});
      MASE_RETURN_IF_ERROR(Round(role_of(Source::kInput, i), &operands_.back()));
    }
    for (int i = 0; i < static_cast<int>(node.parameters().size()); ++i) {
      const Parameter& parameter = node.parameters()[i];
      if (IgnoresTensor(node, parameter.name)) continue;
      const Tensor& tensor = net_.graph().FindTensor(parameter.tensor)->value;
      if (tensor.dtype() != DType::kFloat32) continue;
      operands_.push_back({parameter.tensor, false, tensor.shape()});
      MASE_RETURN_IF_ERROR(Round(role_of(Source::kTensor, i), &operands_.back()));
    }
    return absl::OkStatus();
  }

  absl::Status Round(absl::string_view name, Operand* operand) {
    const auto stored = net_.graph().FindTensor(operand->tensor)->value.data<float>();
    operand->values.assign(stored.begin(), stored.end());
    if (operand->is_input) {
      operand->values = Transposed<float>(operand->values, Rows(*operand));
    }
    operand->rounded = operand->values;
    const FormatProto* format = FindFormat(*net_.node(), name);
    if (format == nullptr || name.empty()) return absl::OkStatus();
    MASE_ASSIGN_OR_RETURN(const OperandView view,
                          ViewOperand(*net_.node(), name, *format, operand->shape, net_.shapes()));
    operand->format = view.format;
    operand->view = view.shape;
    return operand->format->Quantize(operand->values.data(), operand->rounded.data(), view.shape);
  }

  static int64_t Rows(const Operand& operand) {
    return operand.shape.elements() / operand.shape[-1];
  }

  // The op in plain loops.
  std::vector<double> PlainOp() const {
    std::vector<Array> inputs;
    std::vector<NamedArray> tensors;
    for (const Operand& operand : operands_) {
      Array array = {operand.shape, {operand.rounded.begin(), operand.rounded.end()}};
      if (operand.is_input) {
        inputs.push_back(std::move(array));
      } else {
        tensors.push_back({operand.tensor.substr(operand.tensor.rfind('.') + 1), array});
      }
    }
    return ReferenceForward(op_, EffectiveAttributes(*net_.node()), inputs, tensors,
                            net_.shapes().shape(net_.node()->outputs()[0]), false)
        .values;
  }

  std::vector<double> RoundOutput(std::vector<double> values) const {
    const FormatProto* proto = FindFormat(*net_.node(), "data_out");
    if (proto == nullptr) return values;
    std::vector<float> rounded(values.begin(), values.end());
    EXPECT_OK(ValueOrDie(Format::Create(*proto))
                  ->Quantize(rounded.data(), rounded.data(),
                             net_.shapes().shape(net_.node()->outputs()[0])));
    return {rounded.begin(), rounded.end()};
  }

  // The same net in float on the rounded operands has the same outputs, and its gradients, passed
  // back through the formats, are the quantized net's.
  absl::Status CheckTraining(Executor64& quantized) {
    Graph plain = net_.graph().Clone();
    plain.ClearQuantization(plain.FindNode(net_.node()->name()));
    for (const Operand& operand : operands_) {
      if (plain.FindTensor(operand.tensor)->buffer) continue;
      std::vector<float> values = operand.rounded;
      if (operand.is_input) values = Transposed<float>(values, operand.shape[-1]);
      const Shape stored = plain.FindTensor(operand.tensor)->value.shape();
      plain.SetTensor(operand.tensor, Tensor::FromValues<float>(stored, values), false);
    }
    for (const Parameter& parameter : net_.node()->parameters()) {
      // Without the tensor's effect: one for a weight, zero for a bias.
      if (!IgnoresTensor(*net_.node(), parameter.name)) continue;
      const Shape shape = plain.FindTensor(parameter.tensor)->value.shape();
      const float neutral = parameter.name == "weight" ? 1 : 0;
      plain.SetTensor(
          parameter.tensor,
          Tensor::FromValues<float>(shape, std::vector<float>(shape.elements(), neutral)), false);
    }
    MASE_ASSIGN_OR_RETURN(auto executor, Executor64::Create(plain));
    MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kTraining, 4, net_.inputs()));
    MASE_RETURN_IF_ERROR(quantized.Forward(ExecutionMode::kTraining, 4, net_.inputs()));
    const std::vector<double> output(executor->output().begin(), executor->output().end());
    ExpectNear(quantized.output(), RoundOutput(output), "training");
    const std::vector<float> diff = RandomValues(static_cast<int64_t>(output.size()), 9);
    std::vector<double> diff_output(diff.begin(), diff.end());
    MASE_RETURN_IF_ERROR(quantized.Backward({diff_output.data()}));
    PassOutputRounding(output, &diff_output);
    MASE_RETURN_IF_ERROR(executor->Backward({diff_output.data()}));
    for (const Operand& operand : operands_) CompareGradients(operand, quantized, *executor);
    return absl::OkStatus();
  }

  void PassOutputRounding(const std::vector<double>& output, std::vector<double>* diff) const {
    const FormatProto* proto = FindFormat(*net_.node(), "data_out");
    if (proto == nullptr) return;
    const std::vector<float> values(output.begin(), output.end());
    std::vector<float> gradient(diff->begin(), diff->end());
    EXPECT_OK(ValueOrDie(Format::Create(*proto))
                  ->Gradient(values.data(), gradient.data(), gradient.data(),
                             net_.shapes().shape(net_.node()->outputs()[0])));
    diff->assign(gradient.begin(), gradient.end());
  }

  static std::vector<double> GradientOf(const Executor64& executor, const Operand& operand) {
    for (const TensorSlot& slot : executor.parameter_slots()) {
      if (slot.name != operand.tensor) continue;
      const auto gradient = executor.gradients().subspan(slot.offset, slot.shape.elements());
      if (operand.is_input) return Transposed<double>(gradient, Rows(operand));
      return {gradient.begin(), gradient.end()};
    }
    return {};  // A buffer.
  }

  void CompareGradients(const Operand& operand, const Executor64& quantized,
                        const Executor64& plain) const {
    std::vector<double> want = GradientOf(plain, operand);
    ASSERT_EQ(want.empty(), net_.graph_tensor(operand.tensor).buffer);
    if (operand.format != nullptr && !want.empty()) {
      std::vector<float> gradient(want.begin(), want.end());
      EXPECT_OK(operand.format->Gradient(operand.values.data(), gradient.data(), gradient.data(),
                                         operand.view));
      want.assign(gradient.begin(), gradient.end());
    }
    ExpectNear(GradientOf(quantized, operand), want, operand.tensor);
  }

  static void ExpectNear(absl::Span<const double> got, const std::vector<double>& want,
                         absl::string_view what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    double largest = 1;
    for (const double value : want) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < want.size(); ++i) {
      if (std::isnan(want[i]) && std::isnan(got[i])) continue;
      ASSERT_NEAR(got[i], want[i], 1e-6 * largest) << what << " " << i;
    }
  }

  const std::string op_;
  OperandNet net_;
  const FormatProto format_;
  std::vector<Operand> operands_;
};

std::vector<NodeKind> KindsOf(absl::string_view op) {
  const OpSchema& schema = *FindOp(op);
  std::vector<NodeKind> kinds;
  if (!schema.module_class.empty()) kinds.push_back(NodeKind::kCallModule);
  if (!schema.function_type.empty() && schema.parameter_rule == nullptr) {
    kinds.push_back(NodeKind::kCallFunction);
  }
  return kinds;
}

struct Tally {
  int runs = 0;
  std::vector<std::string> errors;
};

Tally RunAll(FormatProto::Semantics semantics) {
  Tally tally;
  for (const OpCase& c : OpCases()) {
    for (const NodeKind kind : KindsOf(c.op)) {
      for (const Family* family : Families()) {
        FormatProto format;
        EXPECT_TRUE(
            google::protobuf::TextFormat::ParseFromString(std::string(family->example), &format));
        format.set_semantics(semantics);
        const std::string name =
            absl::StrCat(NodeKindName(kind), " ", c.op, " ", format.ShortDebugString());
        SCOPED_TRACE(name);
        const absl::Status status = PairTest(c, kind, format).Run();
        tally.runs += status.ok();
        if (status.ok()) continue;
        EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
        tally.errors.push_back(absl::StrCat(name, ": ", std::string(status.message())));
      }
    }
  }
  return tally;
}

TEST(QuantizedOpsTest, TheTableIsWhole) {
  std::set<std::string> tested, quantizable;
  for (const OpCase& c : OpCases()) tested.insert(c.op);
  for (const OpSchema* schema : AllOps()) {
    if (schema->quantizable) quantizable.insert(std::string(schema->name));
  }
  EXPECT_EQ(tested, quantizable);
}

TEST(QuantizedOpsTest, ExactRunsAllPairsButLayersWithTablesElsewhere) {
  const Tally tally = RunAll(FormatProto::EXACT);
  for (const std::string& error : tally.errors) {
    EXPECT_THAT(error, HasSubstr("there is no "));
    EXPECT_THAT(error, HasSubstr(", only linear, "));
  }
  EXPECT_GE(tally.runs, 600);
}

TEST(QuantizedOpsTest, ReferenceRunsWhatMaseHas) {
  const Tally tally = RunAll(FormatProto::REFERENCE);
  for (const std::string& error : tally.errors) {
    EXPECT_THAT(error, AnyOf(HasSubstr("REFERENCE"), HasSubstr(", only linear, ")));
  }
  EXPECT_GE(tally.runs, 130);
}

}  // namespace
}  // namespace mase
