#include "mase/testing/numerics/quantized_net.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "google/protobuf/text_format.h"
#include "mase/base/mix64.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

// Random choices, one after the other.
class Dice {
 public:
  explicit Dice(uint64_t seed) : seed_(seed) {}
  int64_t Between(int64_t lo, int64_t hi) {
    return lo + static_cast<int64_t>(Mix64(seed_, ++draws_) % static_cast<uint64_t>(hi - lo + 1));
  }
  bool Chance(int percent) { return Between(0, 99) < percent; }
  uint64_t Seed() { return Mix64(seed_, ++draws_); }

 private:
  const uint64_t seed_;
  uint64_t draws_ = 0;
};

// "integer { width: 5 frac_width: 3 }", or an affine with such steps, of values around 1.
std::string RandomFormat(Dice& dice, int most_width = 8) {
  const int64_t width = dice.Between(2, most_width);
  const bool is_signed = dice.Chance(70);
  const int64_t frac = width - 1 - dice.Between(-1, 2);
  const char* const kRoundings[] = {"NEAREST_EVEN", "NEAREST_AWAY", "FLOOR",
                                    "CEILING",      "TOWARD_ZERO",  "AWAY_FROM_ZERO"};
  if (dice.Chance(15)) {
    const int64_t least = is_signed ? -(1 << (width - 1)) : 0;
    return absl::StrCat("affine { width: ", width, " is_signed: ", is_signed,
                        " scale: ", absl::StrFormat("%.17g", std::ldexp(1.0, -frac)),
                        " zero_point: ", dice.Between(least, least + (1 << width) - 1), " }");
  }
  const std::string rounding =
      dice.Chance(70) ? "" : absl::StrCat(" rounding: ", kRoundings[dice.Between(0, 5)]);
  return absl::StrCat("integer { width: ", width, " frac_width: ", frac, " is_signed: ", is_signed,
                      " }", rounding);
}

Formats LayerFormats(Dice& dice, bool has_bias, int most_width) {
  Formats formats = {{"data_in", RandomFormat(dice, most_width)},
                     {"weight", RandomFormat(dice, most_width)}};
  if (has_bias && dice.Chance(85)) formats.push_back({"bias", RandomFormat(dice, 12)});
  if (dice.Chance(10)) formats.push_back({"data_out", RandomFormat(dice)});
  // Now and then one is missing: the node then stays simulated.
  if (dice.Chance(5)) formats.erase(formats.begin() + dice.Between(0, 1));
  return formats;
}

class NetMaker {
 public:
  explicit NetMaker(uint64_t seed) : dice_(seed), rows_(dice_.Between(1, 9)) {}

  RandomNet Make() {
    const int64_t axes = dice_.Between(0, 2);  // Of space: a chain of linear layers, or conv1d, 2d.
    Shape shape = {rows_, dice_.Between(1, axes == 0 ? 70 : 20)};
    for (int64_t i = 0; i < axes; ++i) shape.push_back(dice_.Between(3, 9));
    const Shape input = shape;
    net_ = std::make_unique<TestNet>(input, dice_.Seed());
    most_width_ = dice_.Chance(85) ? 8 : 14;
    Value* x = net_->input();
    if (dice_.Chance(30)) x = Norm(x, shape);
    for (int64_t layers = dice_.Between(1, 4); layers > 0; --layers) x = Block(x, shape);
    if (axes > 0) {
      x = net_->Module("flatten", {x}, {{"start_dim", int64_t{1}}});
      shape = {rows_, shape.elements() / rows_};
      x = Linear(x, shape);
    }
    RandomNet made = {net_->Finish({x}), rows_, {}, text_};
    for (const auto& [name, formats] : records_) SetRecord(made.graph, name, formats);
    made.input = RandomValues(input.elements(), dice_.Seed());
    for (float& value : made.input) value *= 2;
    return made;
  }

 private:
  Value* Block(Value* x, Shape& shape) {
    const Shape before = shape;
    Value* const from = x;
    x = shape.rank() == 2 ? Linear(x, shape) : Conv(x, shape);
    if (dice_.Chance(40)) x = Norm(x, shape);
    if (before == shape && dice_.Chance(50)) {
      constexpr const char* kCombined[] = {"add", "add", "sub", "mul"};
      x = Record(net_->Function(kCombined[dice_.Between(0, 3)], {x, from}),
                 {{"data_in", RandomFormat(dice_, 10)}}, 80);
    }
    if (dice_.Chance(60)) {
      x = Record(net_->Module("relu", {x}), {{"data_in", RandomFormat(dice_)}}, 40);
    }
    if (shape.rank() > 2 && std::min(shape[2], shape[-1]) > 1 && dice_.Chance(40))
      x = Pool(x, shape);
    if (dice_.Chance(15)) {
      x = net_->Function("cat", {x, x}, {{"dim", int64_t{1}}});
      shape.set_dim(1, 2 * shape[1]);
      absl::StrAppend(&text_, " cat");
    }
    return x;
  }

