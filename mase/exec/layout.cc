#include <string>
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
        value.value = InLayout("", value.value, Layout::kPlain);
        program_.values[value.value].stays = true;
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Place(Step& step) {
    for (Program::Operand& src : step.srcs) {
      const TensorDesc& desc = program_.desc(src.value);
      // Only integer kernels know channels that are last.
      const bool foreign = desc.layout == Layout::kChannelsLast && !step.on_codes;
      if (desc.shape == src.shape && !foreign) continue;
      src.value = InLayout(step.label, src.value, Layout::kPlain);
    }
    if (step.kernel == nullptr) {
      MASE_ASSIGN_OR_RETURN(step.kernel, Create(step));
    }
    for (size_t i = 0; i < step.srcs.size(); ++i) {
      int& src = step.srcs[i].value;
      src = InLayout(step.label, src, step.kernel->src_layout(static_cast<int>(i)));
    }
    program_.values[step.dst].desc.layout = step.kernel->dst_layout();
    return absl::OkStatus();
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

  int InLayout(const std::string& label, int src, Layout layout) {
    const TensorDesc desc = program_.desc(src);
    if (desc.layout == layout) return src;
    // Any other two meet in the plain one.
    if (desc.layout != Layout::kPlain && layout != Layout::kPlain) {
      return InLayout(label, InLayout(label, src, Layout::kPlain), layout);
    }
    const auto [entry, is_new] = reordered_.try_emplace({src, layout}, -1);
    if (is_new) {
      Step step = {.op = "reorder", .label = label, .srcs = {{src, desc.shape}}};
      step.kernel = MakeReorderKernel(desc, layout);
      entry->second =
          program_.Append(std::move(step), {desc.shape, layout, desc.dtype, desc.codes});
    }
    return entry->second;
  }

  const KernelOptions& options_;
  Program& program_;
  absl::flat_hash_map<std::pair<int, Layout>, int> reordered_;
};

}  // namespace

absl::Status ChooseLayouts(const KernelOptions& options, Program& program) {
  return LayoutChooser(options, program).Run();
}

}  // namespace mase
