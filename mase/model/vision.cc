#include "mase/model/vision.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace mase {
namespace {

// One convolution whose weights are drawn again after construction.
struct DrawnConv {
  std::string path;
  int64_t fan_out;  // out_channels times the kernel's area.
};

// torchvision's kaiming_normal_(mode="fan_out", nonlinearity="relu").
void DrawFanOut(ModelBuilder& net, const std::vector<DrawnConv>& convs) {
  for (const DrawnConv& conv : convs) {
    net.DrawNormal(conv.path + ".weight", std::sqrt(2.0 / static_cast<double>(conv.fan_out)));
  }
}

std::string ConvText(int64_t channels, int64_t kernel, int64_t stride, int64_t groups = 1) {
  return absl::StrCat("Conv ", channels, " ", kernel, " stride=", stride,
                      " padding=", (kernel - 1) / 2, " groups=", groups, " bias=false");
}

// 0 for an input that is no image; the first convolution then reports it.
int64_t Channels(const Value* x) { return x->shape().rank() >= 2 ? x->shape()[1] : 0; }

// conv BN ReLU conv BN, plus the input or its projection, ReLU. The one ReLU module is called
// twice. The projection is constructed, and so drawn, before the block, but redrawn after it.
Value* ResNetBlock(ModelBuilder& net, Value* x, const std::string& path, int64_t channels,
                   int64_t stride, std::vector<DrawnConv>& convs) {
  const bool projects = stride != 1 || Channels(x) != channels;
  const std::string projection = path + ".downsample";
  if (projects) {
    net.Declare(projection + ".0", ConvText(channels, 1, stride), x->shape());
    net.Declare(projection + ".1", "BN", {1, channels, 1, 1});  // Any height and width.
  }
  Value* y = net.Module(x, path + ".conv1", ConvText(channels, 3, stride));
  y = net.Module(y, path + ".bn1", "BN");
  y = net.Module(y, path + ".relu", "ReLU");
  y = net.Module(y, path + ".conv2", ConvText(channels, 3, 1));
  y = net.Module(y, path + ".bn2", "BN");
  convs.push_back({path + ".conv1", channels * 9});
  convs.push_back({path + ".conv2", channels * 9});
  if (projects) {
    x = net.Call(net.Call(x, projection + ".0"), projection + ".1");
    convs.push_back({projection + ".0", channels});
  }
  return net.Call(net.Function("add", {y, x}), path + ".relu");
}

struct InvertedResidual {
  int64_t kernel, expanded, out, squeeze;  // squeeze 0: no squeeze-and-excitation.
  const char* activation;
  int64_t stride;
};

constexpr InvertedResidual kMobileNetV3Small[] = {
    {3, 16, 16, 8, "ReLU", 2},         {3, 72, 24, 0, "ReLU", 2},
    {3, 88, 24, 0, "ReLU", 1},         {5, 96, 40, 24, "Hardswish", 2},
    {5, 240, 40, 64, "Hardswish", 1},  {5, 240, 40, 64, "Hardswish", 1},
    {5, 120, 48, 32, "Hardswish", 1},  {5, 144, 48, 40, "Hardswish", 1},
    {5, 288, 96, 72, "Hardswish", 2},  {5, 576, 96, 144, "Hardswish", 1},
    {5, 576, 96, 144, "Hardswish", 1},
};

// A convolution without bias, batch norm, and an activation unless `activation` is null.
Value* ConvNorm(ModelBuilder& net, Value* x, const std::string& path, int64_t channels,
                int64_t kernel, int64_t stride, int64_t groups, const char* activation,
                std::vector<DrawnConv>& convs) {
  x = net.Module(x, path + ".0", ConvText(channels, kernel, stride, groups));
  x = net.Module(x, path + ".1", "BN eps=0.001 momentum=0.01");
  // PyTorch's fan_out does not divide by groups: it is weight.size(0) times the kernel's area.
  convs.push_back({path + ".0", channels * kernel * kernel});
  return activation == nullptr ? x : net.Module(x, path + ".2", activation);
}

// Scales each channel by a value computed from the channels' means.
Value* SqueezeExcite(ModelBuilder& net, Value* x, const std::string& path, int64_t squeeze,
                     std::vector<DrawnConv>& convs) {
  const int64_t channels = Channels(x);
  Value* s = net.Module(x, path + ".avgpool", "GlobalAvgPool");
  s = net.Module(s, path + ".fc1", absl::StrCat("Conv ", squeeze, " 1"));
  s = net.Module(s, path + ".activation", "ReLU");
  s = net.Module(s, path + ".fc2", absl::StrCat("Conv ", channels, " 1"));
  s = net.Module(s, path + ".scale_activation", "Hardsigmoid");
  convs.push_back({path + ".fc1", squeeze});
  convs.push_back({path + ".fc2", channels});
  net.Fill(path + ".fc1.bias", 0);
  net.Fill(path + ".fc2.bias", 0);
  return net.Function("mul", {s, x});
}

Value* MobileBlock(ModelBuilder& net, Value* x, const std::string& path,
                   const InvertedResidual& block, std::vector<DrawnConv>& convs) {
  const bool adds_input = block.stride == 1 && Channels(x) == block.out;
  Value* y = x;
  int index = 0;
  const auto part = [&] { return absl::StrCat(path, ".block.", index++); };
  if (block.expanded != Channels(x)) {
    y = ConvNorm(net, y, part(), block.expanded, 1, 1, 1, block.activation, convs);
  }
  y = ConvNorm(net, y, part(), block.expanded, block.kernel, block.stride, block.expanded,
               block.activation, convs);
  if (block.squeeze > 0) y = SqueezeExcite(net, y, part(), block.squeeze, convs);
  y = ConvNorm(net, y, part(), block.out, 1, 1, 1, nullptr, convs);
  return adds_input ? net.Function("add", {y, x}) : y;
}

}  // namespace

