#include "mase/testing/numerics/reference_kernels.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "glog/logging.h"

namespace mase {
namespace {

using Index = std::vector<int64_t>;

// Calls body(index) for every element of the shape, row-major.
void ForEach(const Shape& shape, const std::function<void(const Index&)>& body) {
  Index index(shape.rank(), 0);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    body(index);
    for (int axis = shape.rank() - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis) {
      index[axis] = 0;
    }
  }
}

int64_t Offset(const Shape& shape, const Index& index) {
  int64_t offset = 0;
  for (int i = 0; i < shape.rank(); ++i) offset = offset * shape[i] + index[i];
  return offset;
}

double At(const Array& array, const Index& index) {
  return array.values[Offset(array.shape, index)];
}

// The element that NumPy's broadcasting puts at `index` of the result.
double BroadcastAt(const Array& array, const Index& index) {
  Index own(index.end() - array.shape.rank(), index.end());
  for (int i = 0; i < array.shape.rank(); ++i) own[i] = array.shape[i] == 1 ? 0 : own[i];
  return At(array, own);
}

struct Call {
  absl::string_view op;
  const Attributes& attributes;
  const std::vector<Array>& inputs;
  std::map<std::string, Array> tensors;
  Shape dst;
  bool training;
  // Mean and variance by what they are taken over, once computed.
  mutable std::map<Index, std::pair<double, double>> statistics = {};

