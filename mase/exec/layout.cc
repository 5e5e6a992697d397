#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/stages.h"

namespace mase {
namespace {

using Step = Program::Step;

class LayoutChooser {
 public:
  LayoutChooser(const KernelOptions& options, Program& program)
      : options_(options), program_(program) {}

  absl::Status Run() {
    for (std::vector<Step>* steps : {&program_.prepare, &program_.steps}) {
      std::vector<Step> all = std::move(*steps);
      steps->clear();
      for (Step& step : all) {
        if (absl::Status status = Place(step); !status.ok()) return Annotate(status, step.label);
        steps->push_back(std::move(step));
      }
    }
    for (auto* kept : {&program_.outputs, &program_.nodes}) {
      for (Program::Operand& value : *kept) {
        if (value.value < 0) continue;
        value.value = InLayout("", value.value, program_.desc(value.value).shape, Layout::kPlain);
        program_.values[value.value].stays = true;
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Place(Step& step) {
    for (Program::Operand& src : step.srcs) {
      const TensorDesc& desc = program_.desc(src.value);
      const bool foreign = desc.layout == Layout::kChannelsLast && !KnowsChannelsLast(step);
      if (desc.shape == src.shape && !foreign) continue;
      src.value = InLayout(step.label, src.value, desc.shape, Layout::kPlain);
    }
    if (step.kernel == nullptr) {
      MASE_ASSIGN_OR_RETURN(step.kernel, Create(step));
    }
    for (size_t i = 0; i < step.srcs.size(); ++i) {
      Program::Operand& src = step.srcs[i];
      src.value =
          InLayout(step.label, src.value, src.shape, step.kernel->src_layout(static_cast<int>(i)));
    }
    program_.values[step.dst].desc.layout = step.kernel->dst_layout();
    return absl::OkStatus();
  }

  // Integer kernels, and those of numbers that choose their layout, or work element by element or
  // window by window.
  static bool KnowsChannelsLast(const Step& step) {
    return step.on_codes || step.Is(OpTrait::kConvolution) || step.Is(OpTrait::kArithmetic) ||
           step.Is(OpTrait::kPool) || step.op == ops::kRelu;
  }

  KernelOr Create(const Step& step) const {
    const TensorDesc& dst = program_.desc(step.dst);
    KernelSpec spec = {
        .op = step.op,
        .kernel = step.kernel_name,
        .attributes = &step.attributes,
        .training = program_.training,
        // Of what is multiplied; figures of a loss are float64.
        .bfloat16 = options_.bfloat16 && program_.desc(step.srcs[0].value).dtype == DType::kFloat32,
        .dst = dst,
        .tensors = step.tensor_names,
        .stream = step.stream,
        .fused = step.fused,
        .sum_bits = step.sum_bits,
        .weight = step.weight,
        .codes = step.codes};
    for (const Program::Operand& src : step.srcs) {
      const TensorDesc& desc = program_.desc(src.value);
      spec.srcs.push_back({src.shape, desc.layout, desc.dtype, desc.codes});
    }
    return CreateKernel(spec);
  }

  // The value in another layout. From the plain one it goes there under the shape by which its
  // reader knows it, back to it under its own.
  int InLayout(const std::string& label, int src, const Shape& shape, Layout layout) {
    const TensorDesc desc = program_.desc(src);
    if (desc.layout == layout) return src;
    // Others than channels in blocks and last meet in the plain one.
    if (desc.layout != Layout::kPlain && layout != Layout::kPlain && desc.shape != shape) {
      return InLayout(label, InLayout(label, src, desc.shape, Layout::kPlain), shape, layout);
    }
    const Shape& under = layout == Layout::kPlain ? desc.shape : shape;
    const auto [entry, is_new] =
        reordered_.try_emplace(std::tuple(src, layout, under.ToString()), -1);
    if (is_new) {
      Step step = {.op = "reorder", .label = label, .srcs = {{src, under}}};
      step.kernel = MakeReorderKernel({under, desc.layout, desc.dtype, desc.codes}, layout);
      entry->second = program_.Append(std::move(step), {under, layout, desc.dtype, desc.codes});
    }
    return entry->second;
  }

  const KernelOptions& options_;
  Program& program_;
  absl::flat_hash_map<std::tuple<int, Layout, std::string>, int> reordered_;
};

}  // namespace

absl::Status ChooseLayouts(const KernelOptions& options, Program& program) {
  return LayoutChooser(options, program).Run();
}

}  // namespace mase
