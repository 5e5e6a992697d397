// Nets drawn from bytes, and every pass over them. Holds: what passes make is a valid graph; passes
// that change no numbers change none; what was quantized lies on its grid and gives the same bits
// on codes where its steps are powers of two.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/verifier.h"
#include "mase/testing/numerics/test_net.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using Ints = std::vector<int64_t>;

constexpr int64_t kRows = 4;

// Takes decisions from the input, and zeros from its end on.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool empty() const { return size_ == 0; }
  int64_t Below(int64_t limit) { return Next() % limit; }
  int64_t Between(int64_t least, int64_t most) { return least + Below(most - least + 1); }
  bool Toss() { return Below(2) == 1; }

 private:
  uint8_t Next() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }

  const uint8_t* data_;
  size_t size_;
};

constexpr absl::string_view kActivations[] = {"relu",     "gelu",      "tanh",     "sigmoid",
                                              "identity", "dropout",   "softplus", "relu6",
                                              "hardtanh", "hardswish", "elu",      "leaky_relu"};

struct Net {
  Graph graph;
  Shape input;
};

struct Made {
  Value* value;
  Shape shape;
};

// One node more, which reads some of the values so far.
Made AddNode(Bytes& bytes, TestNet& net, const std::vector<Made>& values) {
  auto [x, shape] = values[values.size() - 1 - bytes.Below(std::min<int64_t>(values.size(), 3))];
  const bool image = shape.rank() == 4;
  switch (bytes.Below(6)) {
    case 0: {
      const int64_t in = shape[1], out = bytes.Between(1, 9);
      shape.set_dim(1, out);
      if (!image) {
        const Attributes linear = {
            {"in_features", in}, {"out_features", out}, {"bias", bytes.Toss()}};
        return {net.Module("linear", {x}, linear), shape};
      }
      const int64_t kernel = 1 + 2 * bytes.Below(2);
      const Attributes conv = {{"in_channels", in},
                               {"out_channels", out},
                               {"kernel_size", Ints{kernel, kernel}},
                               {"padding", Ints{kernel / 2, kernel / 2}},
                               {"bias", bytes.Toss()}};
      return {net.Module("conv2d", {x}, conv), shape};
    }
    case 1:
      return {
          net.Module(image ? "batch_norm2d" : "batch_norm1d", {x}, {{"num_features", shape[1]}}),
          shape};
    case 2: {
      Value* other = x;
      for (const Made& made : values) {
        if (made.shape == shape && made.value != x) other = made.value;
      }
      const absl::string_view ops[] = {"add", "mul", "sub", "maximum"};
      return {net.Function(ops[bytes.Below(4)], {x, other}), shape};
    }
    case 3:
      if (!image || shape[2] == 1) return {net.Module("identity", {x}), shape};
      for (const int axis : {2, 3}) shape.set_dim(axis, shape[axis] / 2);
      return {net.Module("max_pool2d", {x}, {{"kernel_size", Ints{2, 2}}, {"stride", Ints{2, 2}}}),
              shape};
    case 4:
      if (shape[1] > 64) return {net.Module("relu", {x}), shape};
      shape.set_dim(1, 2 * shape[1]);
      return {net.Function("cat", {x, x}, {{"dim", int64_t{1}}}), shape};
    default:
      return {net.Module(kActivations[bytes.Below(std::size(kActivations))], {x}), shape};
  }
}

Net DrawNet(Bytes& bytes) {
  const bool image = bytes.Toss();
  const Shape input =
      image ? Shape({kRows, bytes.Between(1, 4), 4, 4}) : Shape({kRows, bytes.Between(1, 12)});
  TestNet net(input, bytes.Below(256));
  std::vector<Made> values = {{net.input(), input}};
  for (int64_t nodes = bytes.Between(1, 12); nodes > 0; --nodes) {
    values.push_back(AddNode(bytes, net, values));
  }
  auto [end, shape] = values.back();
  if (image) end = net.Module("flatten", {end}, {{"start_dim", int64_t{1}}});
  end = net.Module("linear", {end},
                   {{"in_features", shape.elements() / kRows}, {"out_features", int64_t{3}}});
  return {net.Finish({end}), input};
}

class Host : public TestHost {
 public:
  explicit Host(const Net& net) {
    Tensor x(DType::kFloat32, net.input);
    const std::vector<float> values = RandomValues(net.input.elements(), 5);
    std::copy(values.begin(), values.end(), x.mutable_data<float>().begin());
    samples["x"] = batch["x"] = x;
    labels = Tensor::FromValues<int64_t>({kRows}, {0, 1, 2, 0});
  }
};

