// The op table: every entry is complete, and every shape rule gives PyTorch's shapes.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/graph/op_schema.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using Ints = std::vector<int64_t>;

struct Case {
  std::string op;
  std::vector<Shape> inputs;
  Attributes attributes;
  std::string want;  // The result's shape, or a part of the error.
};

std::string Infer(const Case& c) {
  const OpSchema* schema = FindOp(c.op);
  if (schema == nullptr) return "no such op";
  Attributes attributes;
  for (const AttributeSpec& spec : schema->attributes) attributes.Set(spec.name, spec.fallback);
  for (const auto& [name, value] : c.attributes) attributes.Set(name, value);
  std::vector<ValueInfo> inputs;
  for (const Shape& shape : c.inputs) inputs.push_back({DType::kFloat32, shape, std::nullopt});
  auto results = schema->shape_rule(inputs, attributes);
  return results.ok() ? (*results)[0].shape.ToString() : std::string(results.status().message());
}

TEST(OpsTest, ShapesArePyTorchs) {
  const auto pool = [](int64_t k, int64_t s, int64_t p, bool ceil) {
    return Attributes{{"kernel_size", Ints{k, k}},
                      {"stride", Ints{s, s}},
                      {"padding", Ints{p, p}},
                      {"ceil_mode", ceil}};
  };
  const auto conv = [](int64_t i, int64_t o, int64_t k, int64_t s, int64_t p) {
    return Attributes{{"in_channels", i},
                      {"out_channels", o},
                      {"kernel_size", Ints{k, k}},
                      {"stride", Ints{s, s}},
                      {"padding", Ints{p, p}}};
  };
  const Case cases[] = {
      {"linear", {{0, 16}}, {{"in_features", int64_t{16}}, {"out_features", int64_t{5}}}, "[0, 5]"},
      {"linear",
       {{2, 3, 16}},
       {{"in_features", int64_t{16}}, {"out_features", int64_t{5}}},
       "[2, 3, 5]"},
      {"conv2d", {{1, 3, 32, 32}}, conv(3, 64, 7, 2, 3), "[1, 64, 16, 16]"},
      {"conv2d", {{1, 3, 2, 2}}, conv(3, 8, 3, 1, 0), "smaller than the kernel (3, 3)"},
      {"conv2d", {{1, 4, 8, 8}}, conv(3, 8, 3, 1, 0), "with 3 channels"},
      {"conv2d", {{1, 3, 9, 9}}, conv(3, 8, 1, 4, 0), "[1, 8, 3, 3]"},  // stride > kernel
      {"max_pool2d", {{1, 8, 32, 32}}, pool(3, 2, 1, false), "[1, 8, 16, 16]"},
      {"max_pool2d", {{1, 8, 6, 6}}, pool(3, 2, 0, true), "[1, 8, 3, 3]"},
      {"max_pool2d", {{1, 8, 5, 5}}, pool(2, 3, 1, true), "[1, 8, 2, 2]"},
      {"max_pool2d", {{1, 8, 5, 5}}, pool(2, 2, 2, false), "more than half"},
      {"adaptive_avg_pool2d", {{1, 8, 5, 7}}, {{"output_size", Ints{1, 1}}}, "[1, 8, 1, 1]"},
      {"flatten", {{2, 3, 4, 5}}, {}, "[2, 60]"},
      {"flatten",
       {{2, 3, 4, 5}},
       {{"start_dim", int64_t{1}}, {"end_dim", int64_t{2}}},
       "[2, 12, 5]"},
      {"view", {{2, 3, 4}}, {{"shape", Ints{2, -1}}}, "[2, 12]"},
      {"view", {{2, 3, 4}}, {{"shape", Ints{5, -1}}}, "cannot view [2, 3, 4]"},
      {"permute", {{2, 3, 4}}, {{"dims", Ints{2, 0, 1}}}, "[4, 2, 3]"},
      {"permute", {{2, 3, 4}}, {{"dims", Ints{2, 2, 1}}}, "no permutation"},
      {"transpose", {{2, 3, 4}}, {{"dim0", int64_t{-1}}, {"dim1", int64_t{0}}}, "[4, 3, 2]"},
      {"slice", {{2, 7}}, {{"dim", int64_t{1}}, {"start", int64_t{-3}}}, "[2, 3]"},
      {"slice", {{2, 7}}, {{"dim", int64_t{1}}, {"step", int64_t{0}}}, "step 0"},
      {"slice", {{2, 7}}, {{"dim", int64_t{1}}, {"end", int64_t{-8}}}, "[2, 0]"},
      {"index_select", {{2, 7}}, {{"dim", int64_t{1}}, {"index", Ints{7}}}, "index 7 is outside"},
      {"expand", {{3, 1}}, {{"shape", Ints{2, -1, 4}}}, "[2, 3, 4]"},
      {"expand", {{3, 2}}, {{"shape", Ints{3, 4}}}, "cannot expand [3, 2] to (3, 4)"},
      {"pad", {{2, 3}}, {{"before", Ints{0, 1}}, {"after", Ints{0, -2}}}, "[2, 2]"},
      {"pad", {{2, 3}}, {{"before", Ints{0}}, {"after", Ints{0}}}, "want 2 entries"},
      {"pad",
       {{2, 3}},
       {{"before", Ints{0, 3}}, {"after", Ints{0, 0}}, {"mode", std::string("reflect")}},
       "too little on axis 1 for reflect padding of 3"},
      {"where", {{2, 1}, {3}, {1}}, {}, "[2, 3]"},
      {"get_attr", {}, {{"shape", Ints{2, 3}}}, "[2, 3]"},
      {"embedding", {{2, 3}}, {{"embedding_dim", int64_t{8}}}, "[2, 3, 8]"},
      {"cat", {{2, 3}, {2, 4}}, {{"dim", int64_t{1}}}, "[2, 7]"},
      {"cat", {{2, 3}, {3, 4}}, {{"dim", int64_t{1}}}, "cannot join [2, 3] and [3, 4]"},
      {"add", {{4, 1, 3}, {2, 1}}, {}, "[4, 2, 3]"},
      {"matmul", {{5, 2, 3}, {3, 4}}, {}, "[5, 2, 4]"},
      {"matmul", {{2, 3}, {4, 3}}, {}, "cannot multiply [2, 3] by [4, 3]"},
      {"matmul", {{5, 2, 3}, {3}}, {}, "[5, 2]"},
      {"matmul", {{3}, {5, 3, 4}}, {}, "[5, 4]"},
      {"matmul", {{3}, {3}}, {}, "[]"},
      {"matmul", {{2, 3}, {2}}, {}, "cannot multiply [2, 3] by [2]"},
      {"bmm", {{5, 2, 3}, {4, 3, 2}}, {}, "two rank-3 inputs of one batch"},
      {"batch_norm1d", {{2, 16}}, {{"num_features", int64_t{16}}}, "[2, 16]"},
      {"batch_norm1d",
       {{2, 16}},
       {{"num_features", int64_t{16}}, {"momentum", -0.1}},
       "momentum=-0.1 is outside [0, 1]"},
      {"instance_norm2d",
       {{2, 4, 3, 3}},
       {{"num_features", int64_t{4}}, {"momentum", 1.5}},
       "momentum=1.5 is outside [0, 1]"},
      {"batch_norm1d", {{2, 15}}, {{"num_features", int64_t{16}}}, "16 channels on axis 1"},
      {"layer_norm", {{2, 3, 4}}, {{"normalized_shape", Ints{3, 4}}}, "[2, 3, 4]"},
      {"layer_norm", {{2, 3, 4}}, {{"normalized_shape", Ints{3}}}, "normalized_shape (3,)"},
      {"mean", {{2, 3, 4}}, {{"dims", Ints{1, 2}}}, "[2]"},
      {"softmax", {{2, 3}}, {{"dim", int64_t{2}}}, "axis 2 is outside rank 2"},
  };
  for (const Case& c : cases) EXPECT_THAT(Infer(c), HasSubstr(c.want)) << c.op;
}

