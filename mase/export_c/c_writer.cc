#include "mase/export_c/c_writer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "mase/base/status_macros.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

constexpr int64_t kExactFloat = int64_t{1} << 24;
constexpr int64_t kInt32 = int64_t{1} << 31;
constexpr absl::string_view kKnown =
    "the C export has linear, conv1d, conv2d, relu, batch_norm1d, batch_norm2d, pools, add, sub, "
    "mul";

// log2 of a power of two.
int Exponent(float power) { return std::ilogb(power); }

absl::string_view SumType(int64_t bound) { return bound < kInt32 ? "int32_t" : "int64_t"; }

// The shape of one row.
Shape RowOf(const Shape& shape) { return Shape(shape.dims().subspan(1)); }

}  // namespace

std::string CValue::at(absl::string_view index) const {
  const std::string number = absl::StrCat(name(), "[", index, "]");
  if (!cut) return number;
  // Of floats a NaN stays one.
  return absl::Substitute(whole ? "($0 > 0 ? $0 : 0)" : "($0 < 0 ? 0.0f : $0)", number);
}

CWindows WindowsOf(const Node& node, const Shape& from, const Shape& to) {
  CWindows windows;
  const int axes = from.rank() - 1;
  windows.channels = from[0];
  windows.height = axes == 2 ? from[1] : 1;
  windows.width = from[axes];
  windows.out_height = axes == 2 ? to[1] : 1;
  windows.out_width = to[axes];
  const Attributes& a = node.attributes();
  for (int axis = 0; axis < axes; ++axis) {
    const int at = axis + 2 - axes;
    if (a.Find("output_size") != nullptr) {  // Windows of one size, without overlaps.
      windows.kernel[at] = windows.stride[at] = from[axis + 1] / to[axis + 1];
      continue;
    }
    windows.kernel[at] = a.Ints("kernel_size")[axis];
    windows.stride[at] = a.Ints("stride")[axis];
    windows.padding[at] = a.Ints("padding")[axis];
    if (a.Find("dilation") != nullptr) windows.dilation[at] = a.Ints("dilation")[axis];
  }
  return windows;
}

std::string CWriter::Text(const Buffers& buffers, const std::string& code,
                          absl::string_view counters) {
  std::string text(counters);
  for (const absl::string_view counter : {"k", "o", "c", "r", "q", "u", "v"}) {
    if (absl::StrContains(code, absl::StrCat("(", counter, " = "))) {
      absl::StrAppend(&text, ", ", counter);
    }
  }
  absl::StrAppend(&text, ";\n");
  for (const auto& buffer : buffers) {
    absl::StrAppend(&text, "  ", buffer->type, " ", buffer->name, "[", buffer->count, "];\n");
  }
  return text + code;
}

std::string CWriter::Whole() const {
  Buffers all = front_buffers_;
  all.insert(all.end(), buffers_.begin(), buffers_.end());
  return Text(all, front_ + code_, "  int i");
}

int64_t CWriter::BufferBytes() const {
  int64_t bytes = 0;
  for (const Buffers* buffers : {&front_buffers_, &buffers_}) {
    for (const auto& buffer : *buffers) bytes += CSizeOf(buffer->type) * buffer->count;
  }
  return bytes;
}

std::shared_ptr<CBuffer> CWriter::Take(absl::string_view type, int64_t count) {
  // One that nobody else holds, of the nearest size.
  std::shared_ptr<CBuffer>* best = nullptr;
  const auto misfit = [count](const CBuffer& buffer) { return std::abs(buffer.count - count); };
  for (std::shared_ptr<CBuffer>& buffer : buffers_) {
    if (buffer.use_count() > 1 || buffer->type != type) continue;
    if (best == nullptr || misfit(*buffer) < misfit(**best)) best = &buffer;
  }
  if (best == nullptr) {
    buffers_.push_back(
        std::make_shared<CBuffer>(CBuffer{absl::StrCat("a", NewId()), std::string(type), count}));
    best = &buffers_.back();
  }
  (*best)->count = std::max((*best)->count, count);
  return *best;
}

