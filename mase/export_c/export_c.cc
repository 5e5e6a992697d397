#include "mase/export_c/export_c.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "mase/base/random.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/integer_plan.h"
#include "mase/export_c/c_text.h"
#include "mase/format/format.h"
#include "mase/format/whole_numbers.h"
#include "mase/graph/shape_inference.h"
#include "mase/predict/predictor.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

constexpr int64_t kTestRows = 64;
constexpr int64_t kExactFloat = int64_t{1} << 24;
constexpr double kLargestSum = 0x1p61;

// log2 of a power of two.
int Exponent(float power) { return std::ilogb(power); }

// What a node computed, in the array `name`: floats, or whole numbers of 2^unit.
struct Value {
  bool whole = false;
  std::string name;
  int64_t count = 0;
  int unit = 0;
  int64_t bound = 0;  // The largest size of a whole number.
};

// The tensor of an operand as its record rounds it.
absl::StatusOr<std::vector<float>> RoundedTensor(const Node& node, absl::string_view operand,
                                                 const Graph& graph, const InferredShapes& shapes) {
  const Tensor& tensor = graph.FindTensor(*node.FindParameter(operand))->value;
  const FormatProto* proto = FindFormat(node, operand);
  MASE_ASSIGN_OR_RETURN(const OperandView view,
                        ViewOperand(node, operand, *proto, tensor.shape(), shapes));
  std::vector<float> rounded(tensor.shape().elements());
  MASE_RETURN_IF_ERROR(
      view.format->Quantize(tensor.data<float>().data(), rounded.data(), view.shape));
  return rounded;
}

class Writer {
 public:
  Writer(const Graph& graph, const InferredShapes& shapes, const IntegerPlans& plans)
      : graph_(graph), shapes_(shapes), plans_(plans) {}

  absl::Status Add(const Node& node);

  CProgram Finish(const std::string& name);

 private:
  std::string NewName(absl::string_view prefix) { return absl::StrCat(prefix, arrays_++); }
  // An array between layers, declared where the code is at.
  void Declare(absl::string_view type, const std::string& name, int64_t count) {
    absl::StrAppend(&code_, "  ", type, " ", name, "[", count, "];\n");
    program_.stack_bytes += CSizeOf(type) * count;
  }
  // "for" over all numbers of an array; $0 is the body.
  void ForEach(int64_t count, absl::string_view body) {
    absl::StrAppend(&code_, "  for (i = 0; i < ", count, "; ++i) ", body, "\n");
  }

  void Encode(const Codes& codes);
  void Norm(const Node& node);
  void CutNegatives();
  absl::Status Linear(const Node& node, const IntegerPlan& plan);

  const Graph& graph_;
  const InferredShapes& shapes_;
  const IntegerPlans& plans_;
  CHelpers helpers_;
  CProgram program_;
  std::string tables_;
  std::string front_;  // Code up to the first codes, once these are there.
  std::string code_;
  Value value_;
  Value codes_;  // The first codes; no name: none yet.
  std::string codes_type_;
  bool floats_after_codes_ = false;
  int arrays_ = 0;
};