// The operands that a record can round: those of inputs, then those of tensors, each once.
std::string OperandsOf(const OpSchema& schema) {
  std::vector<absl::string_view> operands;
  const auto add = [&](absl::string_view operand) {
    for (absl::string_view known : operands) {
      if (known == operand) return;
    }
    operands.push_back(operand);
  };
  for (const ArgumentSpec& argument : schema.arguments) add(argument.operand);
  for (const TensorRole& role : schema.tensor_roles) add(role.operand);
  return schema.quantizable ? absl::StrJoin(operands, ", ") : "";
}

// What the op costs in a convention: "2 MACs", "4 n *".
std::string CostText(const OpSchema& schema, CostConvention convention) {
  const CostRule& cost = schema.cost;
  if (cost.count == nullptr) return "0";
  const bool is_mac = convention == CostConvention::kMac;
  const bool sums = schema.Is(OpTrait::kWeighted) || schema.Is(OpTrait::kProduct);
  return absl::StrCat(sums     ? (is_mac ? "MACs" : "2 MACs")
                      : is_mac ? cost.other
                               : cost.flops,
                      cost.Publishes(convention) ? "" : " *");
}

TEST(OpsTest, DocsOpsMdIsTheTable) {
  std::string text =
      "# Ops\n\nEvery op that a graph can have (`mase/graph/ops_*.cc`; this page is checked "
      "against them). Names are\nMASE's, layers are PyTorch's classes. Operands are what "
      "`quantize` "
      "can round. The last two columns are\nwhat a forward pass costs by either convention "
      "([costs.md](costs.md)); n counts elements of the input, m\nof the result, and a star marks "
      "rules that are our own.\n\n| op | layer | result | operands | MAC | FLOP |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const OpSchema* schema : AllOps()) {
    absl::StrAppend(&text, "| ", schema->name, " | ", schema->module_class, " | ",
                    absl::StrReplaceAll(schema->doc, {{"|", "\\|"}}), " | ", OperandsOf(*schema),
                    " | ", CostText(*schema, CostConvention::kMac), " | ",
                    CostText(*schema, CostConvention::kFlop), " |\n");
  }
  const auto page = ReadFile(Runfile("docs/ops.md"), 1 << 20);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(*page, text) << "write this to docs/ops.md";
}

