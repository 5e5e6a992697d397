// Every kernel against the reference in double, over odd shapes, in both layouts; every gradient
// against central differences of the reference.
#include "mase/kernel/kernel.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/graph/op_schema.h"
#include "mase/kernel/kernel_check.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

Attributes Pool(Ints kernel, Ints stride, Ints padding, bool ceil_mode = false) {
  return {
      {"kernel_size", kernel}, {"stride", stride}, {"padding", padding}, {"ceil_mode", ceil_mode}};
}

TEST(KernelTest, UnaryOps) {
  std::vector<KernelCase> cases;
  for (const char* op :
       {"relu", "relu6", "gelu", "selu", "elu", "silu", "tanh", "softsign", "softplus", "sigmoid",
        "logsigmoid", "hardswish", "hardsigmoid", "hardtanh", "hardshrink", "softshrink"}) {
    for (const Shape& shape : {Shape{0, 3}, Shape{}, Shape{1}, Shape{2, 16, 3}, Shape{7, 5}}) {
      cases.push_back({op, {shape}});
      cases.push_back({op, {shape}, {}, /*range=*/9});
    }
  }
  cases.push_back({"gelu", {{5, 3}}, {{"approximate", std::string("tanh")}}});
  cases.push_back({"softplus", {{5, 3}}, {{"beta", 2.0}, {"threshold", 1.0}}});
  cases.push_back({"elu", {{5, 3}}, {{"alpha", 0.5}}});
  CheckAll(cases);
}

TEST(KernelTest, BinaryOps) {
  std::vector<KernelCase> cases;
  for (const char* op : {"add", "sub", "mul", "div"}) {
    cases.insert(cases.end(), {{op, {{3, 5}, {3, 5}}},
                               {op, {{2, 16, 3}, {2, 16, 3}}},
                               {op, {{2, 3, 4}, {4}}},
                               {op, {{2, 3, 4}, {2, 3, 1}}},
                               {op, {{4}, {2, 3, 4}}},
                               {op, {{2, 1, 4}, {1, 3, 1}}},
                               {op, {{2, 16, 3, 3}, {2, 16, 1, 1}}},
                               {op, {{}, {2, 2}}},
                               {op, {{}, {}}},
                               {op, {{0, 3}, {1, 3}}}});
  }
  CheckAll(cases);
}

TEST(KernelTest, Products) {
  const auto linear = [](int64_t in, int64_t out, bool bias) {
    return Attributes{{"in_features", in}, {"out_features", out}, {"bias", bias}};
  };
  CheckAll({
      {"linear", {{0, 3}}, linear(3, 2, true)},
      {"linear", {{1, 1}}, linear(1, 1, true)},
      {"linear", {{5, 16}}, linear(16, 5, true)},
      {"linear", {{9, 7}}, linear(7, 35, false)},
      {"linear", {{2, 3, 33}}, linear(33, 64, true)},
      {"linear", {{4}}, linear(4, 3, true)},
      {"linear", {{3, 130}}, linear(130, 67, true)},  // Beyond the plain loops.
      {"linear", {{1, 9000}}, linear(9000, 1, true)},
      {"linear", {{2, 1}}, linear(1, 9000, true)},
      {"matmul", {{3, 4}, {4, 5}}},
      {"matmul", {{2, 3, 4}, {2, 4, 5}}},
      {"matmul", {{2, 1, 3, 4}, {5, 4, 2}}},
      {"matmul", {{3, 4}, {2, 4, 1}}},
      {"matmul", {{1, 1}, {1, 1}}},
      {"matmul", {{0, 4}, {4, 5}}},
      {"bmm", {{2, 3, 4}, {2, 4, 5}}},
      {"bmm", {{0, 3, 4}, {0, 4, 5}}},
      {"matmul", {{3, 100}, {100, 90}}},
  });
}

TEST(KernelTest, ProductsOfBfloat16) {
  const auto linear = [](int64_t in, int64_t out) {
    return Attributes{{"in_features", in}, {"out_features", out}, {"bias", true}};
  };
  const std::vector<KernelCase> cases = {
      {"linear", {{5, 16}}, linear(16, 5)},    {"linear", {{0, 3}}, linear(3, 2)},
      {"linear", {{3, 130}}, linear(130, 67)}, {"matmul", {{2, 1, 3, 4}, {5, 4, 2}}},
      {"bmm", {{2, 3, 4}, {2, 4, 5}}},
  };
  for (const KernelCase& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckProduct(c, /*bfloat16=*/true);
  }
}

