// Linear layers and convolutions: tables of codes, and the loops over them.
#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "mase/base/status_macros.h"
#include "mase/export_c/c_writer.h"
#include "mase/format/format.h"
#include "mase/format/whole_numbers.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

constexpr double kLargestSum = 0x1p61;
// Sums of 16 bits are twice as many to a vector, and compilers multiply into them without widening.
constexpr int64_t kLanes = 8;               // Outputs are filled up to a multiple of these.
constexpr int64_t kChunks[] = {32, 16, 8};  // Of inputs. Loops as long as these are vectorized.

int Exponent(float power) { return std::ilogb(power); }

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

// The longest chunk of kChunks of which no output's sum leaves 16 bits, wherever it stops; 0 if
// none. `codes` has the weights of output 0 first.
int64_t NarrowChunk(const std::vector<int64_t>& codes, int64_t depth, const CValue& from) {
  for (int64_t chunk : kChunks) {
    int64_t most = 0;
    for (size_t row = 0; row < codes.size(); row += depth) {
      for (int64_t begin = 0; begin < depth; begin += chunk) {
        int64_t up = 0, down = 0;
        for (int64_t k = begin; k < std::min(begin + chunk, depth); ++k) {
          (codes[row + k] > 0 ? up : down) += std::abs(codes[row + k]);
        }
        most = std::max(most, from.negative ? up + down : std::max(up, down));
      }
    }
    if (most * from.bound <= INT16_MAX) return chunk;
  }
  return 0;
}

// Rows of outputs for each input, filled with zeros up to `lanes`.
std::vector<int64_t> OutputsLast(const std::vector<int64_t>& codes, int64_t depth, int64_t lanes) {
  std::vector<int64_t> turned(depth * lanes, 0);
  for (size_t i = 0; i < codes.size(); ++i) turned[i % depth * lanes + i / depth] = codes[i];
  return turned;
}

}  // namespace

absl::StatusOr<CWriter::LayerTables> CWriter::AddTables(const Node& node, const IntegerPlan& plan,
                                                        const CValue& from, int64_t outputs) {
  MASE_ASSIGN_OR_RETURN(const std::vector<float> weight,
                        RoundedTensor(node, operands::kWeight, graph_, shapes_));
  const int64_t depth = static_cast<int64_t>(weight.size()) / std::max<int64_t>(outputs, 1);
  std::vector<float> bias(outputs, 0);
  LayerTables tables;
  tables.unit = INT_MAX;  // The finest of all.
  for (float scale : plan.weight.scales) {
    tables.unit = std::min(tables.unit, from.unit + Exponent(scale));
  }
  if (node.FindParameter(operands::kBias) != nullptr) {
    const FormatProto* format = FindFormat(node, operands::kBias);
    const auto numbers =
        format == nullptr ? absl::UnimplementedError("it has none") : WholeNumbersOf(*format);
    if (!numbers.ok() || !numbers->powers_of_two() || numbers->blocks.size() != 1) {
      return absl::UnimplementedError(
          "its bias needs a format of whole numbers whose step is a power of two");
    }
    MASE_ASSIGN_OR_RETURN(bias, RoundedTensor(node, operands::kBias, graph_, shapes_));
    tables.unit = std::min(tables.unit, Exponent(numbers->blocks[0].step));
  }
  std::vector<int64_t> codes, biases, shifts;  // Codes of output 0 first.
  double bound = 0;
  for (int64_t o = 0; o < outputs; ++o) {
    const float scale = plan.weight.scales[plan.weight.scales.size() == 1 ? 0 : o];
    const int shift = from.unit + Exponent(scale) - tables.unit;
    double size = 0;
    for (int64_t k = 0; k < depth; ++k) {
      codes.push_back(static_cast<int64_t>(weight[o * depth + k] / scale));
      size += std::abs(static_cast<double>(codes.back()));
    }
    const double offset = std::ldexp(static_cast<double>(bias[o]), -tables.unit);
    size = std::ldexp(size * static_cast<double>(from.bound), shift) + std::abs(offset);
    bound = std::max(bound, size);
    if (shift > 61 || !(bound < kLargestSum)) {
      return absl::UnimplementedError("its sums and its bias need more than 62 bits together");
    }
    biases.push_back(static_cast<int64_t>(offset));
    shifts.push_back(shift);
  }
  tables.id = NewId();
  tables.bound = static_cast<int64_t>(std::ceil(bound));
  tables.sum_type = bound < 0x1p31 ? "int32_t" : "int64_t";
  const auto [least, most] = std::minmax_element(codes.begin(), codes.end());
  const bool bytes = *least >= -128 && *most <= 127;
  const absl::string_view weight_type = bytes ? kByteWeights : CTypeFor(*least, *most);
  if (node.op() == ops::kLinear) {
    // All outputs of input 0 first: the loop over them has no sum across its lanes.
    tables.chunk = bytes && from.bound <= 255 ? NarrowChunk(codes, depth, from) : 0;
    tables.lanes = tables.chunk > 0 && outputs > kLanes / 2
                       ? (outputs + kLanes - 1) / kLanes * kLanes
                       : outputs;
    codes = OutputsLast(codes, depth, tables.lanes);
    biases.resize(tables.lanes, 0);
    shifts.resize(tables.lanes, 0);
  }
  AddTable("w" + tables.id, weight_type, codes);
  AddTable("b" + tables.id, tables.sum_type, biases);
  const bool shifted = absl::c_any_of(shifts, [](int64_t shift) { return shift != 0; });
  const bool even = absl::c_all_of(shifts, [&](int64_t shift) { return shift == shifts[0]; });
  if (shifted && !even) AddTable("n" + tables.id, "uint8_t", shifts);
  tables.sums_are_results = !shifted && tables.sum_type == "int32_t";
  tables.scaled = absl::StrCat("(", tables.sum_type, ")sum");
  if (shifted) {
    absl::StrAppend(&tables.scaled, " * ((", tables.sum_type, ")1 << ",
                    even ? absl::StrCat(shifts[0]) : absl::StrCat("n", tables.id, "[o]"), ")");
  }
  return tables;
}

