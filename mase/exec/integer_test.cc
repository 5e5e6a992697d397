// Integer execution: results are those of the simulation, to the bit, on random nets and on the
// zoo's, and on every instruction set; what does not run on codes says why.
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"
#include "mase/exec/executor.h"
#include "mase/format/format.h"
#include "mase/kernel/integer/tile.h"
#include "mase/model/zoo.h"
#include "mase/quantize/rule.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/every_isa.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Ran {
  std::vector<float> output;
  ExecutionReport report;
};

Ran RunNet(const Graph& graph, Execution execution, int64_t rows, const std::vector<float>& x) {
  auto executor = ValueOrDie(Executor::Create(graph, {.execution = execution}));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
  return {{executor->output().begin(), executor->output().end()}, ValueOrDie(executor->Report())};
}

// Fails where a number differs in a bit; says how many of the nodes with a record ran on codes.
void ExpectEqualBits(const std::vector<float>& integer, const std::vector<float>& simulated) {
  ASSERT_EQ(integer.size(), simulated.size());
  for (size_t i = 0; i < integer.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(integer[i]), std::bit_cast<uint32_t>(simulated[i]))
        << "element " << i << ": " << integer[i] << " in integers, " << simulated[i]
        << " simulated";
  }
}

int CountIntegers(const ExecutionReport& report) {
  int count = 0;
  for (const NodeExecution& node : report.nodes) {
    count += node.has_record && node.way == Execution::kInteger;
  }
  return count;
}

TEST(IntegerTest, ThousandRandomNetsAreTheirSimulationToTheBit) {
  int in_integers = 0, with_records = 0;
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    const RandomNet net = MakeRandomNet(seed);
    SCOPED_TRACE(absl::StrCat("net ", seed, " of ", net.rows, " rows:", net.text));
    const Ran integer = RunNet(net.graph, Execution::kInteger, net.rows, net.input);
    ExpectEqualBits(integer.output,
                    RunNet(net.graph, Execution::kSimulated, net.rows, net.input).output);
    if (HasFatalFailure()) return;
    in_integers += CountIntegers(integer.report);
    for (const NodeExecution& node : integer.report.nodes) {
      with_records += node.has_record;
      EXPECT_EQ(node.way == Execution::kInteger, node.reason.empty()) << node.node;
    }
  }
  // What stays simulated is what lacks an operand.
  EXPECT_GT(in_integers, with_records * 9 / 10);
  EXPECT_GT(with_records, 3000);
}

// Runs `body` on every instruction set, with and without what AVX-512 may have for integers.
template <typename Body>
void OnEveryIntegerIsa(const Body& body) {
  OnEveryIsa([&] {
    for (const bool vnni : {false, true}) {
      if (vnni && CurrentIsa() != Isa::kAvx512) continue;  // The others have none.
      if (!SetVnniForTest(vnni) && vnni) continue;
      SCOPED_TRACE(absl::StrCat(IntegerIsaName(CurrentIntegerIsa())));
      body();
      if (!vnni || !SetPopcountForTest(false)) continue;
      SCOPED_TRACE("without VPOPCNTDQ");
      body();
      SetPopcountForTest(true);
    }
  });
}