Value* BuildResNet18(ModelBuilder& net) {
  std::vector<DrawnConv> convs = {{"conv1", 64 * 49}};
  Value* x = net.Module(net.input(), "conv1", ConvText(64, 7, 2));
  x = net.Module(x, "bn1", "BN");
  x = net.Module(x, "relu", "ReLU");
  x = net.Module(x, "maxpool", "MaxPool 3 stride=2 padding=1");
  int64_t channels = 64;
  for (int stage = 1; stage <= 4; ++stage, channels *= 2) {
    for (int block = 0; block < 2; ++block) {
      const int64_t stride = stage > 1 && block == 0 ? 2 : 1;
      x = ResNetBlock(net, x, absl::StrCat("layer", stage, ".", block), channels, stride, convs);
    }
  }
  x = net.Function("flatten", {net.Module(x, "avgpool", "GlobalAvgPool")});
  x = net.Module(x, "fc", "Linear classes");
  DrawFanOut(net, convs);
  return x;
}

Value* BuildMobileNetV3Small(ModelBuilder& net) {
  std::vector<DrawnConv> convs;
  Value* x = ConvNorm(net, net.input(), "features.0", 16, 3, 2, 1, "Hardswish", convs);
  int index = 1;
  for (const InvertedResidual& block : kMobileNetV3Small) {
    x = MobileBlock(net, x, absl::StrCat("features.", index++), block, convs);
  }
  x = ConvNorm(net, x, absl::StrCat("features.", index), 576, 1, 1, 1, "Hardswish", convs);
  x = net.Function("flatten", {net.Module(x, "avgpool", "GlobalAvgPool")});
  x = net.Module(x, "classifier.0", "Linear 1024");
  x = net.Module(x, "classifier.1", "Hardswish");
  x = net.Module(x, "classifier.2", "Dropout 0.2 inplace=true");
  x = net.Module(x, "classifier.3", "Linear classes");
  DrawFanOut(net, convs);
  for (const char* path : {"classifier.0", "classifier.3"}) {
    net.DrawNormal(absl::StrCat(path, ".weight"), 0.01);
    net.Fill(absl::StrCat(path, ".bias"), 0);
  }
  return x;
}

}  // namespace mase