absl::StatusOr<CValue> CWriter::Layer(const Node& node, const IntegerPlan& plan,
                                      const CValue& from) {
  const Shape& shape = shapes_.shape(node.outputs()[0]);
  const bool linear = node.op() == ops::kLinear;
  if (linear && shape.rank() != 2) return absl::UnimplementedError("rows of more than vectors");
  MASE_ASSIGN_OR_RETURN(const LayerTables tables, AddTables(node, plan, from, shape[1]));
  const Shape row(shape.dims().subspan(1));
  CValue to = linear ? LinearLoops(tables, from, row) : ConvLoops(node, tables, from, row);
  to.whole = true;
  to.unit = tables.unit;
  to.bound = tables.bound;
  return to;
}

// Sums of 16 bits over chunks of inputs, for each output from the first to the last of them; those
// are added to the sums of 32 bits. Where a chunk may leave 16 bits, one input after another is
// added to the sums of all outputs.
CValue CWriter::LinearLoops(const LayerTables& tables, const CValue& from, const Shape& shape) {
  const int64_t depth = from.count(), lanes = tables.lanes;
  CValue to{.buffer = Take(tables.sum_type, lanes), .shape = shape};
  const std::shared_ptr<CBuffer> own = tables.sums_are_results ? to.buffer : Take("int32_t", lanes);
  const std::string& sums = own->name;
  const std::string start = tables.sums_are_results ? absl::StrCat("b", tables.id, "[o]") : "0";
  const auto set_to_start = [&] {
    Append(absl::Substitute("  for (o = 0; o < $0; ++o) $1[o] = $2;\n", lanes, sums, start));
  };
  const auto add_chunk = [&](absl::string_view first, int64_t length, absl::string_view to_sum) {
    const std::shared_ptr<CBuffer> narrow = Take("int16_t", lanes);
    Append(absl::Substitute(
        "  for (o = 0; o < $0; ++o) {\n    int16_t sum = 0;\n"
        "    for (k = 0; k < $1; ++k) sum = (int16_t)(sum + $2[$3k] * w$4[($3k) * $0 + o]);\n"
        "    $5[o] = sum;\n  }\n  for (o = 0; o < $0; ++o) $6[o] $7 $5[o];\n",
        lanes, length, from.name(), first, tables.id, narrow->name, sums, to_sum));
  };
  if (tables.chunk == 0) {
    set_to_start();
    Append(absl::Substitute(
        "  for (k = 0; k < $0; ++k) {\n    const $1 code = $2[k];\n"
        "    for (o = 0; o < $3; ++o) $4[o] += (int32_t)code * w$5[k * $3 + o];\n  }\n",
        depth, from.bound <= INT16_MAX ? "int16_t" : "int32_t", from.name(), lanes, sums,
        tables.id));
  } else if (depth <= tables.chunk) {
    add_chunk("", depth, absl::StrCat("= ", start, " +"));
  } else {
    const int64_t rest = depth % tables.chunk, whole = depth - rest;
    set_to_start();
    Append(absl::Substitute("  for (i = 0; i < $0; i += $1) {\n", whole, tables.chunk));
    add_chunk("i + ", tables.chunk, "+=");
    Append("  }\n");
    if (rest > 0) add_chunk(absl::StrCat(whole, " + "), rest, "+=");
  }
  if (!tables.sums_are_results) {
    Append(
        absl::Substitute("  for (o = 0; o < $0; ++o) {\n    const int32_t sum = $1[o];\n"
                         "    $2[o] = $3 + b$4[o];\n  }\n",
                         lanes, sums, to.name(), tables.scaled, tables.id));
  }
  return to;
}