std::vector<float> Results(const Graph& graph, Host& host, Execution execution) {
  auto executor = Executor::Create(graph, {.max_rows = kRows, .execution = execution});
  CHECK(executor.ok()) << executor.status() << "\n" << WriteGraphText(graph);
  const absl::Status status = (*executor)->Forward(ExecutionMode::kInference, kRows,
                                                   {host.samples["x"].data<float>().data()});
  CHECK(status.ok()) << status << "\n" << WriteGraphText(graph);
  const absl::Span<const float> output = (*executor)->output();
  return {output.begin(), output.end()};
}

// Equal to the bit, or both NaN.
bool Same(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

bool Close(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 1e-3f;
  for (const float x : a) largest = std::max(largest, std::fabs(x));
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [largest](float x, float y) {
    return std::fabs(x - y) <= 1e-3f * largest || (!std::isfinite(x) && !std::isfinite(y));
  });
}

std::string QuantizeOptions(Bytes& bytes) {
  const auto format = [&bytes] {
    const int64_t width = bytes.Between(2, 12);
    return absl::StrCat("{ width: ", width, " frac_width: ", bytes.Between(-2, width + 2), " }");
  };
  return absl::StrCat("default { config { name: 'integer' data_in ", format(), " weight ", format(),
                      " bias ", format(), " } }");
}

// Passes that only look, with no options but their defaults. Some refuse some nets.
constexpr absl::string_view kLooking[] = {
    "add_common_metadata", "add_software_metadata",  "calculate_avg_bits",
    "calculate_bitops",    "calculate_flops",        "compare_activations",
    "compare_formats",     "init_metadata",          "memory",
    "natural_sparsity",    "report_graph",           "report_node_meta_param",
    "report_node_shape",   "report_node_type",       "report_trainable_parameters",
    "sensitivity",         "summarize_quantization", "summary",
    "verify_metadata"};

void RunAll(Bytes& bytes) {
  const Net net = DrawNet(bytes);
  const std::string text = WriteGraphText(net.graph);
  Host host(net);
  const std::vector<float> whole = Results(net.graph, host, Execution::kFloat);

  Graph graph = net.graph.Clone();
  const auto run = [&](const PassConfig& pass) {
    const PassRun result = RunPasses({pass}, graph, host);
    CHECK_NE(result.status.code(), absl::StatusCode::kInternal) << result.status << "\n" << text;
    const absl::Status verified = VerifyGraph(graph);
    CHECK(verified.ok()) << pass.name() << ": " << verified << "\n" << text;
    return result;
  };

  (void)run(MakePass("remove_identity"));
  CHECK(Same(Results(graph, host, Execution::kFloat), whole)) << text;
  (void)run(MakePass("fold_batch_norm"));
  CHECK(Close(Results(graph, host, Execution::kFloat), whole)) << text;
  // Layers that become wider, and narrow again, have the weights that they had.
  graph = net.graph.Clone();
  if (run(MakePass("change_widths", "default { config { channel_multiplier: 2 } }")).status.ok()) {
    (void)Results(graph, host, Execution::kFloat);
    const PassRun back =
        run(MakePass("change_widths", "default { config { channel_multiplier: 0.5 } }"));
    CHECK(back.status.ok()) << back.status << "\n" << text;
    CHECK(Same(Results(graph, host, Execution::kFloat), whole)) << text;
  }
  if (bytes.Toss()) (void)run(MakePass("fold_batch_norm"));

  const std::string options = QuantizeOptions(bytes);
  if (run(MakePass("quantize", options)).status.ok()) {
    if (bytes.Toss()) (void)run(MakePass("calibrate"));
    const PassRun checked = run(MakePass("verify_quantization"));
    CHECK_EQ(checked.count("off_grid"), 0) << checked.status << "\n" << WriteGraphText(graph);
    CHECK(Same(Results(graph, host, Execution::kSimulated),
               Results(graph, host, Execution::kInteger)))
        << WriteGraphText(graph);
  }
  const std::string before = WriteGraphText(graph);
  for (const absl::string_view pass : kLooking) {
    (void)run(MakePass(pass));
    CHECK_EQ(WriteGraphText(graph), before) << pass;
  }
}

}  // namespace
}  // namespace mase

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mase::Bytes bytes(data, size);
  mase::RunAll(bytes);
  return 0;
}