CValue CWriter::TakeValue(absl::string_view type, const Shape& shape) {
  return {.buffer = Take(type, shape.elements()), .shape = shape};
}

void CWriter::ForEach(int64_t count, absl::string_view body) {
  absl::StrAppend(&code_, "  for (i = 0; i < ", count, "; ++i) ", body, "\n");
}

void CWriter::AddTable(absl::string_view name, absl::string_view type,
                       const std::vector<int64_t>& numbers) {
  absl::StrAppend(&tables_, CTable(name, type, numbers));
  constant_bytes_ += CSizeOf(type) * static_cast<int64_t>(numbers.size());
}

CValue CWriter::Input(const Node& node, int i) {
  const CValue value = values_[node.inputs()[i]->producer()->id()];
  if (!value.whole && codes_.buffer != nullptr) floats_after_codes_ = true;
  return value;
}

CValue CWriter::Encode(const Node* producer, const CValue& value, const Codes& codes) {
  auto& known = encoded_[producer->id()];
  for (const auto& [of, made] : known) {
    if (of == codes) return made;
  }
  const CValue made = Encoded(value, codes);
  known.emplace_back(codes, made);
  return made;
}

// Whole numbers of the codes' scale. Where negative numbers are read as 0, the least code is 0:
// numbers and their codes have one sign, and a choice of its own keeps gcc from vectorizing.
CValue CWriter::Encoded(const CValue& given, const Codes& codes) {
  CValue value = given;
  int64_t least = codes.least();
  const int64_t most = codes.most();
  std::string type(CTypeFor(least, most));
  if (value.cut && least <= 0 && most >= 0) {
    value.cut = false;
    least = 0;
  }
  if (codes_.buffer != nullptr) {  // The first are an argument, whose type is what it says.
    if (type == "int8_t") type = std::string(kByteCodes);
    if (type == "uint8_t") type = std::string(kUnsignedByteCodes);
  }
  const int unit = Exponent(codes.scale);
  CValue to = TakeValue(type, value.shape);
  if (!value.whole) {
    if (!codes.nan_is_zero) {
      Append(absl::Substitute(
          "  {\n    int nan = 0;\n    for (i = 0; i < $0; ++i) nan |= $1[i] != $1[i];\n"
          "    if (nan) return -1;  /* It has no code. */\n  }\n",
          value.count(), value.name()));
    }
    const std::string number = codes.nan_is_zero ? absl::Substitute("$0[i] == $0[i] ? $1 : 0.0f",
                                                                    value.name(), value.at("i"))
                                                 : value.at("i");
    ForEach(value.count(), absl::Substitute("$0[i] = ($1)$2($3, $4, $5, $6);", to.name(), type,
                                            helpers_.Encode(codes.rounding), number,
                                            CFloat(1 / codes.scale), least, most));
  } else {
    const int shift = unit - value.unit;
    // All of it in int32 where nothing on the way is larger.
    const bool narrow = value.bound < kInt32 / 2 && shift < 31 &&
                        (shift >= 0 || value.bound <= (kInt32 / 2) >> -shift);
    const std::string number =
        value.bound >= kExactFloat
            ? absl::StrCat(helpers_.ToFloatPrecision(), "(", value.at("i"), ")")
            : value.at("i");
    std::string code;
    if (shift > 62) {  // Nothing but the sign is left of it.
      code = absl::StrCat(helpers_.Shift(codes.rounding, false), "(", number, ", 62)");
    } else if (shift > 0) {
      code = absl::StrCat(helpers_.Shift(codes.rounding, narrow), "(", number, ", ", shift, ")");
    } else if (shift == 0) {
      code = number;
    } else if (narrow) {
      code = absl::StrCat(number, " * ((int32_t)1 << ", -shift, ")");
    } else {
      // What is beyond the ends stays so when it is multiplied.
      code = absl::StrCat("(int64_t)", helpers_.Clamp(false), "(", number, ", ", least, ", ", most,
                          ") * ((int64_t)1 << ", std::min(-shift, 32), ")");
    }
    ForEach(value.count(), absl::Substitute("$0[i] = ($1)$2($3, $4, $5);", to.name(), type,
                                            helpers_.Clamp(narrow), code, least, most));
  }
  to.whole = true;
  to.unit = unit;
  to.bound = std::max(-least, most);
  to.negative = least < 0 && (!value.whole || value.negative);
  if (codes_.buffer == nullptr) {
    // The argument of the function of codes: held for good, and no array of it.
    codes_ = to;
    front_ = std::exchange(code_, "");
    front_buffers_ = std::exchange(buffers_, {});
  }
  return to;
}