// Along the columns of an output row, which are contiguous where the stride is 1. $sum has the
// row's sums, which fit an int32 as integer lowering proved.
CValue CWriter::ConvLoops(const Node& node, const LayerTables& tables, const CValue& from,
                          const Shape& shape) {
  const CValue to = TakeValue(tables.sum_type, shape);
  const CWindows w = WindowsOf(node, from.shape, to.shape);
  const int64_t groups = node.attributes().Int("groups"), outputs = to.shape[0];
  const int64_t inputs = w.channels / groups, per_group = outputs / groups;
  const std::shared_ptr<CBuffer> own = Take("int32_t", w.out_width);
  const std::string& sums = own->name;
  Append(
      absl::Substitute("  for (o = 0; o < $0; ++o) for (r = 0; r < $1; ++r) {\n"
                       "    for (q = 0; q < $2; ++q) $3[q] = 0;\n"
                       "    for (c = 0; c < $4; ++c) for (u = 0; u < $5; ++u) {\n"
                       "      const int y_at = r * $6 + u * $7 - $8;\n",
                       outputs, w.out_height, w.out_width, sums, inputs, w.kernel[0], w.stride[0],
                       w.dilation[0], w.padding[0]));
  const std::string channel =
      groups == 1 ? "c" : absl::StrCat("(o / ", per_group, " * ", inputs, " + c)");
  Append(absl::Substitute(
      "      if (y_at < 0 || y_at >= $0) continue;\n"
      "      for (v = 0; v < $1; ++v) {\n"
      "        const int32_t weight = w$2[((o * $3 + c) * $4 + u) * $1 + v];\n"
      "        const int first = v * $5 - $6;  /* The column that output 0 reads. */\n"
      "        const int begin = first >= 0 ? 0 : ($7 - 1 - first) / $7;\n"
      "        const int left = $8 - first;\n",
      w.height, w.kernel[1], tables.id, inputs, w.kernel[0], w.dilation[1], w.padding[1],
      w.stride[1], w.width));
  Append(absl::Substitute(
      "        const int fit = left <= 0 ? 0 : (left - 1) / $0 + 1, end = fit < $1 ? fit : $1;\n"
      "        const int at = ($2 * $3 + y_at) * $4 + first;\n"
      "        for (q = begin; q < end; ++q) $5[q] += weight * $6[at + q * $0];\n"
      "      }\n    }\n",
      w.stride[1], w.out_width, channel, w.height, w.width, sums, from.name()));
  Append(
      absl::Substitute("    for (q = 0; q < $0; ++q) {\n      const int32_t sum = $1[q];\n"
                       "      $2[(o * $3 + r) * $0 + q] = $4 + b$5[o];\n    }\n  }\n",
                       w.out_width, sums, to.name(), w.out_height, tables.scaled, tables.id));
  return to;
}

}  // namespace mase