TEST(KernelTest, Pools) {
  std::vector<KernelCase> cases;
  for (const std::string kind : {"max", "avg"}) {
    for (const int64_t channels : {3, 16}) {
      const std::vector<KernelCase> fixed = {
          {kind + "_pool2d", {{2, channels, 6, 5}}, Pool({2, 2}, {2, 2}, {0, 0})},
          {kind + "_pool2d", {{2, channels, 6, 5}}, Pool({3, 3}, {2, 2}, {1, 1})},
          {kind + "_pool2d", {{1, channels, 6, 5}}, Pool({3, 2}, {2, 3}, {1, 0}, true)},
          {kind + "_pool2d", {{1, channels, 7, 7}}, Pool({2, 2}, {3, 3}, {1, 1}, true)},
          {kind + "_pool2d", {{1, channels, 1, 1}}, Pool({1, 1}, {1, 1}, {0, 0})},
          {kind + "_pool1d", {{2, channels, 9}}, Pool({3}, {2}, {1}, true)},
          {kind + "_pool2d", {{0, channels, 4, 4}}, Pool({2, 2}, {2, 2}, {0, 0})},
          {"adaptive_" + kind + "_pool2d", {{2, channels, 5, 7}}, {{"output_size", Ints{1, 1}}}},
          {"adaptive_" + kind + "_pool2d", {{2, channels, 4, 8}}, {{"output_size", Ints{2, 3}}}},
          {"adaptive_" + kind + "_pool2d", {{1, channels, 2, 2}}, {{"output_size", Ints{3, 4}}}},
          {"adaptive_" + kind + "_pool1d", {{2, channels, 7}}, {{"output_size", Ints{3}}}},
      };
      cases.insert(cases.end(), fixed.begin(), fixed.end());
    }
  }
  // Rows of many windows, of which kernels take several at once.
  for (const std::string kind : {"max", "avg"}) {
    for (const int64_t width : {8, 14, 28, 37, 70}) {
      cases.push_back({kind + "_pool2d", {{1, 2, 4, width}}, Pool({2, 2}, {2, 2}, {0, 0})});
      cases.push_back({kind + "_pool2d", {{1, 2, 5, width}}, Pool({3, 3}, {2, 2}, {1, 1}, true)});
      cases.push_back({kind + "_pool2d", {{1, 2, 4, width}}, Pool({2, 3}, {1, 1}, {0, 1})});
      cases.push_back({kind + "_pool1d", {{2, 3, width}}, Pool({2}, {2}, {1})});
    }
  }
  Attributes excluded = Pool({3, 3}, {2, 2}, {1, 1}, true);
  excluded.Set("count_include_pad", false);
  cases.push_back({"avg_pool2d", {{2, 3, 6, 5}}, excluded});
  CheckAll(cases);
}

// Rows of many windows, full of equal numbers and with a NaN here and there.
template <typename T>
void CheckFirstMaxima(int64_t channels, int64_t width) {
  constexpr int64_t kHeight = 6;
  Problem problem =
      MakeProblem({"max_pool2d", {{1, channels, kHeight, width}}, Pool({2, 2}, {2, 2}, {0, 0})});
  std::vector<double>& values = problem.inputs[0].values;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = i % 31 == 7 ? std::nan("") : static_cast<double>(i * 7 % 5 / 2);
  }
  std::vector<double> diff(problem.dst.elements()), maxima, gradient(values.size());
  for (size_t i = 0; i < diff.size(); ++i) diff[i] = static_cast<double>(i + 1);
  for (int64_t y = 0; y < channels * kHeight; y += 2) {
    for (int64_t x = 0; x + 1 < width; x += 2) {
      int64_t best = y * width + x;
      for (const int64_t at : {best + 1, best + width, best + width + 1}) {
        if (values[at] > values[best] || std::isnan(values[at])) best = at;
      }
      gradient[best] += diff[maxima.size()];
      maxima.push_back(values[best]);
    }
  }
  const Results<T> results = Harness<T>(problem, true, Layout::kBlocked).Run(diff);
  const Results<T> at_rest = Harness<T>(problem, false, Layout::kBlocked).Run({});
  for (size_t i = 0; i < maxima.size(); ++i) {
    for (const double found : {double{results.dst[i]}, double{at_rest.dst[i]}}) {
      ASSERT_TRUE(found == maxima[i] || (std::isnan(found) && std::isnan(maxima[i]))) << i;
    }
  }
  for (size_t i = 0; i < gradient.size(); ++i) ASSERT_EQ(results.diff_srcs[0][i], gradient[i]) << i;
}