// value_ becomes codes: whole numbers of their scale.
void Writer::Encode(const Codes& codes) {
  const int64_t least = codes.least(), most = codes.most();
  const std::string to = NewName("c");
  const std::string type(CTypeFor(least, most));
  const int unit = Exponent(codes.scale);
  Declare(type, to, value_.count);
  if (!value_.whole) {
    if (!codes.nan_is_zero) {
      ForEach(value_.count, absl::StrCat("if (", value_.name, "[i] != ", value_.name,
                                         "[i]) return -1;  /* no code for a NaN */"));
    }
    const std::string number = codes.nan_is_zero
                                   ? absl::Substitute("$0[i] == $0[i] ? $0[i] : 0.0f", value_.name)
                                   : absl::StrCat(value_.name, "[i]");
    ForEach(value_.count, absl::Substitute("$0[i] = ($1)$2($3, $4, $5, $6);", to, type,
                                           helpers_.Encode(codes.rounding), number,
                                           CFloat(1 / codes.scale), least, most));
  } else {
    const int shift = unit - value_.unit;
    const std::string number =
        value_.bound >= kExactFloat
            ? absl::StrCat(helpers_.ToFloatPrecision(), "(", value_.name, "[i])")
            : absl::StrCat(value_.name, "[i]");
    std::string code;
    if (shift > 0) {
      code = absl::StrCat(helpers_.Shift(codes.rounding), "(", number, ", ", shift, ")");
    } else if (shift == 0) {
      code = number;
    } else {
      // What is beyond the ends stays so when it is multiplied.
      code = absl::StrCat("(int64_t)", helpers_.Clamp(), "(", number, ", ", least, ", ", most,
                          ") * ((int64_t)1 << ", -shift, ")");
    }
    ForEach(value_.count, absl::Substitute("$0[i] = ($1)$2($3, $4, $5);", to, type,
                                           helpers_.Clamp(), code, least, most));
  }
  value_ = {true, to, value_.count, unit, std::max(-least, most)};
  if (codes_.name.empty()) {
    codes_ = value_;
    codes_type_ = type;
    front_ = std::exchange(code_, "");
  }
}

void Writer::Norm(const Node& node) {
  const auto tensor = [&](absl::string_view parameter) -> const float* {
    const std::string* name = node.FindParameter(parameter);
    return name == nullptr ? nullptr : graph_.FindTensor(*name)->value.data<float>().data();
  };
  const float *weight = tensor("weight"), *bias = tensor("bias");
  const float *mean = tensor("running_mean"), *variance = tensor("running_var");
  std::vector<float> means, scales, shifts;
  for (int64_t c = 0; c < value_.count; ++c) {
    means.push_back(mean[c]);
    scales.push_back(static_cast<float>((weight == nullptr ? 1.0 : weight[c]) /
                                        std::sqrt(variance[c] + node.attributes().Float("eps"))));
    shifts.push_back(bias == nullptr ? 0 : bias[c]);
  }
  const std::string id = NewName("");
  absl::StrAppend(&tables_, CTable("means" + id, means), CTable("scales" + id, scales),
                  CTable("shifts" + id, shifts));
  program_.constant_bytes += 12 * value_.count;
  const std::string to = NewName("x");
  Declare("float", to, value_.count);
  const std::string from = value_.whole ? absl::StrCat("(float)", value_.name, "[i] * ",
                                                       CFloat(std::ldexp(1.0f, value_.unit)))
                                        : absl::StrCat(value_.name, "[i]");
  // A statement each, which compilers may not contract to a fused multiply-add.
  ForEach(
      value_.count,
      absl::Substitute("{\n    float t = $0;\n    t = t - means$1[i];\n    t = t * scales$1[i];\n"
                       "    $2[i] = t + shifts$1[i];\n  }",
                       from, id, to));
  if (!codes_.name.empty()) floats_after_codes_ = true;
  value_ = {false, to, value_.count};
}

void Writer::CutNegatives() {
  const std::string from = value_.name;
  // An argument is not written to.
  if (from == "x" || from == codes_.name) {
    value_.name = NewName("r");
    Declare(value_.whole ? codes_type_ : "float", value_.name, value_.count);
  }
  // Of floats a NaN stays one.
  ForEach(value_.count, absl::Substitute(value_.whole ? "$0[i] = $1[i] > 0 ? $1[i] : 0;"
                                                      : "$0[i] = $1[i] < 0 ? 0.0f : $1[i];",
                                         value_.name, from));
}