CValue CWriter::Norm(const Node& node, const CValue& from) {
  const auto tensor = [&](absl::string_view parameter) -> const float* {
    const std::string* name = node.FindParameter(parameter);
    return name == nullptr ? nullptr : graph_.FindTensor(*name)->value.data<float>().data();
  };
  const float *weight = tensor("weight"), *bias = tensor("bias");
  const float *mean = tensor("running_mean"), *variance = tensor("running_var");
  const int64_t channels = from.shape[0], inside = from.count() / std::max<int64_t>(channels, 1);
  std::vector<float> means, scales, shifts;
  for (int64_t c = 0; c < channels; ++c) {
    means.push_back(mean[c]);
    scales.push_back(static_cast<float>((weight == nullptr ? 1.0 : weight[c]) /
                                        std::sqrt(variance[c] + node.attributes().Float("eps"))));
    shifts.push_back(bias == nullptr ? 0 : bias[c]);
  }
  const std::string id = NewId();
  absl::StrAppend(&tables_, CTable("means" + id, means), CTable("scales" + id, scales),
                  CTable("shifts" + id, shifts));
  constant_bytes_ += 12 * channels;
  CValue to = TakeValue("float", from.shape);
  const std::string number =
      from.whole ? absl::StrCat("(float)", from.at("i"), " * ", CFloat(std::ldexp(1.0f, from.unit)))
                 : from.at("i");
  // A statement each, which compilers may not contract to a fused multiply-add.
  ForEach(
      from.count(),
      absl::Substitute("{\n    float t = $0;\n    t = t - means$1[$3];\n"
                       "    t = t * scales$1[$3];\n    $2[i] = t + shifts$1[$3];\n  }",
                       number, id, to.name(), inside == 1 ? "i" : absl::StrCat("i / ", inside)));
  if (codes_.buffer != nullptr) floats_after_codes_ = true;
  return to;
}

// Whoever reads the array cuts.
CValue CWriter::CutNegatives(CValue value) {
  value.cut = value.negative || !value.whole;
  value.negative = value.negative && !value.whole;
  return value;
}

// $BODY for every element $at of the window of output o = (c, r, q) that is inside.
namespace {
std::string WindowLoops(const CWindows& w, absl::string_view begin, absl::string_view body,
                        absl::string_view end) {
  return absl::Substitute(
             "  for (c = 0; c < $0; ++c) for (r = 0; r < $1; ++r) for (q = 0; q < $2; ++q) {\n"
             "$3"
             "    for (u = 0; u < $4; ++u) for (v = 0; v < $5; ++v) {\n"
             "      const int y_at = r * $6 + u - $7, x_at = q * $8 + v - $9;\n",
             w.channels, w.out_height, w.out_width, begin, w.kernel[0], w.kernel[1], w.stride[0],
             w.padding[0], w.stride[1], w.padding[1]) +
         absl::Substitute(
             "      if (y_at >= 0 && y_at < $0 && x_at >= 0 && x_at < $1) {\n"
             "        const int at = (c * $0 + y_at) * $1 + x_at;\n        $2\n      }\n    }\n"
             "    $3\n  }\n",
             w.height, w.width, body, end);
}
}  // namespace

