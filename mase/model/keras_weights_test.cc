// Files made by Keras 3 (testdata/keras/make.py), and what Keras computed by them.
#include "mase/model/keras_weights.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/exec/executor.h"
#include "mase/interop/npy.h"
#include "mase/model/checkpoint.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

std::string File(const std::string& name) { return Runfile("testdata/keras/" + name); }

TEST(KerasWeightsTest, ALayerListWithThemComputesWhatKerasDid) {
  const struct {
    const char *name, *layers;
    Shape input;
    int64_t classes;
  } nets[] = {
      {"mlp", "BatchNorm1d, Linear 8, ReLU, BatchNorm1d, Linear 5", {16}, 5},
      {"cnn",
       "nn.Sequential(nn.Conv2d(2, 4, (3, 2)), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
       "nn.Linear(4, 3, bias=False))",
       {2, 6, 7},
       3},
  };
  for (const auto& net : nets) {
    SCOPED_TRACE(net.name);
    Graph graph =
        ValueOrDie(BuildModel({.model = net.layers, .input = net.input, .classes = net.classes}));
    const SafeTensors weights = ValueOrDie(ReadKerasWeights(File(absl::StrCat(net.name, ".h5"))));
    const BindReport report = ValueOrDie(BindTensors(weights, graph));
    EXPECT_TRUE(report.extra.empty());
    const KerasArchive archive =
        ValueOrDie(ReadKerasArchive(File(absl::StrCat(net.name, ".keras"))));
    ASSERT_EQ(archive.weights.tensors.size(), weights.tensors.size());
    for (const NamedTensor& tensor : weights.tensors) {
      ASSERT_NE(archive.weights.Find(tensor.name), nullptr) << tensor.name;
      EXPECT_TRUE(BitEqual(*archive.weights.Find(tensor.name), tensor.value)) << tensor.name;
    }
    const Tensor in = ValueOrDie(ReadNpy(File(absl::StrCat(net.name, ".in.npy"))));
    const Tensor out = ValueOrDie(ReadNpy(File(absl::StrCat(net.name, ".out.npy"))));
    const auto executor = ValueOrDie(Executor::Create(graph));
    EXPECT_OK(
        executor->Forward(ExecutionMode::kInference, in.shape()[0], {in.data<float>().data()}));
    ASSERT_EQ(executor->output().size(), static_cast<size_t>(out.elements()));
    for (int64_t i = 0; i < out.elements(); ++i) {
      EXPECT_NEAR(executor->output()[i], out.data<float>()[i], 2e-6) << i;
    }
  }
}

TEST(KerasWeightsTest, OfAnArchiveLayersWithOtherWeightsAreNamed) {
  EXPECT_THAT(ReadKerasArchive(File("depthwise.keras")),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("depthwise.keras: layer 'deep (DepthwiseConv2D)' has 2 weights")));
}

TEST(KerasWeightsTest, ADamagedArchiveIsRefused) {
  const std::string whole = ValueOrDie(ReadFile(File("mlp.keras"), 1 << 20));
  const std::string path = ::testing::TempDir() + "/damaged.keras";
  for (size_t size = 0; size < whole.size(); size += 4999) {
    ASSERT_OK(WriteFileAtomically(path, whole.substr(0, size)));
    EXPECT_FALSE(ReadKerasArchive(path).ok()) << size;
  }
  for (size_t at = 0; at < whole.size(); at += 487) {  // An error or a net, and no crash.
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x55);
    ASSERT_OK(WriteFileAtomically(path, changed));
    (void)ReadKerasArchive(path);
  }
}

TEST(KerasWeightsTest, OtherNetsAreToldBothSides) {
  Graph graph =
      ValueOrDie(BuildModel({.model = "Linear 8, ReLU, Linear 5", .input = {16}, .classes = 5}));
  EXPECT_THAT(BindTensors(ValueOrDie(ReadKerasWeights(File("mlp.h5"))), graph),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0.running_mean")));
}

}  // namespace
}  // namespace mase
