#include "mase/model/torch_text.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kLayers[] =
    "seq_blocks: BatchNorm1d num_features=16, ReLU inplace=true, Linear in_features=16 "
    "out_features=5, ReLU inplace=false";

TEST(TorchTextTest, CodeOnOneLine) {
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(
                "nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(16), nn.Linear(16, 5), nn.ReLU())")),
            kLayers);
}

TEST(TorchTextTest, CodeOverLinesWithComments) {
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(R"(
    self.seq_blocks = nn.Sequential(  # 1st block, (16 inputs)
        torch.nn.BatchNorm1d(16),
        nn.ReLU(16),  # "quoted
        nn.Linear(
            16,  # in
            5,   # out
        ),
        nn.ReLU(),
    )
)")),
            kLayers);
}

TEST(TorchTextTest, AScriptOfImportsAndOneNet) {
  EXPECT_EQ(ValueOrDie(LayersOfTorchText("# A net.\nimport torch\nfrom torch import nn\n\n"
                                         "seq_blocks = nn.Sequential(nn.BatchNorm1d(16), "
                                         "nn.ReLU(16), nn.Linear(16, 5), nn.ReLU())\n")),
            kLayers);
  for (const char* code : {"import torch\nclass Net(nn.Module):\n  pass\n",
                           "net = nn.Sequential(nn.ReLU())\nprint(net)\n",
                           "net = nn.Sequential(nn.ReLU())\nfor i in range(3):\n  pass\n",
                           "def make():\n  return nn.Sequential(nn.ReLU())\n"}) {
    EXPECT_THAT(LayersOfTorchText(code),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("line "), HasSubstr("Python is not run here"),
                               HasSubstr("torch.onnx.export"))))
        << code;
  }
}

TEST(TorchTextTest, EqualModulesInARowArePrintedOnce) {
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(R"(Sequential(
  (0-1): 2 x Linear(in_features=16, out_features=16, bias=True)
  (2): ReLU()
))")),
            "seq_blocks: Linear in_features=16 out_features=16 bias=true, Linear in_features=16 "
            "out_features=16 bias=true, ReLU inplace=false");
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(R"(Net(
  (layers): ModuleList(
    (0-1): 2 x Sequential(
      (0): Linear(in_features=4, out_features=4, bias=True)
      (1): ReLU()
    )
  )
))")),
            "layers.0.0 = Linear in_features=4 out_features=4 bias=true; layers.0.1 = ReLU "
            "inplace=false; layers.1.0 = Linear in_features=4 out_features=4 bias=true; "
            "layers.1.1 = ReLU inplace=false");
  EXPECT_THAT(LayersOfTorchText("Sequential(\n  (0-2): 2 x ReLU()\n)"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("COUNT x MODULE")));
  EXPECT_THAT(LayersOfTorchText("Sequential(\n  (0-99999999): 100000000 x ReLU()\n)"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("more than 2097152 modules")));
}

TEST(TorchTextTest, AsItIsPrinted) {
  const std::string printed = R"(Sequential(
  (0): BatchNorm1d(16, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  (1): ReLU(inplace=True)
  (2): Linear(in_features=16, out_features=5, bias=True)
  (3): ReLU()
))";
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(printed)),
            "seq_blocks: BatchNorm1d num_features=16 eps=1e-05 momentum=0.1 affine=true "
            "track_running_stats=true, ReLU inplace=true, Linear in_features=16 out_features=5 "
            "bias=true, ReLU inplace=false");
}

// PyTorch 2.15 prints whether norms have a bias, and shapes as tuples.
TEST(TorchTextTest, NormsAsTheyArePrinted) {
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(R"(Net(
  (a): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
  (b): GroupNorm(2, 4, eps=1e-05, affine=False, bias=False)
  (c): LayerNorm((4, 8), eps=1e-05, elementwise_affine=True, bias=True)
  (d): RMSNorm((8,), eps=None, elementwise_affine=True)
  (e): ReLU()
))")),
            "a = BatchNorm2d num_features=4 eps=1e-05 momentum=0.1 affine=true "
            "track_running_stats=true; b = GroupNorm num_groups=2 num_channels=4 eps=1e-05 "
            "affine=false; c = LayerNorm normalized_shape=4x8 eps=1e-05 elementwise_affine=true; "
            "d = RMSNorm normalized_shape=8 elementwise_affine=true; e = ReLU inplace=false");
  EXPECT_THAT(LayersOfTorchText("nn.Sequential(nn.LayerNorm(4, bias=True))").status(),
              StatusIs(absl::StatusCode::kOk));
  EXPECT_THAT(LayersOfTorchText("Sequential(\n  (0): BatchNorm1d(4, affine=True, bias=False)\n)"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("BatchNorm1d: bias must be True, not 'False'")));
}

