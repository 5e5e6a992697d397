// Pooling over the trailing spatial axes of [batch, channels, spatial...].
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/graph/op_table.h"

namespace mase {
namespace {

template <int Axes>
InfosOr PoolShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  if (src.rank() != Axes + 2) {
    return ShapeError("input ", src.ToString(), ": want rank ", Axes + 2);
  }
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "kernel_size", Axes, 1));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "stride", Axes, 1));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "padding", Axes, 0));
  const bool ceil_mode = attributes.Bool("ceil_mode");
  Shape dst = {src[0], src[1]};
  for (int i = 0; i < Axes; ++i) {
    const int64_t kernel = attributes.Ints("kernel_size")[i];
    const int64_t padding = attributes.Ints("padding")[i];
    if (2 * padding > kernel) {
      return ShapeError("padding=", padding, " is more than half of kernel_size=", kernel);
    }
    const int64_t extent =
        WindowExtent(src[i + 2], kernel, attributes.Ints("stride")[i], padding, 1, ceil_mode);
    if (extent < 1) {
      return ShapeError("input ", src.ToString(), ": smaller than the window ", kernel);
    }
    dst.push_back(extent);
  }
  return OneResult(inputs, std::move(dst));
}

template <int Axes>
InfosOr AdaptivePoolShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  if (src.rank() != Axes + 2) {
    return ShapeError("input ", src.ToString(), ": want rank ", Axes + 2);
  }
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "output_size", Axes, 1));
  Shape dst = {src[0], src[1]};
  for (int64_t extent : attributes.Ints("output_size")) dst.push_back(extent);
  return OneResult(inputs, std::move(dst));
}

OpCost PoolCost(Infos, Infos results, const Attributes& attributes) {
  int64_t reads = Elements(results[0]);
  for (int64_t extent : attributes.Ints("kernel_size")) reads = BoundedProduct(reads, extent);
  return {0, reads, reads};
}

template <int Axes>
OpSchema Pool(absl::string_view name, absl::string_view module_class, bool average) {
  const std::vector<int64_t> ones(Axes, 1), zeros(Axes, 0);
  OpSchema schema = {.name = name,
                     .doc = average ? "the mean of each window" : "the largest of each window",
                     .module_class = module_class,
                     .module_type = "module_related_func",
                     .function_type = "module_related_func",
                     .arguments = {{"input"}},
                     .attributes = {{"kernel_size", ones, true},
                                    {"stride", ones, true},
                                    {"padding", zeros},
                                    {"ceil_mode", false}},
                     .traits = static_cast<uint32_t>(OpTrait::kPool),
                     .shape_rule = PoolShape<Axes>,
                     .cost = {"m window", "m window", PoolCost, Axes == 2 ? kMac : 0},
                     .repr =
                         "kernel_size={kernel_size}, stride={stride}, padding={padding}, "
                         "ceil_mode={ceil_mode}"};
  if (average) {
    schema.quantizable = true;
    schema.attributes.push_back({"count_include_pad", true});
    schema.repr = "kernel_size={kernel_size}, stride={stride}, padding={padding}";
  }
  return schema;
}

template <int Axes>
OpSchema AdaptivePool(absl::string_view name, absl::string_view module_class, bool average) {
  return {.name = name,
          .doc = average ? "the mean of each of output_size windows that cover the input"
                         : "the largest of each of output_size windows that cover the input",
          .module_class = module_class,
          .module_type = "module_related_func",
          .function_type = "module_related_func",
          .arguments = {{"input"}},
          .attributes = {{"output_size", std::vector<int64_t>(Axes, 1), true}},
          .traits = static_cast<uint32_t>(OpTrait::kPool),
          .quantizable = average,
          .shape_rule = AdaptivePoolShape<Axes>,
          .cost = PerElement(average && Axes == 2 ? kMac : 0),
          .repr = "output_size={output_size}"};
}

}  // namespace

std::vector<OpSchema> PoolOps() {
  return {
      Pool<1>(ops::kMaxPool1d, "MaxPool1d", false),
      Pool<2>(ops::kMaxPool2d, "MaxPool2d", false),
      Pool<1>(ops::kAvgPool1d, "AvgPool1d", true),
      Pool<2>(ops::kAvgPool2d, "AvgPool2d", true),
      AdaptivePool<1>(ops::kAdaptiveAvgPool1d, "AdaptiveAvgPool1d", true),
      AdaptivePool<2>(ops::kAdaptiveAvgPool2d, "AdaptiveAvgPool2d", true),
      AdaptivePool<1>(ops::kAdaptiveMaxPool1d, "AdaptiveMaxPool1d", false),
      AdaptivePool<2>(ops::kAdaptiveMaxPool2d, "AdaptiveMaxPool2d", false),
  };
}

}  // namespace mase
