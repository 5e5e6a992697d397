// Vision nets with branches. Each builds on net.input() and returns the logits.
#ifndef MASE_MODEL_VISION_H_
#define MASE_MODEL_VISION_H_

#include "mase/model/builder.h"

namespace mase {

// torchvision's ResNet-18, also in its initial weights: He, Zhang, Ren, Sun, "Deep Residual
// Learning for Image Recognition", 2015.
Value* BuildResNet18(ModelBuilder& net);

// torchvision's MobileNetV3-Small: Howard et al., "Searching for MobileNetV3", 2019.
Value* BuildMobileNetV3Small(ModelBuilder& net);

}  // namespace mase

#endif  // MASE_MODEL_VISION_H_