TEST(TorchTextTest, AModuleOfOnesOwnAsItIsPrinted) {
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(R"(Net(
  (block): Sequential(
    (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    (1): Sequential(
      (0): ReLU()
    )
  )
  (flat): Flatten(start_dim=1, end_dim=-1)
  (fc): Linear(in_features=8192, out_features=10, bias=True)
))")),
            "block.0 = Conv2d in_channels=3 out_channels=8 kernel_size=3x3 stride=1x1 padding=1x1 "
            "bias=false; block.1.0 = ReLU inplace=false; flat = Flatten start_dim=1 end_dim=-1; "
            "fc = Linear in_features=8192 out_features=10 bias=true");
}

TEST(TorchTextTest, PlacesAreThoseOfPyTorchsSignatures) {
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(
                "nn.Sequential(nn.MaxPool2d(3, 2, 1, 1), nn.MaxPool2d(3, 2, 1, 1, False, True), "
                "nn.AvgPool2d(2, None, 0, True, False, None), "
                "nn.Conv2d(3, 8, 3, 1, 1, 1, 1, False, 'zeros'))")),
            "seq_blocks: MaxPool2d kernel_size=3 stride=2 padding=1, MaxPool2d kernel_size=3 "
            "stride=2 padding=1 ceil_mode=true, AvgPool2d kernel_size=2 padding=0 ceil_mode=true "
            "count_include_pad=false, Conv2d in_channels=3 out_channels=8 kernel_size=3 stride=1 "
            "padding=1 dilation=1 groups=1 bias=false");
  // As it is printed.
  EXPECT_EQ(ValueOrDie(LayersOfTorchText(
                "Sequential(\n  (0): MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, "
                "ceil_mode=False)\n)")),
            "seq_blocks: MaxPool2d kernel_size=3 stride=2 padding=1 ceil_mode=false");
}

TEST(TorchTextTest, TheNetIsThatOfTheLayerList) {
  const ModelRequest pasted = {
      "nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5), nn.ReLU())", {16}, 5};
  const ModelRequest list = {"BN, ReLU, Linear 5, ReLU", {16}, 5};
  const Graph a = ValueOrDie(BuildModel(pasted)), b = ValueOrDie(BuildModel(list));
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    EXPECT_EQ(a.tensors()[i].name, b.tensors()[i].name);
    EXPECT_TRUE(BitEqual(a.tensors()[i].value, b.tensors()[i].value));
  }
}

TEST(TorchTextTest, ASizeThatDoesNotFitIsNamed) {
  const ModelRequest wrong = {"nn.Sequential(nn.Linear(16, 8), nn.Linear(7, 5))", {16}, 5};
  EXPECT_THAT(BuildModel(wrong), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("8")));
}

TEST(TorchTextTest, WhatCannotBeReadIsNamedWithItsPlace) {
  struct Case {
    std::string text;
    std::string message;
  };
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "nn.Sequential(";
  const Case cases[] = {
      {"nn.Sequential(nn.Linear(16, 5)", "a bracket is not closed"},
      {"nn.Sequential(\n  nn.Linaer(16, 5))",
       "line 2, column 3: module 'Linaer' is not known; did you mean 'Linear'?"},
      {"nn.Sequential(nn.Linear(16, n))", "'n' is no value for out_features"},
      {"nn.Sequential(nn.Linear(16, 5, colour=3))", "Linear has no argument for 'colour=3'"},
      {"nn.Sequential(nn.Linear(16, 5)) + 1", "want the end of the net, at '+ 1'"},
      {"nn.Sequential(*layers)", "want a module"},
      {"nn.Sequential()", "there is no module in it"},
      {"nn.Linear", "want a module"},
      {"nn.", "want a module"},
      {deep, "too deep"},
      {"nn.Sequential(nn.Conv2d(3, 8, 3, device='cuda'))", "has no argument for 'device="},
      {"nn.Sequential(nn.MaxPool2d(3, 2, 1, 2))", "MaxPool2d: dilation must be 1, not '2'"},
      {"nn.Sequential(nn.MaxPool2d(3, return_indices=True))", "return_indices must be False"},
      {"nn.Sequential(nn.Conv2d(3, 8, 3, padding_mode='reflect'))", "padding_mode must be zeros"},
      {"nn.Sequential(nn.Linear(16, 5, dilation=1))", "Linear has no argument for 'dilation=1'"},
      {"nn.Sequential(nn.LayerNorm(16, 1e-5, True, False))", "LayerNorm: bias must be True"},
      {"nn.Sequential(nn.BatchNorm1d(16, momentum=None))",
       "BatchNorm1d: momentum=None cannot be read"},
      {"nn.Sequential(nn.Softmax(None))", "Softmax: dim=None cannot be read"},
  };
  for (const Case& wrong : cases) {
    EXPECT_THAT(LayersOfTorchText(wrong.text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(wrong.message)))
        << wrong.text.substr(0, 60);
  }
}

TEST(TorchTextTest, LayerListsAreNone) {
  EXPECT_FALSE(LooksLikeTorchText("BN, ReLU, Linear 32"));
  EXPECT_FALSE(LooksLikeTorchText("view(size, -1); seq_blocks: Linear 8, ReLU"));
  EXPECT_TRUE(LooksLikeTorchText("Net(\n  (fc): Linear(in_features=1, out_features=1)\n)"));
}

}  // namespace
}  // namespace mase