// Taps that a whole tile has in the padding are left out, and tiles are of one position of several
// samples where that leaves out more: down to images of one pixel, and windows beyond the image.
// Many samples are shared among threads, of few the positions.
TEST(IntegerTest, PaddingIsLeftOutOfImagesOfAFewPixels) {
  for (const int64_t side : {1, 2, 3, 5}) {
    for (const int64_t kernel : {1, 3, 5}) {
      for (const int64_t rows : {1, 2, 7, 16, 53}) {
        SCOPED_TRACE(absl::StrCat(side, " pixels, kernel ", kernel, ", ", rows, " rows"));
        const int64_t padding = kernel == 1 ? 1 : kernel / 2;
        const Shape input = {rows, 6, side, side};
        TestNet net(input, 5);
        Value* x = net.Module("conv2d", {net.input()},
                              {{"in_channels", int64_t{6}},
                               {"out_channels", int64_t{70}},
                               {"kernel_size", std::vector<int64_t>{kernel, kernel}},
                               {"stride", std::vector<int64_t>{1, 1}},
                               {"padding", std::vector<int64_t>{padding, padding}},
                               {"dilation", std::vector<int64_t>{1, 1}},
                               {"groups", int64_t{2}},
                               {"bias", true}});
        const std::string name = x->producer()->name();
        Graph graph = net.Finish({x});
        SetRecord(graph, name,
                  {{"data_in", "affine { width: 8 is_signed: true scale: 0.03125 zero_point: 40 }"},
                   {"weight", "integer { width: 8 frac_width: 7 }"},
                   {"bias", "integer { width: 8 frac_width: 7 }"}});
        const std::vector<float> values = RandomValues(input.elements(), 3);
        const Ran integer = RunNet(graph, Execution::kInteger, rows, values);
        EXPECT_EQ(CountIntegers(integer.report), 1);
        ExpectEqualBits(integer.output, RunNet(graph, Execution::kSimulated, rows, values).output);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// A layer, linear or of windows with padding, whose weights are -1, 0 and 1.
Graph SignNet(bool windows, int64_t rows, int64_t depth, const std::string& in,
              const std::string& weight) {
  TestNet net(windows ? Shape{rows, depth, 5, 4} : Shape{rows, depth}, 6);
  Value* x =
      windows ? net.Module("conv2d", {net.input()},
                           {{"in_channels", depth},
                            {"out_channels", int64_t{37}},
                            {"kernel_size", std::vector<int64_t>{3, 3}},
                            {"stride", std::vector<int64_t>{1, 2}},
                            {"padding", std::vector<int64_t>{1, 2}},
                            {"dilation", std::vector<int64_t>{1, 1}},
                            {"groups", int64_t{1}},
                            {"bias", true}})
              : net.Module("linear", {net.input()},
                           {{"in_features", depth}, {"out_features", int64_t{37}}, {"bias", true}});
  const std::string name = x->producer()->name();
  Graph graph = net.Finish({x});
  SetRecord(graph, name,
            {{"data_in", in}, {"weight", weight}, {"bias", "integer { width: 8 frac_width: 6 }"}});
  return graph;
}

TEST(IntegerTest, SignsByOneOrTwoBitsAreTheSimulationsOnEveryInstructionSet) {
  const char* const kInputs[] = {
      // Chains of small layers round to nearest alone, and have kernels of their own.
      "integer { width: 1 frac_width: 0 is_signed: false } rounding: FLOOR",
      "integer { width: 2 frac_width: 1 is_signed: false } rounding: FLOOR",
      "integer { width: 2 frac_width: 1 } rounding: FLOOR",
      "affine { width: 2 is_signed: false scale: 0.5 zero_point: 1 }",
      "integer { width: 3 frac_width: 1 }",  // Bytes.
  };
  OnEveryIntegerIsa([&] {
    for (const std::string in : kInputs) {
      for (const std::string weight : {"binary { bipolar: true }", "ternary { }"}) {
        for (const bool windows : {false, true}) {
          for (const int64_t depth : {96, 127, 4500}) {
            if (depth > 1000 && (windows || weight != "ternary { }")) continue;
            SCOPED_TRACE(absl::StrCat(in, " by ", weight, windows ? " windows " : " ", depth));
            const int64_t rows = depth == 127 ? 1 : 7;
            const Graph graph = SignNet(windows, rows, depth, in, weight);
            const std::vector<float> values =
                RandomValues(rows * depth * (windows ? 20 : 1), 3 + depth);
            const Ran integer = RunNet(graph, Execution::kInteger, rows, values);
            EXPECT_EQ(CountIntegers(integer.report), 1);
            ExpectEqualBits(integer.output,
                            RunNet(graph, Execution::kSimulated, rows, values).output);
            if (::testing::Test::HasFatalFailure()) return;
          }
        }
      }
    }
  });
}

TEST(IntegerTest, BitsAreUsedWhereTheyWin) {
  if (CurrentIntegerIsa() != IntegerIsa::kVnni || !SetPopcountForTest(true)) return;
  const auto isa = [](const std::string& in, const std::string& weight, int64_t depth) {
    const Graph graph = SignNet(false, 4, depth, in, weight);
    const std::vector<float> values = RandomValues(4 * depth, 2);
    std::string found;
    for (const StepExecution& step : RunNet(graph, Execution::kInteger, 4, values).report.steps) {
      if (step.kernel == "integer_linear") found = step.isa;
    }
    return found;
  };
  const std::string one = "integer { width: 1 frac_width: 0 is_signed: false } rounding: FLOOR";
  const std::string two = "integer { width: 2 frac_width: 1 } rounding: FLOOR";
  const std::string three = "integer { width: 3 frac_width: 1 } rounding: FLOOR";
  const std::string binary = "binary { bipolar: true }";
  EXPECT_EQ(isa(one, binary, 256), "AVX-512 VPOPCNTDQ");
  EXPECT_EQ(isa(two, binary, 256), "AVX-512 VPOPCNTDQ");
  EXPECT_EQ(isa(two, "ternary { }", 256), "AVX-512 VPOPCNTDQ");
  EXPECT_EQ(isa(three, binary, 256), "AVX-512 VNNI");
  EXPECT_EQ(isa(one, binary, 64), "AVX-512 VNNI");
  EXPECT_EQ(isa(one, "integer { width: 4 frac_width: 3 }", 256), "AVX-512 VNNI");
}

TEST(IntegerTest, EveryInstructionSetGivesTheSimulationsBits) {
  OnEveryIntegerIsa([] {
    for (uint64_t seed = 2001; seed <= 2100; ++seed) {
      const RandomNet net = MakeRandomNet(seed);
      SCOPED_TRACE(absl::StrCat("net ", seed, ":", net.text));
      ExpectEqualBits(RunNet(net.graph, Execution::kInteger, net.rows, net.input).output,
                      RunNet(net.graph, Execution::kSimulated, net.rows, net.input).output);
      if (::testing::Test::HasFatalFailure()) return;
    }
  });
}

// Every node that a record can be given to has one.
void QuantizeAll(const std::string& format, Graph& graph) {
  const RuleFormat rule = ValueOrDie(UniformRule(ParseFormat(format)));
  const InferredShapes shapes = ValueOrDie(InferShapesFor(graph, 2));
  for (Node* node : graph.NodesInOrder()) {
    if (!node->schema().quantizable || !CheckOp(rule, node->op()).ok()) continue;
    const auto record = QuantizationFor(*node, rule, shapes);
    if (record.ok()) graph.SetQuantization(node, *record);
  }
}

TEST(IntegerTest, EveryNetOfTheZooIsItsSimulationToTheBit) {
  for (const ZooEntry& entry : ZooModels()) {
    SCOPED_TRACE(entry.name);
    const bool jets = entry.family == "jet substructure";
    Graph graph = ValueOrDie(BuildModel({.model = std::string(entry.name),
                                         .input = jets ? Shape{16} : Shape{3, 32, 32},
                                         .classes = jets ? 5 : 10}));
    QuantizeAll("integer { width: 8 frac_width: 5 }", graph);
    const int64_t rows = jets ? 33 : 2;
    const std::vector<float> x = RandomValues(rows * (jets ? 16 : 3 * 32 * 32), 7);
    const Ran integer = RunNet(graph, Execution::kInteger, rows, x);
    ExpectEqualBits(integer.output, RunNet(graph, Execution::kSimulated, rows, x).output);
    EXPECT_GT(CountIntegers(integer.report), 0);
  }
}

Graph OneLinear(int64_t in, int64_t out, const Formats& formats) {
  TestNet net({4, in});
  Graph graph = net.Finish(
      {net.Module("linear", {net.input()}, {{"in_features", in}, {"out_features", out}})});
  SetRecord(graph, "linear", formats);
  return graph;
}

constexpr char kEight[] = "integer { width: 8 frac_width: 4 }";

const NodeExecution& NodeOf(const ExecutionReport& report, absl::string_view name) {
  for (const NodeExecution& node : report.nodes) {
    if (node.node == name) return node;
  }
  ADD_FAILURE() << "no node " << name;
  return report.nodes[0];
}

TEST(IntegerTest, WorkedExample) {
  // The layer of the specification's worked example.
  TestNet net({1, 3});
  Graph graph = net.Finish({net.Module(
      "linear", {net.input()}, {{"in_features", int64_t{3}}, {"out_features", int64_t{2}}})});
  const Node* linear = ValueOrDie(graph.LookUpNode("linear"));
  const auto set = [&](const char* name, std::vector<float> values, Shape shape) {
    Tensor tensor(DType::kFloat32, std::move(shape));
    std::copy(values.begin(), values.end(), tensor.mutable_data<float>().begin());
    graph.SetTensor(*linear->FindParameter(name), std::move(tensor), /*buffer=*/false);
  };
  set("weight", {0.2186f, -0.2631f, 0.3352f, 1.9f, -3.3f, 0.03f}, {2, 3});
  set("bias", {0.0753f, -1.2f}, {2});
  SetRecord(graph, "linear", {{"data_in", kEight}, {"weight", kEight}, {"bias", kEight}});
  const Ran ran = RunNet(graph, Execution::kInteger, 1, {1.03f, -0.47f, 2.2f});
  EXPECT_THAT(ran.output, ::testing::ElementsAre(1.05859375f, 2.34375f));
  EXPECT_EQ(NodeOf(ran.report, "linear").way, Execution::kInteger);
}

TEST(IntegerTest, SumsBeyondFloat32AreExactInBoth) {
  // 2,048 products of 16 x 8 bits: far beyond 2^24, and still an int32.
  const Formats formats = {{"data_in", "integer { width: 11 frac_width: 8 }"},
                           {"weight", "integer { width: 10 frac_width: 13 }"},
                           {"bias", "integer { width: 16 frac_width: 20 }"}};
  const Graph graph = OneLinear(1800, 3, formats);
  const std::vector<float> x = RandomValues(4 * 1800, 3);
  const Ran integer = RunNet(graph, Execution::kInteger, 4, x);
  ExpectEqualBits(integer.output, RunNet(graph, Execution::kSimulated, 4, x).output);
  EXPECT_EQ(NodeOf(integer.report, "linear").way, Execution::kInteger);
}

// Sums of 27 bits, which float32 holds for an eighth of the depth: the simulation adds in chunks.
TEST(IntegerTest, SumsOfChunksAreExactInALinearLayer) {
  const Graph graph =
      OneLinear(5000, 7, {{"data_in", kEight}, {"weight", kEight}, {"bias", kEight}});
  const std::vector<float> x = RandomValues(3 * 5000, 5);
  const Ran integer = RunNet(graph, Execution::kInteger, 3, x);
  ExpectEqualBits(integer.output, RunNet(graph, Execution::kSimulated, 3, x).output);
  EXPECT_EQ(NodeOf(integer.report, "linear").way, Execution::kInteger);
}

// Factors too long for the cache pass in slices, of depth or of taps, while the sums of up to 96
// rows wait; the last tile of rows, the last block of columns and taps in the padding are odd.
TEST(IntegerTest, LongFactorsPassInSlices) {
  const char narrow[] = "integer { width: 5 frac_width: 3 }";
  const Formats formats = {{"data_in", narrow}, {"weight", narrow}, {"bias", kEight}};
  const int64_t depth = 9001;
  const Graph linear = OneLinear(depth, 70, formats);
  const std::vector<float> x = RandomValues(101 * depth, 7);
  TestNet net({1, 1500, 3, 5});
  Graph conv = net.Finish({net.Module("conv2d", {net.input()},
                                      {{"in_channels", int64_t{1500}},
                                       {"out_channels", int64_t{70}},
                                       {"kernel_size", std::vector<int64_t>{3, 3}},
                                       {"stride", std::vector<int64_t>{1, 1}},
                                       {"padding", std::vector<int64_t>{1, 1}},
                                       {"dilation", std::vector<int64_t>{1, 1}},
                                       {"groups", int64_t{1}},
                                       {"bias", true}})});
  SetRecord(conv, "conv2d", formats);
  const std::vector<float> images = RandomValues(2 * 1500 * 15, 8);
  const Ran simulated_linear = RunNet(linear, Execution::kSimulated, 101, x);
  const Ran simulated_conv = RunNet(conv, Execution::kSimulated, 2, images);
  OnEveryIntegerIsa([&] {
    ExpectEqualBits(RunNet(linear, Execution::kInteger, 101, x).output, simulated_linear.output);
    const Ran integer = RunNet(conv, Execution::kInteger, 2, images);
    ExpectEqualBits(integer.output, simulated_conv.output);
    EXPECT_EQ(NodeOf(integer.report, "conv2d").way, Execution::kInteger);
  });
}

// Whole tiles of sums become results in registers, the others by way of memory: to bytes, for the
// layer behind, and to float32; behind a ReLU; with biases that are whole in the sums' units, and
// that are not.
TEST(IntegerTest, WholeTilesAndTheRestAreFinishedAlike) {
  const char fine[] = "integer { width: 8 frac_width: 14 }";
  const char affine[] = "affine { width: 8 is_signed: true scale: 0.03125 zero_point: -3 }";
  for (const char* const in : {kEight, affine}) {
    for (const char* const bias : {kEight, fine}) {
      for (const bool relu : {false, true}) {
        SCOPED_TRACE(absl::StrCat(in, ", bias ", bias, relu ? ", relu" : ""));
        TestNet net({1, 90}, 11);
        Value* x = net.Module("linear", {net.input()},
                              {{"in_features", int64_t{90}}, {"out_features", int64_t{150}}});
        if (relu) x = net.Module("relu", {x});
        x = net.Module("linear", {x},
                       {{"in_features", int64_t{150}}, {"out_features", int64_t{133}}});
        const std::string last = x->producer()->name();
        Graph graph = net.Finish({x});
        for (const std::string& name : {std::string("linear"), last}) {
          SetRecord(graph, name, {{"data_in", in}, {"weight", kEight}, {"bias", bias}});
        }
        const std::vector<float> values = RandomValues(27 * 90, 12);
        const Ran simulated = RunNet(graph, Execution::kSimulated, 27, values);
        OnEveryIntegerIsa([&] {
          const Ran integer = RunNet(graph, Execution::kInteger, 27, values);
          EXPECT_EQ(CountIntegers(integer.report), 2);
          ExpectEqualBits(integer.output, simulated.output);
        });
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(IntegerTest, SumsOfChunksAreExactInAConvolution) {
  using Sizes = std::vector<int64_t>;
  for (const int64_t groups : {int64_t{1}, int64_t{2}}) {
    TestNet net({2, 256, 9, 11});
    Graph graph = net.Finish({net.Module("conv2d", {net.input()},
                                         {{"in_channels", int64_t{256}},
                                          {"out_channels", int64_t{6}},
                                          {"kernel_size", Sizes{3, 2}},
                                          {"stride", Sizes{2, 1}},
                                          {"padding", Sizes{2, 1}},
                                          {"dilation", Sizes{2, 3}},
                                          {"groups", groups},
                                          {"bias", true}})});
    SetRecord(graph, "conv2d",
              {{"data_in", "integer { width: 9 frac_width: 5 }"},
               {"weight", "integer { width: 9 frac_width: 8 }"},
               {"bias", kEight}});
    const std::vector<float> x = RandomValues(2 * 256 * 9 * 11, 6);
    const Ran integer = RunNet(graph, Execution::kInteger, 2, x);
    ExpectEqualBits(integer.output, RunNet(graph, Execution::kSimulated, 2, x).output);
    EXPECT_EQ(NodeOf(integer.report, "conv2d").way, Execution::kInteger);
  }
}

TEST(IntegerTest, ReasonsNameWhatCannotBeLowered) {
  const std::vector<float> x = RandomValues(4 * 20, 3);
  const auto reason = [&](const Formats& formats) {
    const Ran ran = RunNet(OneLinear(20, 3, formats), Execution::kInteger, 4, x);
    EXPECT_EQ(NodeOf(ran.report, "linear").way, Execution::kSimulated);
    return NodeOf(ran.report, "linear").reason;
  };
  EXPECT_THAT(reason({{"weight", kEight}, {"bias", kEight}}), HasSubstr("data_in is not rounded"));
  EXPECT_THAT(
      reason({{"data_in", "minifloat_ieee { width: 8 exponent_width: 4 }"}, {"weight", kEight}}),
      HasSubstr("data_in: minifloat_ieee is no multiple of one step"));
  EXPECT_THAT(
      reason({{"data_in", kEight}, {"weight", "integer { width: 24 frac_width: 8 }"}}),
      HasSubstr(
          "weight: codes of 24 bits; integer kernels take up to 16: give it a smaller width"));
  EXPECT_THAT(reason({{"data_in", "integer { width: 8 frac_width: 126 }"},
                      {"weight", "integer { width: 8 frac_width: 120 }"}}),
              HasSubstr("step 8.84344e-75; integer kernels take steps from 2^-126"));
  EXPECT_THAT(reason({}), HasSubstr("its record rounds nothing (bypass)"));
  EXPECT_THAT(
      reason({{"data_in", std::string(kEight) + " rounding: STOCHASTIC"}, {"weight", kEight}}),
      HasSubstr("stochastic"));
  EXPECT_THAT(
      reason({{"data_in", std::string(kEight) + " semantics: REFERENCE"}, {"weight", kEight}}),
      HasSubstr("REFERENCE semantics"));
}

TEST(IntegerTest, AnAccumulatorThatMayOverflowIsNamed) {
  const Formats wide = {{"data_in", "integer { width: 16 frac_width: 12 }"},
                        {"weight", "integer { width: 16 frac_width: 15 }"},
                        {"bias", kEight}};
  const Ran ran =
      RunNet(OneLinear(4000, 2, wide), Execution::kInteger, 4, RandomValues(4 * 4000, 3));
  EXPECT_EQ(NodeOf(ran.report, "linear").way, Execution::kSimulated);
  EXPECT_THAT(NodeOf(ran.report, "linear").reason, HasSubstr("accumulator may overflow"));
}

// A format whose range calibration was to find.
TEST(IntegerTest, AMissingScaleIsNamed) {
  const Graph graph = OneLinear(20, 3, {{"data_in", "affine { width: 8 }"}, {"weight", kEight}});
  EXPECT_THAT(Executor::Create(graph, {.execution = Execution::kInteger}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("linear (linear): data_in"), HasSubstr("scale"))));
}

}  // namespace
}  // namespace mase