TEST(KernelTest, TheFirstMaximumOfAWindowGetsTheGradientAndNaNsWin) {
  for (const int64_t channels : {3, 16}) {
    for (const int64_t width : {4, 8, 14, 28, 37, 70}) {
      CheckFirstMaxima<float>(channels, width);
      CheckFirstMaxima<double>(channels, width);
    }
  }
}

TEST(KernelTest, BatchNorms) {
  std::vector<KernelCase> cases;
  const auto features = [](int64_t n, bool affine, bool tracked) {
    return Attributes{{"num_features", n}, {"affine", affine}, {"track_running_stats", tracked}};
  };
  for (const bool affine : {true, false}) {
    for (const bool tracked : {true, false}) {
      cases.insert(cases.end(), {{"batch_norm1d", {{2, 5}}, features(5, affine, tracked)},
                                 {"batch_norm1d", {{140, 37}}, features(37, affine, tracked)},
                                 {"batch_norm1d", {{3, 4, 7}}, features(4, affine, tracked)},
                                 {"batch_norm1d", {{3, 16, 1}}, features(16, affine, tracked)},
                                 {"batch_norm2d", {{2, 3, 4, 5}}, features(3, affine, tracked)},
                                 {"batch_norm2d", {{2, 3, 4, 4}}, features(3, affine, tracked)},
                                 {"batch_norm2d", {{2, 5, 8, 9}}, features(5, affine, tracked)},
                                 {"batch_norm2d", {{3, 16, 9, 5}}, features(16, affine, tracked)},
                                 {"batch_norm2d", {{1, 32, 3, 3}}, features(32, affine, tracked)},
                                 {"batch_norm2d", {{2, 1, 40, 1}}, features(1, affine, tracked)},
                                 {"batch_norm2d", {{2, 20, 1, 1}}, features(20, affine, tracked)}});
    }
  }
  CheckAll(cases);
}

TEST(KernelTest, BatchNormsOfNoRows) {
  CheckForward({"batch_norm2d", {{0, 3, 2, 2}}, {{"num_features", int64_t{3}}}});
  CheckForward({"batch_norm1d", {{0, 3}}, {{"num_features", int64_t{3}}}});
}

TEST(KernelTest, BatchNormMovesRunningStatisticsTowardsTheBatch) {
  const Problem problem = MakeProblem({"batch_norm1d", {{4, 1}}, {{"num_features", int64_t{1}}}});
  Problem fixed = problem;
  fixed.inputs[0].values = {1, 2, 3, 6};  // Mean 3, squares around it 14: unbiased 14/3.
  fixed.tensors[2].array.values = {10};
  fixed.tensors[3].array.values = {1};
  fixed.tensors[4].array.values = {41};
  const auto trained = Harness<double>(fixed, true, Layout::kPlain).Run({0, 0, 0, 0});
  EXPECT_DOUBLE_EQ(trained.tensors[2][0], 0.9 * 10 + 0.1 * 3);
  EXPECT_DOUBLE_EQ(trained.tensors[3][0], 0.9 * 1 + 0.1 * 14 / 3);
  EXPECT_EQ(trained.tensors[4][0], 42);
  const auto evaluated = Harness<double>(fixed, false, Layout::kPlain).Run({});
  EXPECT_EQ(evaluated.tensors[2][0], 10);
  EXPECT_EQ(evaluated.tensors[4][0], 41);
}

TEST(KernelTest, OtherNorms) {
  const auto group = [](int64_t groups, int64_t channels) {
    return Attributes{{"num_groups", groups}, {"num_channels", channels}};
  };
  CheckAll({
      {"layer_norm", {{3, 7}}, {{"normalized_shape", Ints{7}}}},
      {"layer_norm",
       {{2, 3, 4}},
       {{"normalized_shape", Ints{3, 4}}, {"elementwise_affine", false}}},
      {"layer_norm", {{0, 7}}, {{"normalized_shape", Ints{7}}}},
      {"rms_norm", {{3, 7}}, {{"normalized_shape", Ints{7}}}},
      {"rms_norm", {{2, 3, 4}}, {{"normalized_shape", Ints{3, 4}}, {"elementwise_affine", false}}},
      {"rms_norm", {{2, 3, 4}}, {{"normalized_shape", Ints{4}}, {"eps", 0.5}}},
      {"group_norm", {{2, 6, 5}}, group(3, 6)},
      {"group_norm", {{2, 16, 3, 3}}, group(1, 16)},
      {"group_norm", {{3, 4}}, group(2, 4)},
      {"instance_norm2d", {{2, 3, 4, 5}}, {{"num_features", int64_t{3}}}},
      {"instance_norm2d", {{2, 16, 3, 2}}, {{"num_features", int64_t{16}}, {"affine", true}}},
      {"instance_norm2d",
       {{2, 3, 4, 5}},
       {{"num_features", int64_t{3}}, {"affine", true}, {"track_running_stats", true}}},
  });
}