  const Array& x() const { return inputs[0]; }
  bool has(const std::string& name) const { return tensors.count(name) > 0; }
  const std::vector<double>& values(const std::string& name) const {
    return tensors.at(name).values;
  }
  int64_t axis(absl::string_view name, int rank) const {
    const int64_t axis = attributes.Int(name);
    return axis < 0 ? axis + rank : axis;
  }
};

using Rule = std::function<double(const Call&, const Index&)>;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double Unary(const Call& call, double x) {
  const Attributes& a = call.attributes;
  const absl::string_view op = call.op;
  if (op == "relu") return std::max(x, 0.0);
  if (op == "relu6") return std::min(std::max(x, 0.0), 6.0);
  if (op == "gelu" && a.String("approximate") == "tanh") {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  if (op == "gelu") return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
  if (op == "selu") {
    return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (std::exp(x) - 1));
  }
  if (op == "elu") return x > 0 ? x : a.Float("alpha") * (std::exp(x) - 1);
  if (op == "silu") return x * Sigmoid(x);
  if (op == "tanh") return std::tanh(x);
  if (op == "softsign") return x / (1 + std::abs(x));
  if (op == "softplus") {
    const double scaled = a.Float("beta") * x;
    return scaled > a.Float("threshold") ? x : std::log(1 + std::exp(scaled)) / a.Float("beta");
  }
  if (op == "sigmoid") return Sigmoid(x);
  if (op == "logsigmoid") return -std::log(1 + std::exp(-x));
  if (op == "hardswish") return x * std::clamp(x + 3, 0.0, 6.0) / 6;
  if (op == "hardsigmoid") return std::clamp(x + 3, 0.0, 6.0) / 6;
  if (op == "hardtanh") return std::clamp(x, a.Float("min_val"), a.Float("max_val"));
  if (op == "leaky_relu") return x < 0 ? a.Float("negative_slope") * x : x;
  if (op == "abs") return std::abs(x);
  if (op == "ceil") return std::ceil(x);
  if (op == "cos") return std::cos(x);
  if (op == "erf") return std::erf(x);
  if (op == "exp") return std::exp(x);
  if (op == "floor") return std::floor(x);
  if (op == "log") return std::log(x);
  if (op == "neg") return -x;
  if (op == "reciprocal") return 1 / x;
  if (op == "round") return std::nearbyint(x);
  if (op == "sin") return std::sin(x);
  if (op == "sqrt") return std::sqrt(x);
  const double lambda = a.Float("lambd");
  if (op == "hardshrink") return std::abs(x) > lambda ? x : 0;
  CHECK_EQ(op, "softshrink");
  return x > lambda ? x - lambda : x < -lambda ? x + lambda : 0;
}

double Binary(const Call& call, const Index& i) {
  const double a = BroadcastAt(call.inputs[0], i), b = BroadcastAt(call.inputs[1], i);
  if (call.op == "add") return a + b;
  if (call.op == "sub") return a - b;
  if (call.op == "mul") return a * b;
  if (call.op == "pow") return std::pow(a, b);
  if (call.op == "maximum") return std::max(a, b);
  if (call.op == "minimum") return std::min(a, b);
  if (call.op == "gt") return a > b;
  if (call.op == "ge") return a >= b;
  if (call.op == "eq") return a == b;
  return a / b;
}

double Where(const Call& call, const Index& i) {
  return BroadcastAt(call.inputs[BroadcastAt(call.inputs[0], i) != 0 ? 1 : 2], i);
}

double Expand(const Call& call, const Index& i) { return BroadcastAt(call.x(), i); }

double IndexSelect(const Call& call, const Index& i) {
  Index at = i;
  int64_t& place = at[call.axis("dim", call.dst.rank())];
  place = call.attributes.Ints("index")[place];
  return At(call.x(), at);
}

double Slice(const Call& call, const Index& i) {
  Index at = i;
  const int64_t axis = call.axis("dim", call.dst.rank());
  const int64_t start = call.attributes.Int("start");
  at[axis] = at[axis] * call.attributes.Int("step") +
             (start < 0 ? start + call.x().shape[static_cast<int>(axis)] : start);
  return At(call.x(), at);
}

double Pad(const Call& call, const Index& i) {
  const std::string& mode = call.attributes.String("mode");
  Index at = i;
  for (size_t axis = 0; axis < i.size(); ++axis) {
    const int64_t extent = call.x().shape[static_cast<int>(axis)];
    at[axis] -= call.attributes.Ints("before")[axis];
    if (at[axis] >= 0 && at[axis] < extent) continue;
    if (mode == "constant") return call.attributes.Float("value");
    if (mode == "replicate") at[axis] = at[axis] < 0 ? 0 : extent - 1;
    if (mode == "reflect") {
      at[axis] = std::abs(at[axis]);
      if (at[axis] >= extent) at[axis] = extent - 1 - (at[axis] - (extent - 1));
    }
    while (mode == "circular" && at[axis] < 0) at[axis] += extent;
    while (mode == "circular" && at[axis] >= extent) at[axis] -= extent;
  }
  return At(call.x(), at);
}

double Linear(const Call& call, const Index& i) {
  const int64_t in = call.attributes.Int("in_features");
  double sum = call.has("bias") ? call.values("bias")[i.back()] : 0;
  Index at = i;
  for (int64_t k = 0; k < in; ++k) {
    at.back() = k;
    sum += At(call.x(), at) * call.values("weight")[i.back() * in + k];
  }
  return sum;
}

double Matmul(const Call& call, const Index& i) {
  double sum = 0;
  const Array &a = call.inputs[0], &b = call.inputs[1];
  const size_t rank = i.size();
  for (int64_t k = 0; k < a.shape[-1]; ++k) {
    Index left = i, right = i;
    left[rank - 1] = k;
    right[rank - 2] = k;
    // Only the batch axes broadcast.
    const auto pick = [](const Array& m, Index at) {
      at.erase(at.begin(), at.end() - m.shape.rank());
      for (int axis = 0; axis < m.shape.rank() - 2; ++axis) {
        if (m.shape[axis] == 1) at[axis] = 0;
      }
      return At(m, at);
    };
    sum += pick(a, left) * pick(b, right);
  }
  return sum;
}

double Conv(const Call& call, const Index& i) {
  const Attributes& a = call.attributes;
  const std::vector<int64_t>&stride = a.Ints("stride"), &padding = a.Ints("padding"),
        &dilation = a.Ints("dilation");
  const Array& weights = call.tensors.at("weight");
  const Shape& weight = weights.shape;
  const int64_t group_in = weight[1];
  const int64_t group = i[1] / (weight[0] / a.Int("groups"));
  Index at, weight_at;
  double sum = call.has("bias") ? call.values("bias")[i[1]] : 0;
  Shape window(weight.dims().subspan(1));
  ForEach(window, [&](const Index& tap) {
    at = {i[0], group * group_in + tap[0]};
    weight_at = {i[1]};
    weight_at.insert(weight_at.end(), tap.begin(), tap.end());
    for (size_t axis = 0; axis + 2 < i.size(); ++axis) {
      at.push_back(i[axis + 2] * stride[axis] - padding[axis] + tap[axis + 1] * dilation[axis]);
      if (at.back() < 0 || at.back() >= call.x().shape[static_cast<int>(axis) + 2]) return;
    }
    sum += At(call.x(), at) * At(weights, weight_at);
  });
  return sum;
}

double ConvTranspose(const Call& call, const Index& i) {
  const Attributes& a = call.attributes;
  const Array& weights = call.tensors.at("weight");
  const int64_t groups = a.Int("groups"), group_out = a.Int("out_channels") / groups;
  const int64_t group_in = a.Int("in_channels") / groups;
  double sum = call.has("bias") ? call.values("bias")[i[1]] : 0;
  ForEach({group_in, weights.shape[2], weights.shape[3]}, [&](const Index& tap) {
    const int64_t channel = i[1] / group_out * group_in + tap[0];
    Index at = {i[0], channel}, weight_at = {channel, i[1] % group_out, tap[1], tap[2]};
    for (int axis = 0; axis < 2; ++axis) {
      const int64_t stride = a.Ints("stride")[axis];
      const int64_t from =
          i[axis + 2] + a.Ints("padding")[axis] - tap[axis + 1] * a.Ints("dilation")[axis];
      if (from < 0 || from % stride != 0 || from / stride >= call.x().shape[axis + 2]) return;
      at.push_back(from / stride);
    }
    sum += At(call.x(), at) * At(weights, weight_at);
  });
  return sum;
}

double Pool(const Call& call, const Index& i) {
  const Attributes& a = call.attributes;
  const bool adaptive = a.Find("output_size") != nullptr;
  const bool average = call.op.find("avg") != absl::string_view::npos;
  const int axes = call.dst.rank() - 2;
  Shape window;
  Index begin;
  double padded = 1;  // Elements that count, padding included.
  for (int axis = 0; axis < axes; ++axis) {
    const int64_t extent = call.x().shape[axis + 2], at = i[axis + 2];
    if (adaptive) {
      const int64_t n = call.dst[axis + 2];
      begin.push_back(at * extent / n);
      window.push_back(static_cast<int64_t>(std::ceil((at + 1.0) * extent / n)) - begin.back());
    } else {
      const int64_t padding = a.Ints("padding")[axis];
      begin.push_back(at * a.Ints("stride")[axis] - padding);
      window.push_back(a.Ints("kernel_size")[axis]);
      padded *= std::min(begin.back() + window[-1], extent + padding) - begin.back();
    }
  }
  double sum = 0, largest = -std::numeric_limits<double>::infinity(), count = 0;
  ForEach(window, [&](const Index& tap) {
    Index at = {i[0], i[1]};
    for (int axis = 0; axis < axes; ++axis) {
      at.push_back(begin[axis] + tap[axis]);
      if (at.back() < 0 || at.back() >= call.x().shape[axis + 2]) return;
    }
    sum += At(call.x(), at);
    largest = std::max(largest, At(call.x(), at));
    ++count;
  });
  if (!average) return largest;
  return sum / (!adaptive && a.Bool("count_include_pad") ? padded : count);
}

// Mean and biased variance of the elements of x whose key is `key`.
std::pair<double, double> Statistics(const Call& call, const Index& key,
                                     const std::function<Index(const Index&)>& key_of) {
  auto [entry, is_new] = call.statistics.try_emplace(key);
  if (!is_new) return entry->second;
  std::vector<double> values;
  ForEach(call.x().shape, [&](const Index& at) {
    if (key_of(at) == key) values.push_back(At(call.x(), at));
  });
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / values.size();
  for (const double value : values) squares += (value - mean) * (value - mean);
  return entry->second = {mean, squares / values.size()};
}

double Norm(const Call& call, const Index& i) {
  const bool batch = call.op == "batch_norm1d" || call.op == "batch_norm2d";
  const bool instance = call.op == "instance_norm2d";
  double mean, variance;
  int64_t weight_at = i.size() > 1 ? i[1] : 0;
  if ((batch || instance) && !call.training && call.has("running_mean")) {
    mean = call.values("running_mean")[i[1]];
    variance = call.values("running_var")[i[1]];
  } else if (batch) {
    const auto channel = [](const Index& at) { return Index{at[1]}; };
    std::tie(mean, variance) = Statistics(call, channel(i), channel);
  } else if (call.op == "layer_norm") {
    const size_t count = call.attributes.Ints("normalized_shape").size();
    const size_t first = i.size() - count;
    const auto row = [&](const Index& at) { return Index(at.begin(), at.begin() + first); };
    std::tie(mean, variance) = Statistics(call, row(i), row);
    weight_at = 0;
    for (size_t axis = first; axis < i.size(); ++axis) {
      weight_at = weight_at * call.dst[static_cast<int>(axis)] + i[axis];
    }
  } else {
    const int64_t groups = instance ? call.dst[1] : call.attributes.Int("num_groups");
    const int64_t size = call.dst[1] / groups;
    const auto group = [&](const Index& at) { return Index{at[0], at[1] / size}; };
    std::tie(mean, variance) = Statistics(call, group(i), group);
  }
  double y = (At(call.x(), i) - mean) / std::sqrt(variance + call.attributes.Float("eps"));
  if (call.has("weight")) y *= call.values("weight")[weight_at];
  if (call.has("bias")) y += call.values("bias")[weight_at];
  return y;
}

double RmsNorm(const Call& call, const Index& i) {
  const size_t first = i.size() - call.attributes.Ints("normalized_shape").size();
  double squares = 0;
  int64_t weight_at = 0, length = 1;
  Shape row;
  for (size_t axis = first; axis < i.size(); ++axis) {
    row.push_back(call.dst[static_cast<int>(axis)]);
    weight_at = weight_at * row[-1] + i[axis];
    length *= row[-1];
  }
  ForEach(row, [&](const Index& tail) {
    Index at(i.begin(), i.begin() + first);
    at.insert(at.end(), tail.begin(), tail.end());
    squares += At(call.x(), at) * At(call.x(), at);
  });
  const double y = At(call.x(), i) / std::sqrt(squares / length + call.attributes.Float("eps"));
  return call.has("weight") ? y * call.values("weight")[weight_at] : y;
}

double Softmax(const Call& call, const Index& i) {
  const int64_t axis = call.axis("dim", call.dst.rank());
  double sum = 0;
  Index at = i;
  for (at[axis] = 0; at[axis] < call.dst[static_cast<int>(axis)]; ++at[axis]) {
    sum += std::exp(At(call.x(), at));
  }
  if (call.op == "log_softmax") return At(call.x(), i) - std::log(sum);
  return std::exp(At(call.x(), i)) / sum;
}

double Permute(const Call& call, const Index& i) {
  Index at(i.size());
  for (size_t axis = 0; axis < i.size(); ++axis) {
    const int64_t from = call.attributes.Ints("dims")[axis];
    at[from < 0 ? from + i.size() : from] = i[axis];
  }
  return At(call.x(), at);
}

double Transpose(const Call& call, const Index& i) {
  Index at = i;
  std::swap(at[call.axis("dim0", call.dst.rank())], at[call.axis("dim1", call.dst.rank())]);
  return At(call.x(), at);
}

double Cat(const Call& call, const Index& i) {
  const int64_t axis = call.axis("dim", call.dst.rank());
  Index at = i;
  for (const Array& input : call.inputs) {
    const int64_t extent = input.shape[static_cast<int>(axis)];
    if (at[axis] < extent) return At(input, at);
    at[axis] -= extent;
  }
  LOG(FATAL) << "index beyond the inputs";
}

Array Reduce(const Call& call) {
  constexpr double kEnd = std::numeric_limits<double>::infinity();
  const bool largest = call.op == "amax", smallest = call.op == "amin";
  Array dst = {call.dst, std::vector<double>(call.dst.elements(), largest    ? -kEnd
                                                                  : smallest ? kEnd
                                                                             : 0.0)};
  std::vector<bool> reduced(call.x().shape.rank(), false);
  for (int64_t axis : call.attributes.Ints("dims")) {
    reduced[axis < 0 ? axis + reduced.size() : axis] = true;
  }
  ForEach(call.x().shape, [&](const Index& i) {
    Index at;
    for (size_t axis = 0; axis < i.size(); ++axis) {
      if (!reduced[axis]) at.push_back(i[axis]);
      if (reduced[axis] && call.attributes.Bool("keepdim")) at.push_back(0);
    }
    double& result = dst.values[Offset(dst.shape, at)];
    const double x = At(call.x(), i);
    result = largest ? std::max(result, x) : smallest ? std::min(result, x) : result + x;
  });
  if (call.op != "mean") return dst;
  const double count = static_cast<double>(call.x().shape.elements()) / dst.shape.elements();
  for (double& value : dst.values) value /= count;
  return dst;
}

Rule RuleOf(absl::string_view op) {
  static const auto& rules = *new std::map<std::string, Rule>{
      {"add", Binary},          {"sub", Binary},
      {"mul", Binary},          {"div", Binary},
      {"linear", Linear},       {"matmul", Matmul},
      {"bmm", Matmul},          {"conv1d", Conv},
      {"conv2d", Conv},         {"convtranspose2d", ConvTranspose},
      {"rms_norm", RmsNorm},    {"batch_norm1d", Norm},
      {"batch_norm2d", Norm},   {"layer_norm", Norm},
      {"group_norm", Norm},     {"instance_norm2d", Norm},
      {"softmax", Softmax},     {"permute", Permute},
      {"transpose", Transpose}, {"cat", Cat},
      {"pow", Binary},          {"maximum", Binary},
      {"minimum", Binary},      {"where", Where},
      {"expand", Expand},       {"index_select", IndexSelect},
      {"slice", Slice},         {"pad", Pad},
      {"gt", Binary},           {"ge", Binary},
      {"eq", Binary},           {"log_softmax", Softmax},
  };
  if (op.find("pool") != absl::string_view::npos) return Pool;
  const auto found = rules.find(std::string(op));
  if (found != rules.end()) return found->second;
  return [](const Call& call, const Index& i) { return Unary(call, At(call.x(), i)); };
}

}  // namespace

Array ReferenceForward(absl::string_view op, const Attributes& attributes,
                       const std::vector<Array>& inputs, const std::vector<NamedArray>& tensors,
                       const Shape& dst, bool training) {
  Call call = {op, attributes, inputs, {}, dst, training};
  for (const NamedArray& tensor : tensors) call.tensors[tensor.name] = tensor.array;
  if (op == "mean" || op == "sum" || op == "amax" || op == "amin") return Reduce(call);
  Array result = {dst, {}};
  const Rule rule = RuleOf(op);
  ForEach(dst, [&](const Index& i) { result.values.push_back(rule(call, i)); });
  return result;
}

}  // namespace mase
