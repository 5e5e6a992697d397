#include "mase/model/zoo.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/memory_budget.h"
#include "mase/model/layer.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

Graph Build(const std::string& model, const Shape& input = {16}, int64_t classes = 5) {
  return ValueOrDie(BuildModel({model, input, classes, /*batch=*/2, /*seed=*/0}));
}

std::vector<std::string> Names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node* node : graph.NodesInOrder()) names.push_back(node->name());
  return names;
}

struct Count {
  const char* model;
  Shape input;
  int64_t classes;
  int64_t parameters;
  int64_t buffers;
};

// The table of the MASE models; buffers are means, variances and one counter a batch norm.
TEST(ZooTest, CountsAreMases) {
  const Count counts[] = {
      {"jsc-tiny", {16}, 5, 117, 33},
      {"jsc-tiny-handout", {16}, 5, 127, 44},
      {"jsc-toy", {16}, 5, 327, 78},
      {"jsc-s", {16}, 5, 5615, 173},
      {"jsc-trt", {16}, 5, 3231, 239},
      {"report-000", {16}, 5, 1119, 142},
      {"jsc-toy10x", {16}, 5, 4423, 275},
      {"jsc-custom", {16}, 5, 1295, 142},
      {"jsc-nas", {16}, 5, 32 + 272 + 272 + 85, 33},
      {"toy", {1, 2, 2}, 2, 130, 0},
      {"toy", {1, 28, 28}, 10, 6442, 0},
      {"toy", {3, 32, 32}, 10, 24746, 0},
      {"toy_tiny", {1, 2, 2}, 2, 16, 0},
      {"toy_tiny", {1, 28, 28}, 10, 1600, 0},
      {"toy_convnet", {3, 32, 32}, 10, 9818, 0},
      {"lfc", {1, 28, 28}, 10, 402974, 2073},
      {"cnv", {3, 32, 32}, 10, 1548638, 3869},
      {"cnv-toy", {3, 32, 32}, 10, 20874, 195},
      {"vgg7", {3, 32, 32}, 10, 14029450, 3590},
      {"vgg7", {3, 32, 32}, 100, 14121700, 3590},
      {"vgg7_tiny", {3, 32, 32}, 10, 18664, 0},
      {"resnet18", {3, 32, 32}, 10, 11181642, 9620},
      {"resnet18", {3, 32, 32}, 100, 11227812, 9620},
      {"mobilenetv3_small", {3, 32, 32}, 10, 1528106, 12146},
      {"mobilenetv3_small", {3, 32, 32}, 100, 1620356, 12146},
  };
  for (const Count& count : counts) {
    const Graph graph = Build(count.model, count.input, count.classes);
    EXPECT_EQ(graph.parameter_count(), count.parameters) << count.model;
    EXPECT_EQ(graph.buffer_count(), count.buffers) << count.model;
  }
}

TEST(ZooTest, EveryEntryIsCounted) {
  const Graph residual = Build("cnv_residual", {3, 32, 32}, 10);
  // The cnv net less the biases of its convolutions (896) and linears (1034).
  EXPECT_EQ(residual.parameter_count(), 1548638 - 896 - 1034);
  EXPECT_EQ(ZooModels().size(), 20u);  // All of them are in the table above, or just here.
}

TEST(ZooTest, NodesHaveMasesNames) {
  EXPECT_THAT(Names(Build("toy_convnet", {3, 32, 32}, 10)),
              ElementsAre("x", "block_1_0", "block_1_1", "maxpool", "block_2_0", "block_2_1",
                          "size", "view", "block_3_0", "block_3_1", "block_4_0", "block_4_1",
                          "avgpool", "size_1", "view_1", "linear", "output"));
  const Graph vgg7 = Build("vgg7", {3, 32, 32}, 10);
  EXPECT_EQ(vgg7.node_count(), 29);  // x, 21 feature layers, view, 4, last_layer, output.
  EXPECT_EQ(vgg7.FindNode("view")->inputs().size(), 1u);
  EXPECT_EQ(vgg7.FindNode("view")->outputs()[0]->shape(), Shape({2, 8192}));
  EXPECT_THAT(Names(Build("jsc-tiny")), ElementsAre("x", "seq_blocks_0", "seq_blocks_1",
                                                    "seq_blocks_2", "seq_blocks_3", "output"));
  EXPECT_THAT(Names(Build("toy", {1, 2, 2}, 2)),
              ElementsAre("x", "size", "view", "seq_blocks_0", "seq_blocks_1", "seq_blocks_2",
                          "seq_blocks_3", "seq_blocks_4", "output"));
  const Graph resnet = Build("resnet18", {3, 32, 32}, 10);
  for (const char* name : {"layer1_0_relu_1", "layer2_0_downsample_0", "add_7", "avgpool"}) {
    EXPECT_NE(resnet.FindNode(name), nullptr) << name;
  }
}

// Check values of PyTorch for torch.manual_seed(0): jsc-tiny's Linear(16, 5).
TEST(ZooTest, InitialWeightsArePyTorchs) {
  const Graph graph = Build("jsc-tiny");
  const auto weight = graph.FindTensor("seq_blocks.2.weight")->value.data<float>();
  const float expected[] = {-0.0018717051f, 0.1341108978f, -0.2057612836f, -0.1839847565f};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(weight[i], expected[i]);
  EXPECT_THAT(
      graph.FindTensor("seq_blocks.2.bias")->value.data<float>(),
      ElementsAre(-0.2329885364f, 0.2221231163f, 0.1900899410f, -0.2493819892f, 0.0467930138f));
}