TEST(KernelTest, SoftmaxAndMoves) {
  CheckAll({
      {"softmax", {{3, 5}}, {{"dim", int64_t{1}}}},
      {"softmax", {{2, 3, 4}}, {{"dim", int64_t{-2}}}},
      {"softmax", {{0, 5}}, {{"dim", int64_t{1}}}},
      {"softmax", {{4}}, {{"dim", int64_t{0}}}},
      {"permute", {{2, 3, 4}}, {{"dims", Ints{2, 0, 1}}}},
      {"permute", {{2, 16, 3, 2}}, {{"dims", Ints{0, -2, -1, 1}}}},
      {"permute", {{5}}, {{"dims", Ints{0}}}},
      {"permute", {{0, 3}}, {{"dims", Ints{1, 0}}}},
      {"transpose", {{2, 3, 4}}, {{"dim0", int64_t{0}}, {"dim1", int64_t{-1}}}},
      {"cat", {{2, 3}, {2, 1}, {2, 4}}, {{"dim", int64_t{1}}}},
      {"cat", {{2, 3, 2}, {1, 3, 2}}, {{"dim", int64_t{0}}}},
      {"cat", {{2, 3}}, {{"dim", int64_t{-1}}}},
      {"mean", {{2, 3, 4}}, {{"dims", Ints{1, 2}}}},
      {"mean", {{2, 3, 4}}, {{"dims", Ints{-2}}, {"keepdim", true}}},
      {"mean", {{5}}, {{"dims", Ints{0}}}},
  });
}

TEST(KernelTest, FunctionsOfElements) {
  for (const char* op : {"leaky_relu", "abs", "ceil", "cos", "erf", "exp", "floor", "log", "neg",
                         "reciprocal", "round", "sin", "sqrt"}) {
    CheckAll({{op, {{3, 7}}}, {op, {{0, 7}}}, {op, {{2, 16, 3, 3}}}});
  }
  CheckAll({
      {"leaky_relu", {{3, 7}}, {{"negative_slope", 0.2}}},
      {"pow", {{3, 7}, {7}}},
      {"pow", {{2, 3, 1}, {1, 3, 5}}},
      {"maximum", {{3, 7}, {3, 7}}},
      {"maximum", {{3, 1}, {2, 1, 7}}},
      {"minimum", {{3, 7}, {1, 7}}},
      {"gt", {{3, 7}, {1, 7}}},
      {"ge", {{3, 7}, {3, 1}}},
      {"eq", {{3, 7}, {3, 7}}},
      {"log_softmax", {{3, 5}}, {{"dim", int64_t{1}}}},
      {"log_softmax", {{2, 3, 4}}, {{"dim", int64_t{-2}}}},
      {"sum", {{2, 3, 4}}, {{"dims", Ints{0, 2}}}},
      {"amax", {{2, 3, 4}}, {{"dims", Ints{1}}, {"keepdim", true}}},
      {"amin", {{2, 3, 4}}, {{"dims", Ints{-1, 0}}}},
  });
}

TEST(KernelTest, ChosenElements) {
  const auto slice = [](int64_t dim, int64_t start, int64_t end, int64_t step) {
    return Attributes{{"dim", dim}, {"start", start}, {"end", end}, {"step", step}};
  };
  const auto pad = [](Ints before, Ints after, const char* mode) {
    return Attributes{
        {"before", before}, {"after", after}, {"mode", std::string(mode)}, {"value", 0.75}};
  };
  CheckAll({
      {"slice", {{3, 7}}, slice(1, 1, 6, 2)},
      {"slice", {{3, 7, 2}}, slice(-2, -3, int64_t{1} << 62, 1)},
      {"slice", {{3, 7}}, slice(1, 5, -8, -2)},
      {"slice", {{3, 7}}, slice(0, 2, 2, 1)},
      {"index_select", {{3, 7}}, {{"dim", int64_t{1}}, {"index", Ints{6, 0, 0, 3}}}},
      {"index_select", {{3, 7, 2}}, {{"dim", int64_t{0}}, {"index", Ints{2}}}},
      {"expand", {{3, 1}}, {{"shape", Ints{2, -1, 4}}}},
      {"expand", {{1}}, {{"shape", Ints{5}}}},
      {"expand", {{}}, {{"shape", Ints{2, 3}}}},
      {"pad", {{3, 4}}, pad({1, 0}, {0, 2}, "constant")},
      {"pad", {{3, 4}}, pad({0, -1}, {1, -1}, "constant")},
      {"pad", {{2, 3, 4}}, pad({0, 2, 3}, {0, 1, 3}, "reflect")},
      {"pad", {{2, 3, 4}}, pad({0, 2, 5}, {1, 1, 3}, "replicate")},
      {"pad", {{2, 3}}, pad({0, 5}, {1, 4}, "circular")},
      {"where", {{3, 7}, {3, 7}, {3, 7}}},
      {"where", {{7}, {2, 3, 1}, {1}}},
      {"where", {{}, {}, {}}},
  });
}