TEST(OpsTest, RolesAndTraits) {
  const OpSchema& matmul = *FindOp(ops::kMatmul);
  EXPECT_EQ(matmul.InputOperand(0), operands::kDataIn);
  EXPECT_EQ(matmul.InputOperand(1), operands::kWeight);
  EXPECT_EQ(FindOp(ops::kCat)->InputOperand(7), operands::kDataIn);
  const OpSchema& norm = *FindOp(ops::kBatchNorm1d);
  EXPECT_EQ(norm.TensorOperand("bias"), operands::kBias);
  EXPECT_EQ(norm.TensorOperand("running_mean"), "");
  EXPECT_TRUE(norm.Is(OpTrait::kNorm) && norm.Is(OpTrait::kBatchNorm));
  EXPECT_TRUE(FindOp(ops::kConv2d)->Is(OpTrait::kConvolution));
  EXPECT_FALSE(FindOp(ops::kConvTranspose2d)->Is(OpTrait::kOutputsFirst));
  EXPECT_TRUE(FindOp(ops::kRelu)->Is(OpTrait::kCutsNegatives));
}

TEST(OpsTest, EveryEntryIsComplete) {
  for (const OpSchema* schema : AllOps()) {
    EXPECT_FALSE(schema->doc.empty()) << schema->name;
    EXPECT_NE(schema->shape_rule, nullptr) << schema->name;
    EXPECT_EQ(schema->module_class.empty(), schema->module_type.empty()) << schema->name;
    const bool sums = schema->Is(OpTrait::kWeighted) || schema->Is(OpTrait::kProduct);
    EXPECT_EQ(schema->cost.other.empty(), schema->cost.count == nullptr || sums) << schema->name;
    EXPECT_EQ(schema->cost.flops.empty(), schema->cost.other.empty()) << schema->name;
    const bool is_frame =
        schema->name == "placeholder" || schema->name == "output" || schema->Is(OpTrait::kStored);
    EXPECT_EQ(schema->function_type.empty(), is_frame) << schema->name;
  }
}

TEST(OpsTest, MasesQuantizableOpsAreThere) {
  for (const char* name : {"linear", "conv1d", "conv2d", "add", "sub", "mul", "matmul", "bmm",
                           "relu", "gelu", "selu", "tanh", "softsign", "softplus", "batch_norm1d",
                           "batch_norm2d", "layer_norm", "group_norm", "instance_norm2d"}) {
    const OpSchema* schema = FindOp(name);
    ASSERT_NE(schema, nullptr) << name;
    EXPECT_TRUE(schema->quantizable) << name;
  }
}

TEST(OpsTest, ReprsArePyTorchs) {
  const auto repr = [](absl::string_view op, const Attributes& given) {
    const OpSchema& schema = *FindOp(op);
    Attributes all;
    for (const AttributeSpec& spec : schema.attributes) all.Set(spec.name, spec.fallback);
    for (const auto& [name, value] : given) all.Set(name, value);
    return ModuleRepr(schema, all, "");
  };
  EXPECT_EQ(repr("batch_norm1d", {{"num_features", int64_t{16}}}),
            "BatchNorm1d(16, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)");
  EXPECT_EQ(repr("relu", {{"inplace", true}}), "ReLU(inplace=True)");
  EXPECT_EQ(repr("conv2d", {{"in_channels", int64_t{3}},
                            {"out_channels", int64_t{64}},
                            {"kernel_size", Ints{7, 7}},
                            {"stride", Ints{2, 2}},
                            {"padding", Ints{3, 3}},
                            {"bias", false}}),
            "Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), bias=False)");
  EXPECT_EQ(repr("dropout", {{"p", 0.2}}), "Dropout(p=0.2, inplace=False)");
}

TEST(OpsTest, CostsCountMultiplyAccumulatesOnce) {
  const OpSchema& linear = *FindOp("linear");
  const ValueInfo in{DType::kFloat32, {8, 16}, std::nullopt};
  const ValueInfo out{DType::kFloat32, {8, 5}, std::nullopt};
  const OpCost cost = linear.cost.count(
      {&in, 1}, {&out, 1}, {{"in_features", int64_t{16}}, {"out_features", int64_t{5}}});
  EXPECT_EQ(cost.macs, 640);
  EXPECT_EQ(cost.other + cost.flops, 0);
}

}  // namespace
}  // namespace mase