absl::Status Writer::Linear(const Node& node, const IntegerPlan& plan) {
  MASE_ASSIGN_OR_RETURN(const std::vector<float> weight,
                        RoundedTensor(node, operands::kWeight, graph_, shapes_));
  const int64_t depth = value_.count, outputs = static_cast<int64_t>(weight.size()) / depth;
  std::vector<float> bias(outputs, 0);
  int unit = INT_MAX;  // Of the sums: the finest of all.
  for (float scale : plan.weight.scales) unit = std::min(unit, value_.unit + Exponent(scale));
  if (node.FindParameter(operands::kBias) != nullptr) {
    const FormatProto* format = FindFormat(node, operands::kBias);
    const auto numbers =
        format == nullptr ? absl::UnimplementedError("it has none") : WholeNumbersOf(*format);
    if (!numbers.ok() || !numbers->powers_of_two() || numbers->blocks.size() != 1) {
      return absl::UnimplementedError(
          "its bias needs a format of whole numbers whose step is a power of two");
    }
    MASE_ASSIGN_OR_RETURN(bias, RoundedTensor(node, operands::kBias, graph_, shapes_));
    unit = std::min(unit, Exponent(numbers->blocks[0].step));
  }
  std::vector<int64_t> codes, biases, shifts;
  double bound = 0;
  for (int64_t o = 0; o < outputs; ++o) {
    const float scale = plan.weight.scales[plan.weight.scales.size() == 1 ? 0 : o];
    const int shift = value_.unit + Exponent(scale) - unit;
    double size = 0;
    for (int64_t k = 0; k < depth; ++k) {
      codes.push_back(static_cast<int64_t>(weight[o * depth + k] / scale));
      size += std::abs(static_cast<double>(codes.back()));
    }
    const double offset = std::ldexp(static_cast<double>(bias[o]), -unit);
    size = std::ldexp(size * static_cast<double>(value_.bound), shift) + std::abs(offset);
    bound = std::max(bound, size);
    if (shift > 61 || !(bound < kLargestSum)) {
      return absl::UnimplementedError("its sums and its bias need more than 62 bits together");
    }
    biases.push_back(static_cast<int64_t>(offset));
    shifts.push_back(shift);
  }
  const std::string id = NewName("");
  absl::string_view weight_type =
      CTypeFor(*absl::c_min_element(codes), *absl::c_max_element(codes));
  if (weight_type == "uint8_t" && *absl::c_max_element(codes) <= 127) weight_type = "int8_t";
  const absl::string_view sum_type = bound < 0x1p31 ? "int32_t" : "int64_t";
  absl::StrAppend(&tables_, CTable("w" + id, weight_type, codes),
                  CTable("b" + id, sum_type, biases));
  program_.constant_bytes +=
      CSizeOf(weight_type) * static_cast<int64_t>(codes.size()) + CSizeOf(sum_type) * outputs;
  const bool shifted = absl::c_any_of(shifts, [](int64_t shift) { return shift != 0; });
  const bool even = absl::c_all_of(shifts, [&](int64_t shift) { return shift == shifts[0]; });
  if (shifted && !even) {
    absl::StrAppend(&tables_, CTable("n" + id, "uint8_t", shifts));
    program_.constant_bytes += outputs;
  }
  const std::string to = NewName("s");
  Declare(sum_type, to, outputs);
  std::string whole = absl::StrCat("(", sum_type, ")sum");
  if (shifted) {
    absl::StrAppend(&whole, " * ((", sum_type, ")1 << ",
                    even ? absl::StrCat(shifts[0]) : absl::StrCat("n", id, "[i]"), ")");
  }
  ForEach(outputs,
          absl::Substitute("{\n    int32_t sum = 0;\n"
                           "    for (k = 0; k < $0; ++k) sum += (int32_t)$1[k] * w$2[i * $0 + k];\n"
                           "    $3[i] = $4 + b$2[i];\n  }",
                           depth, value_.name, id, to, whole));
  value_ = {true, to, outputs, unit, static_cast<int64_t>(std::ceil(bound))};
  return absl::OkStatus();
}