CValue CWriter::MaxPool(const Node& node, const CValue& from) {
  const CWindows w = WindowsOf(node, from.shape, RowOf(shapes_.shape(node.outputs()[0])));
  CValue to = from;
  to.shape = RowOf(shapes_.shape(node.outputs()[0]));
  to.buffer = Take(from.buffer->type, to.count());
  const std::string place = absl::StrCat("(c * ", w.out_height, " + r) * ", w.out_width, " + q");
  // A NaN is the largest of all. A cut behind the pool is the same as before it.
  const std::string larger =
      from.whole ? absl::StrCat(from.name(), "[at] > best")
                 : absl::Substitute("$0[at] > best || $0[at] != $0[at]", from.name());
  Append(WindowLoops(
      w, absl::StrCat("    int none = 1;\n    ", from.buffer->type, " best = 0;\n"),
      absl::Substitute("if (none || $0) best = $1[at];\n        none = 0;", larger, from.name()),
      absl::StrCat(to.name(), "[", place, "] = best;")));
  return to;
}

absl::StatusOr<CValue> CWriter::AveragePool(const Node& node, const CValue& from) {
  const Shape shape = RowOf(shapes_.shape(node.outputs()[0]));
  for (int axis = 1; axis < shape.rank(); ++axis) {
    if (node.attributes().Find("output_size") != nullptr && from.shape[axis] % shape[axis] != 0) {
      return absl::UnimplementedError("windows of different sizes");
    }
  }
  const CWindows w = WindowsOf(node, from.shape, shape);
  const bool padded = w.padding[0] != 0 || w.padding[1] != 0 ||
                      (w.out_height - 1) * w.stride[0] + w.kernel[0] > w.height ||
                      (w.out_width - 1) * w.stride[1] + w.kernel[1] > w.width;
  if (padded) return absl::UnimplementedError("an average over windows that reach outside");
  const int64_t divisor = w.kernel[0] * w.kernel[1];
  const int64_t bound = from.bound * divisor;
  const bool shifts = (divisor & (divisor - 1)) == 0;
  CValue to = TakeValue(shifts ? SumType(bound) : "float", shape);
  const std::string place = absl::StrCat("(c * ", w.out_height, " + r) * ", w.out_width, " + q");
  std::string sum = "sum";
  if (!shifts) {
    sum = absl::StrCat("(float)sum * ", CFloat(std::ldexp(1.0f, from.unit)), " / ",
                       CFloat(static_cast<float>(divisor)));
    floats_after_codes_ = true;
  }
  Append(WindowLoops(w, "    int32_t sum = 0;\n", absl::StrCat("sum += ", from.at("at"), ";"),
                     absl::StrCat(to.name(), "[", place, "] = ", sum, ";")));
  if (!shifts) return to;
  to.whole = true;
  to.unit = from.unit - Exponent(static_cast<float>(divisor));
  to.bound = bound;
  to.negative = from.negative;
  return to;
}

absl::StatusOr<CValue> CWriter::Arithmetic(const Node& node, const CValue& a, const CValue& b) {
  if (a.shape != b.shape) return absl::UnimplementedError("inputs of different shapes");
  const bool product = node.op() == ops::kMul;
  const int unit = product ? a.unit + b.unit : std::min(a.unit, b.unit);
  const int to_a = a.unit - unit, to_b = b.unit - unit;
  if (!product && std::max(to_a, to_b) > 40) {
    return absl::UnimplementedError("inputs whose steps are too far apart");
  }
  const int64_t bound = product ? a.bound * b.bound : (a.bound << to_a) + (b.bound << to_b);
  const absl::string_view type = SumType(bound);
  CValue to = TakeValue(type, a.shape);
  const auto scaled = [&](const CValue& value, int shift) {
    return shift == 0
               ? absl::StrCat("(", type, ")", value.at("i"))
               : absl::StrCat("(", type, ")", value.at("i"), " * ((", type, ")1 << ", shift, ")");
  };
  const absl::string_view sign = product ? "*" : node.op() == ops::kSub ? "-" : "+";
  ForEach(a.count(), absl::StrCat(to.name(), "[i] = ", scaled(a, product ? 0 : to_a), " ", sign,
                                  " ", scaled(b, product ? 0 : to_b), ";"));
  to.whole = true;
  to.unit = unit;
  to.bound = bound;
  return to;
}