  Value* Linear(Value* x, Shape& shape) {
    const int64_t in = shape[1], out = dice_.Chance(25) ? in : dice_.Between(1, 70);
    const bool has_bias = dice_.Chance(75);
    x = net_->Module("linear", {x},
                     {{"in_features", in}, {"out_features", out}, {"bias", has_bias}});
    shape.set_dim(1, out);
    return Record(x, LayerFormats(dice_, has_bias, most_width_), 90);
  }

  Value* Conv(Value* x, Shape& shape) {
    const int64_t axes = shape.rank() - 2, in = shape[1];
    int64_t groups = 1, out = dice_.Chance(25) ? in : dice_.Between(1, 20);
    if (dice_.Chance(20)) groups = out = in;
    if (dice_.Chance(20) && in % 2 == 0) groups = 2, out = 2 * dice_.Between(1, 9);
    std::vector<int64_t> kernel, stride, padding, dilation;
    for (int64_t i = 0; i < axes; ++i) {
      kernel.push_back(dice_.Between(1, 3));
      stride.push_back(dice_.Chance(75) ? 1 : 2);
      padding.push_back(dice_.Chance(50) ? kernel.back() / 2 : dice_.Between(0, 1));
      dilation.push_back(dice_.Chance(80) ? 1 : 2);
      const int64_t window = (kernel.back() - 1) * dilation.back() + 1;
      if (shape[2 + i] + 2 * padding.back() < window) padding.back() = window;
      shape.set_dim(2 + i, (shape[2 + i] + 2 * padding.back() - window) / stride.back() + 1);
    }
    shape.set_dim(1, out);
    const bool has_bias = dice_.Chance(75);
    x = net_->Module(axes == 1 ? "conv1d" : "conv2d", {x},
                     {{"in_channels", in},
                      {"out_channels", out},
                      {"kernel_size", kernel},
                      {"stride", stride},
                      {"padding", padding},
                      {"dilation", dilation},
                      {"groups", groups},
                      {"bias", has_bias}});
    return Record(x, LayerFormats(dice_, has_bias, most_width_), 90);
  }

  Value* Pool(Value* x, Shape& shape) {
    const int64_t axes = shape.rank() - 2;
    const bool averages = dice_.Chance(50);
    const std::vector<int64_t> two(axes, 2), none(axes, 0);
    x = net_->Module(absl::StrCat(averages ? "avg_pool" : "max_pool", axes, "d"), {x},
                     {{"kernel_size", two}, {"stride", two}, {"padding", none}});
    for (int64_t i = 0; i < axes; ++i) shape.set_dim(2 + i, shape[2 + i] / 2);
    return Record(x, {{"data_in", RandomFormat(dice_)}}, averages ? 60 : 20);
  }

  Value* Norm(Value* x, const Shape& shape) {
    absl::StrAppend(&text_, " norm");
    return net_->Module(shape.rank() == 4 ? "batch_norm2d" : "batch_norm1d", {x},
                        {{"num_features", shape[1]}});
  }

  // Gives the value's node a record, or not.
  Value* Record(Value* x, Formats formats, int percent) {
    absl::StrAppend(&text_, " ", x->producer()->op());
    if (!x->producer()->schema().quantizable || !dice_.Chance(percent)) return x;
    for (const auto& [operand, format] : formats) {
      absl::StrAppend(&text_, " [", operand, " ", format, "]");
    }
    records_.emplace_back(x->producer()->name(), std::move(formats));
    return x;
  }

  Dice dice_;
  const int64_t rows_;
  int most_width_ = 8;
  std::unique_ptr<TestNet> net_;
  std::vector<std::pair<std::string, Formats>> records_;
  std::string text_;
};

}  // namespace

FormatProto ParseFormat(const std::string& text) {
  FormatProto format;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &format)) << text;
  return format;
}

void SetRecord(Graph& graph, Node* node, const Formats& operands) {
  Quantization record;
  for (const auto& [name, format] : operands) {
    OperandFormat* operand = record.add_operand();
    operand->set_operand(name);
    *operand->mutable_format() = ParseFormat(format);
  }
  graph.SetQuantization(node, record);
}

void SetRecord(Graph& graph, absl::string_view node, const Formats& operands) {
  SetRecord(graph, CHECK_NOTNULL(graph.FindNode(node)), operands);
}

RandomNet MakeRandomNet(uint64_t seed) { return NetMaker(seed).Make(); }

}  // namespace mase