TEST(KernelTest, EmbeddingTakesRowsByIdsAndRefusesOthers) {
  const Attributes attributes = {{"num_embeddings", int64_t{3}}, {"embedding_dim", int64_t{2}}};
  const KernelSpec spec = {.op = ops::kEmbedding,
                           .attributes = &attributes,
                           .srcs = {{{4}, Layout::kPlain, DType::kInt64}},
                           .dst = {{4, 2}},
                           .tensors = {"weight"}};
  auto kernel = ValueOrDie(CreateKernel(spec));
  int64_t ids[] = {2, 0, -1, 2};
  float table[] = {1, 2, 3, 4, 5, 6}, dst[8], diff_table[6];
  const void* srcs[] = {ids};
  void* tensors[] = {table};
  BackwardArgs args;
  args.srcs = srcs;
  args.tensors = tensors;
  args.dst = dst;
  ASSERT_OK(kernel->Forward(args));
  EXPECT_THAT(dst, ::testing::ElementsAre(5, 6, 1, 2, 5, 6, 5, 6));
  const float diff_dst[] = {1, 10, 2, 20, 3, 30, 4, 40};
  void* diff_tensors[] = {diff_table};
  args.diff_dst = diff_dst;
  args.diff_tensors = diff_tensors;
  ASSERT_OK(kernel->Backward(args));
  EXPECT_THAT(diff_table, ::testing::ElementsAre(2, 20, 0, 0, 8, 80));
  ids[1] = 3;
  EXPECT_THAT(kernel->Forward(args),
              StatusIs(absl::StatusCode::kOutOfRange,
                       ::testing::HasSubstr("id 3 at position 1 is none of the table's 3 rows")));
}

TEST(KernelTest, DropoutScalesWhatItKeepsAndDependsOnTheSeedAlone) {
  const Problem problem = MakeProblem({"dropout", {{100, 100}}, {{"p", 0.25}}});
  const auto results = Harness<float>(problem, true, Layout::kPlain).Run(problem.inputs[0].values);
  EXPECT_EQ(results.dst, results.diff_srcs[0]);  // The gradient's mask is the forward one.
  int64_t kept = 0;
  for (size_t i = 0; i < results.dst.size(); ++i) {
    if (results.dst[i] == 0) continue;
    ++kept;
    EXPECT_FLOAT_EQ(results.dst[i], static_cast<float>(problem.inputs[0].values[i] / 0.75));
  }
  EXPECT_NEAR(kept, 7500, 200);  // Over four standard deviations.
}

TEST(KernelTest, EveryOpOfTheTableHasAKernelOrNeedsNone) {
  for (const OpSchema* schema : AllOps()) {
    const bool frame = schema->name == ops::kPlaceholder || schema->name == ops::kOutput ||
                       schema->Is(OpTrait::kFromShapes) || schema->Is(OpTrait::kRenames) ||
                       schema->Is(OpTrait::kStored);
    EXPECT_TRUE(frame || HasKernel(schema->name, DType::kFloat32)) << schema->name;
    EXPECT_TRUE(frame || HasKernel(schema->name, DType::kFloat64)) << schema->name;
  }
}

TEST(KernelTest, BatchStatisticsOfOneValueAreRefused) {
  const Problem problem = MakeProblem({"batch_norm1d", {{1, 3}}, {{"num_features", int64_t{3}}}});
  const KernelSpec spec = {.op = problem.op,
                           .attributes = &problem.attributes,
                           .training = true,
                           .srcs = {{problem.inputs[0].shape}},
                           .dst = {problem.dst}};
  EXPECT_THAT(CreateKernel(spec), StatusIs(absl::StatusCode::kInvalidArgument,
                                           ::testing::HasSubstr("more than one row")));
}

}  // namespace
}  // namespace mase