absl::StatusOr<CValue> CWriter::AddPlanned(const Node& node, const IntegerPlan& plan) {
  if (!plan.exact) return absl::UnimplementedError("a scale that is no power of two");
  std::vector<CValue> in;
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    in.push_back(
        Encode(node.inputs()[i]->producer(), Input(node, static_cast<int>(i)), plan.inputs[i]));
  }
  absl::StatusOr<CValue> result = absl::UnimplementedError(kKnown);
  if (node.Is(OpTrait::kWeighted) && node.Is(OpTrait::kOutputsFirst)) {
    result = Layer(node, plan, in[0]);
  } else if (node.op() == ops::kRelu) {
    result = CutNegatives(in[0]);
  } else if (node.Is(OpTrait::kPool)) {
    if (absl::StrContains(node.op(), "avg")) {
      result = AveragePool(node, in[0]);
    } else if (node.attributes().Find("output_size") == nullptr) {
      result = MaxPool(node, in[0]);
    }
  } else if (node.Is(OpTrait::kArithmetic) && in.size() == 2) {
    result = Arithmetic(node, in[0], in[1]);
  }
  if (!result.ok() || !plan.result.has_value()) return result;
  return Encoded(*result, *plan.result);
}

absl::StatusOr<CValue> CWriter::AddPlain(const Node& node) {
  if (node.inputs().size() != 1) {
    return absl::UnimplementedError(absl::StrCat("it has no record, and ", kKnown));
  }
  const CValue from = Input(node, 0);
  if (node.op() == ops::kRelu) return CutNegatives(from);
  if (node.op() == ops::kBatchNorm1d || node.op() == ops::kBatchNorm2d) {
    if (node.FindParameter("running_mean") == nullptr) {
      return absl::UnimplementedError("a norm by the statistics of the batch");
    }
    return Norm(node, from);
  }
  if (node.op() == ops::kMaxPool1d || node.op() == ops::kMaxPool2d) return MaxPool(node, from);
  if (node.Is(OpTrait::kRenames) || node.Is(OpTrait::kRenamesAtRest)) {
    CValue renamed = from;
    renamed.shape = RowOf(shapes_.shape(node.outputs()[0]));
    if (renamed.count() != from.count()) return absl::UnimplementedError("it moves the rows");
    return renamed;
  }
  return absl::UnimplementedError(
      node.Is(OpTrait::kWeighted) ? "has no record; quantize it to integer formats" : kKnown);
}

absl::Status CWriter::Add(const Node& node) {
  if (node.Is(OpTrait::kFromShapes)) return absl::OkStatus();
  CValue made;
  if (node.kind() == NodeKind::kPlaceholder) {
    if (input_.buffer != nullptr) return absl::UnimplementedError("a second input");
    const ValueInfo& info = shapes_.info(node.outputs()[0]);
    if (info.dtype != DType::kFloat32 || info.shape.rank() < 2) {
      return absl::UnimplementedError(
          absl::StrCat("rows of ", info.shape.ToString(), ", want numbers"));
    }
    made = {.buffer = std::make_shared<CBuffer>(CBuffer{"x", "float", 0}),
            .shape = RowOf(info.shape)};
    input_ = made;
  } else if (node.kind() == NodeKind::kOutput) {
    if (node.inputs().size() != 1) return absl::UnimplementedError("several results");
    result_ = Input(node, 0);
    return absl::OkStatus();
  } else {
    const absl::StatusOr<IntegerPlan>& plan = plans_.of(node);
    if (!plan.ok() && !absl::IsNotFound(plan.status())) return plan.status();
    MASE_ASSIGN_OR_RETURN(made, plan.ok() ? AddPlanned(node, *plan) : AddPlain(node));
  }
  if (made.count() >= kInt32) return absl::UnimplementedError("more numbers than an int counts");
  values_[node.id()] = std::move(made);
  readers_[node.id()] = static_cast<int64_t>(node.outputs()[0]->uses().size());
  for (const Value* input : node.inputs()) {
    const int id = input->producer()->id();
    if (--readers_[id] > 0) continue;
    values_.erase(id);
    encoded_.erase(id);
  }
  return absl::OkStatus();
}

}  // namespace mase
