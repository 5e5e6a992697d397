#include "mase/exec/simulate.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/exec/executor.h"
#include "mase/format/format.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using ::testing::ElementsAreArray;

FormatProto ParseFormat(const std::string& text) {
  FormatProto format;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &format)) << text;
  return format;
}

void SetRecord(Graph& graph, absl::string_view node,
               const std::vector<std::pair<std::string, std::string>>& operands) {
  Quantization record;
  for (const auto& [name, format] : operands) {
    OperandFormat* operand = record.add_operand();
    operand->set_operand(name);
    *operand->mutable_format() = ParseFormat(format);
  }
  graph.SetQuantization(ValueOrDie(graph.LookUpNode(node)), record);
}

std::vector<float> Rounded(const std::string& format, const std::vector<float>& values) {
  std::vector<float> rounded(values.size());
  EXPECT_OK(ValueOrDie(Format::FromText(format))
                ->Quantize(values.data(), rounded.data(), {static_cast<int64_t>(values.size())}));
  return rounded;
}

std::vector<float> RunTwo(const Graph& graph, int64_t rows, const std::vector<float>& a,
                       const std::vector<float>& b) {
  auto executor = ValueOrDie(Executor::Create(graph));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {a.data(), b.data()}));
  return {executor->output().begin(), executor->output().end()};
}

TEST(SimulateTest, BothInputsOfAnAdditionAreDataInAndTheSecondOfAProductIsWeight) {
  const std::string coarse = "integer { width: 8 frac_width: 1 }";
  const std::string fine = "integer { width: 8 frac_width: 3 }";
  const std::vector<float> a = RandomValues(8, 1), b = RandomValues(8, 2);
  TestNet sum({2, 4});
  Graph addition = sum.Finish({sum.Function("add", {sum.input(), sum.Input({2, 4})})});
  SetRecord(addition, "add", {{"data_in", coarse}});
  std::vector<float> want;
  for (int i = 0; i < 8; ++i) want.push_back(Rounded(coarse, a)[i] + Rounded(coarse, b)[i]);
  EXPECT_THAT(RunTwo(addition, 2, a, b), ElementsAreArray(want));

  TestNet product({2, 1, 4});
  Graph bmm = product.Finish({product.Function("bmm", {product.input(), product.Input({2, 4, 1})})});
  SetRecord(bmm, "bmm", {{"data_in", coarse}, {"weight", fine}});
  want.assign(2, 0);
  for (int i = 0; i < 8; ++i) want[i / 4] += Rounded(coarse, a)[i] * Rounded(fine, b)[i];
  EXPECT_THAT(RunTwo(bmm, 2, a, b), ElementsAreArray(want));
}

TEST(SimulateTest, AQuantisedReluIsNotFusedAndRoundsItsInput) {
  const std::string format = "integer { width: 4 frac_width: 2 is_signed: false }";
  TestNet net({2, 4});
  Value* x = net.Module("batch_norm1d", {net.input()}, {{"num_features", int64_t{4}}});
  Graph graph = net.Finish({net.Module("relu", {x})});
  Graph without = graph.Clone();
  without.ReplaceInput(without.output(), 0, without.FindNode("batch_norm1d")->outputs()[0]);
  EXPECT_OK(without.EraseNode(without.FindNode("relu")));
  SetRecord(graph, "relu", {{"data_in", format}});
  const std::vector<float> a = RandomValues(8, 1);
  const auto run = [&](const Graph& net) {
    auto executor = ValueOrDie(Executor::Create(net));
    EXPECT_OK(executor->Forward(ExecutionMode::kInference, 2, {a.data()}));
    return std::vector<float>(executor->output().begin(), executor->output().end());
  };
  EXPECT_THAT(run(graph), ElementsAreArray(Rounded(format, run(without))));
}

TEST(SimulateTest, AFormatThatIsWrongIsNamedWithItsNodeAndOperand) {
  TestNet net({2, 4});
  Graph graph = net.Finish({net.Module("relu", {net.input()})});
  SetRecord(graph, "relu", {{"data_in", "integer { width: 99 }"}});
  EXPECT_THAT(Executor::Create(graph), StatusIs(absl::StatusCode::kInvalidArgument,
                                                ::testing::HasSubstr("relu (relu): data_in: ")));
}

}  // namespace
}  // namespace mase