absl::Status Writer::Add(const Node& node) {
  if (node.kind() == NodeKind::kPlaceholder) {
    if (!value_.name.empty()) return absl::UnimplementedError("a second input");
    const Shape& shape = shapes_.shape(node.outputs()[0]);
    if (shape.rank() != 2) {
      return absl::UnimplementedError(absl::StrCat("rows of ", shape.ToString(), ", no vectors"));
    }
    value_ = {false, "x", shape[1]};
    program_.inputs = shape[1];
    return absl::OkStatus();
  }
  if (node.inputs().size() != 1 || node.inputs()[0]->uses().size() != 1) {
    return absl::UnimplementedError("the net is no chain here");
  }
  const absl::StatusOr<IntegerPlan>& plan = plans_.of(node);
  if (node.kind() == NodeKind::kOutput) return absl::OkStatus();
  if (!absl::IsNotFound(plan.status())) {
    MASE_RETURN_IF_ERROR(plan.status());
    if (!plan->exact) return absl::UnimplementedError("a scale that is no power of two");
    const bool linear = node.op() == ops::kLinear;
    if (!linear && node.op() != ops::kRelu) {
      return absl::UnimplementedError("the C export has linear, relu and batch_norm1d");
    }
    Encode(plan->inputs[0]);
    if (linear) {
      MASE_RETURN_IF_ERROR(Linear(node, *plan));
    } else {
      CutNegatives();
    }
    if (plan->result.has_value()) Encode(*plan->result);
    return absl::OkStatus();
  }
  if (node.op() == ops::kRelu) {
    CutNegatives();
  } else if (node.op() == ops::kBatchNorm1d) {
    if (node.FindParameter("running_mean") == nullptr) {
      return absl::UnimplementedError("a norm by the statistics of the batch");
    }
    Norm(node);
  } else if (!node.Is(OpTrait::kRenames) && !node.Is(OpTrait::kRenamesAtRest)) {
    return absl::UnimplementedError(node.op() == ops::kLinear
                                        ? "has no record; quantize it to integer formats"
                                        : "the C export has linear, relu and batch_norm1d");
  }
  return absl::OkStatus();
}

CProgram Writer::Finish(const std::string& name) {
  program_.outputs = value_.count;
  program_.on_codes = !codes_.name.empty() && !floats_after_codes_ && value_.whole;
  const std::string upper = absl::AsciiStrToUpper(name);
  const std::string scale = value_.whole ? CFloat(std::ldexp(1.0f, value_.unit)) : "1.0f";
  const std::string result_type = value_.bound < (int64_t{1} << 31) ? "int32_t" : "int64_t";

  std::string& header = program_.header;
  absl::StrAppend(&header,
                  "/* Written by `ch export c`: a net without floats between its layers, for any "
                  "C99 compiler. */\n"
                  "#ifndef ",
                  upper, "_H_\n#define ", upper,
                  "_H_\n\n#include <stdint.h>\n\n"
                  "#define ",
                  upper, "_INPUTS ", program_.inputs, "\n#define ", upper, "_OUTPUTS ",
                  program_.outputs, "\n\n");
  absl::StrAppend(&header,
                  "/* Writes the results of one row to y. 0, or -1 where x has a NaN. */\nint ",
                  name, "(const float x[", upper, "_INPUTS], float y[", upper, "_OUTPUTS]);\n");
  if (program_.on_codes) {
    absl::StrAppend(&header, "\n/* The same from codes, whole numbers of ", upper,
                    "_CODE_SCALE, without a float: results\n"
                    "   are whole numbers of ",
                    upper,
                    "_RESULT_SCALE. */\n"
                    "#define ",
                    upper, "_CODES ", codes_.count,
                    "\n"
                    "#define ",
                    upper, "_CODE_SCALE ", CFloat(std::ldexp(1.0f, codes_.unit)),
                    "\n"
                    "#define ",
                    upper, "_RESULT_SCALE ", scale,
                    "\n"
                    "void ",
                    name, "_codes(const ", codes_type_, " c[", upper, "_CODES], ", result_type,
                    " y[", upper, "_OUTPUTS]);\n");
  }
  absl::StrAppend(&header, "\n#endif\n");

  std::string& source = program_.source;
  absl::StrAppend(&source, "/* Written by `ch export c`. */\n#include \"", name, ".h\"\n\n",
                  helpers_.text(), tables_, "\n");
  const auto loop_variables = [](absl::string_view code) {
    return absl::StrContains(code, "k = 0") ? "  int i, k;\n" : "  int i;\n";
  };
  const std::string store = absl::StrCat("  for (i = 0; i < ", value_.count, "; ++i) y[i] = ");
  if (program_.on_codes) {
    // The first array of codes is the argument.
    absl::StrAppend(&source, "void ", name, "_codes(const ", codes_type_, " ", codes_.name, "[",
                    upper, "_CODES], ", result_type, " y[", upper, "_OUTPUTS]) {\n",
                    loop_variables(code_), code_, store, value_.name, "[i];\n}\n\n");
    absl::StrAppend(&source, "int ", name, "(const float x[", upper, "_INPUTS], float y[", upper,
                    "_OUTPUTS]) {\n", loop_variables(front_), "  ", result_type, " whole[", upper,
                    "_OUTPUTS];\n", front_, "  ", name, "_codes(", codes_.name, ", whole);\n",
                    store, "(float)whole[i] * ", upper, "_RESULT_SCALE;\n  return 0;\n}\n");
    program_.stack_bytes += program_.outputs * CSizeOf(result_type);
  } else {
    const std::string all = front_ + code_;
    absl::StrAppend(&source, "int ", name, "(const float x[", upper, "_INPUTS], float y[", upper,
                    "_OUTPUTS]) {\n", loop_variables(all), all, store,
                    value_.whole ? absl::StrCat("(float)", value_.name, "[i] * ", scale)
                                 : absl::StrCat(value_.name, "[i]"),
                    ";\n  return 0;\n}\n");
  }
  return std::move(program_);
}

