// Files made by Keras 3 (testdata/keras/make.py), and what Keras computed by them.
#include "mase/model/keras_weights.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
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

TEST(KerasWeightsTest, OtherNetsAreToldBothSides) {
  Graph graph =
      ValueOrDie(BuildModel({.model = "Linear 8, ReLU, Linear 5", .input = {16}, .classes = 5}));
  EXPECT_THAT(BindTensors(ValueOrDie(ReadKerasWeights(File("mlp.h5"))), graph),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0.running_mean")));
}

}  // namespace
}  // namespace mase