// Sums in double of what a torchvision-style ResNet-18 has after torch.manual_seed(0): every
// weight is drawn at construction and the convolutions once more, in the order of modules().
TEST(ZooTest, ResNetsWeightsAreDrawnTwiceAsTorchvisionDoes) {
  const Graph graph = Build("resnet18", {3, 32, 32}, 10);
  const std::pair<const char*, double> sums[] = {
      {"conv1.weight", -0.6737566212},
      {"layer2.0.downsample.0.weight", -23.1735295871},
      {"layer2.0.conv1.weight", -9.51661693673},
      {"layer4.1.conv2.weight", 6.76915262854},
      {"fc.weight", 0.881311964745},
      {"fc.bias", 0.0310993343592},
  };
  for (const auto& [name, expected] : sums) {
    double sum = 0;
    for (float value : graph.FindTensor(name)->value.data<float>()) sum += value;
    EXPECT_NEAR(sum, expected, 1e-9) << name;
  }
}

TEST(ZooTest, SeedsDiffer) {
  ModelRequest request{"jsc-tiny", {16}, 5, 1, 0};
  const Graph zero = ValueOrDie(BuildModel(request));
  request.seed = 1;
  const Graph one = ValueOrDie(BuildModel(request));
  EXPECT_FALSE(BitEqual(zero.FindTensor("seq_blocks.2.weight")->value,
                        one.FindTensor("seq_blocks.2.weight")->value));
}

TEST(ZooTest, ALayerListWorksInPlaceOfAName) {
  const Graph graph = Build("BN, ReLU, Linear 32, BN, ReLU, Dropout 0.2, Linear 5, BN, ReLU");
  EXPECT_EQ(graph.FindNode("seq_blocks_5")->Description(), "Dropout(p=0.2, inplace=False)");
  EXPECT_EQ(graph.FindNode("seq_blocks_6")->Description(),
            "Linear(in_features=32, out_features=5, bias=True)");
  const Graph conv =
      Build("Conv 8 3x5 stride=2 padding=1, BN, GELU, GlobalAvgPool, Flatten, Linear classes",
            {3, 9, 9}, 4);
  EXPECT_EQ(conv.FindNode("seq_blocks_0")->Description(),
            "Conv2d(3, 8, kernel_size=(3, 5), stride=(2, 2), padding=(1, 1))");
  EXPECT_EQ(conv.output()->inputs()[0]->shape(), Shape({2, 4}));
}

TEST(ZooTest, MistakesInAModelAreNamed) {
  struct Case {
    const char* model;
    Shape input;
    const char* message;
  };
  const Case cases[] = {
      {"jsc-tny", {16}, "model 'jsc-tny': not found; did you mean 'jsc-tiny'?"},
      {"ReLU(16), Linear 5",
       {16},
       "seq_blocks.0: layer 'ReLU(16)': values follow a blank, without brackets, as in Linear 32"},
      {"BN, Linar 5", {16}, "seq_blocks.1: unknown layer 'Linar'; did you mean 'Linear'?"},
      {"BN, ReLU 16, Linear 5", {16}, "layer 'ReLU 16': takes 0 values, '16' is one more"},
      {"BN, Linear", {16}, "layer 'Linear': needs a value for 'out_features'"},
      {"BN, Linear five", {16}, "out_features: 'five' is no whole number"},
      {"BN, Linear 5 biass=true", {16}, "has no attribute 'biass'; did you mean 'bias'?"},
      {"BN, , Linear 5", {16}, "seq_blocks.1: an empty layer"},
      {"BN, Linear 7", {16}, "ends in [2, 7], want [batch, 5]"},
      {"BN, Linear 5", {3, 8, 8}, "add Flatten before the last Linear"},
      {"Conv 8 3, ReLU", {16}, "want rank 3 with 16 channels"},
      {"BN, Linear -5", {16}, "out_features=-5: want at least 1"},
      {"BN, Linear 99999999999", {16}, "limit"},
      {"BN momentum=nan, Linear 5",
       {16},
       "seq_blocks.0 (BN momentum=nan): momentum=nan is outside [0, 1]"},
      {"BN momentum=2, Linear 5",
       {16},
       "seq_blocks.0 (BN momentum=2): momentum=2 is outside [0, 1]"},
      {"BN, LeakyReLU nan, Linear 5", {16}, "seq_blocks_1 (leaky_relu): negative_slope=nan: want"},
      {"a: BN; b c", {16}, "cannot read 'b c'"},
      {"resnet18", {16}, "conv"},
  };
  for (const Case& c : cases) {
    const auto graph = BuildModel({c.model, c.input, 5, 2, 0});
    ASSERT_FALSE(graph.ok()) << c.model;
    EXPECT_THAT(std::string(graph.status().message()), HasSubstr(c.message)) << c.model;
  }
}

TEST(ZooTest, WeightsBeyondTheBoundAreNotMade) {
  const ModelRequest request = {
      .model = "Linear 60000, Linear 60000", .input = {16}, .max_elements = 2'000'000};
  const int64_t limit = MemoryLimit();
  SetMemoryLimit(int64_t{1} << 32);  // The second layer has 14.4 GB.
  const auto graph = BuildModel(request);
  SetMemoryLimit(limit);
  EXPECT_EQ(graph.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(
      std::string(graph.status().message()),
      "model 'Linear 60000, Linear 60000': seq_blocks.1.weight: the net has more than 2000000 "
      "weights");
}

}  // namespace
}  // namespace mase