// A main() that compares rows with what the integer run made of them.
absl::StatusOr<std::string> TestOf(const Graph& graph, const CProgram& program,
                                   const std::string& name) {
  MASE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Predictor> predictor,
      Predictor::Create(graph, nullptr, {.execution = Execution::kInteger, .apply_recipe = false}));
  std::vector<float> rows(kTestRows * program.inputs), results(kTestRows * program.outputs);
  TorchGenerator generator(0);
  generator.FillNormal(absl::MakeSpan(rows), 0, 2);
  MASE_RETURN_IF_ERROR(predictor->Predict(rows, absl::MakeSpan(results)));
  const std::string upper = absl::AsciiStrToUpper(name);
  return absl::Substitute(
      "/* Written by `ch export c`: rows, and what the integer run of mase made of them. */\n"
      "#include <stdio.h>\n#include <string.h>\n\n#include \"$0.h\"\n\n"
      "#define ROWS $1\n\n$2$3\n"
      "int main(void) {\n  int row, differ = 0;\n  for (row = 0; row < ROWS; ++row) {\n"
      "    float y[$4_OUTPUTS];\n"
      "    if ($0(rows + row * $4_INPUTS, y) != 0 ||\n"
      "        memcmp(y, results + row * $4_OUTPUTS, sizeof(y)) != 0) ++differ;\n  }\n"
      "  printf(\"%d of %d rows are equal, bit for bit\\n\", ROWS - differ, ROWS);\n"
      "  return differ != 0;\n}\n",
      name, kTestRows, CTable("rows", rows), CTable("results", results), upper);
}

bool IsCName(absl::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(name[0]) && name.size() <= 63 &&
         absl::c_all_of(name, [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

}  // namespace

absl::StatusOr<CProgram> ExportC(const Graph& graph, absl::string_view name) {
  if (!IsCName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' is no name of a C function; use letters, digits and '_'"));
  }
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  TensorStore store(graph, DType::kFloat32);
  MASE_RETURN_IF_ERROR(store.LoadFrom(graph));
  const IntegerPlans plans(graph, shapes, store);
  Writer writer(graph, shapes, plans);
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    MASE_RETURN_IF_ERROR(
        Annotate(writer.Add(*node), absl::StrCat("node '", node->name(), "' (", node->op(), ")")));
  }
  CProgram program = writer.Finish(std::string(name));
  MASE_ASSIGN_OR_RETURN(program.test, TestOf(graph, program, std::string(name)));
  return program;
}

}  // namespace mase
