#include "mase/kernel/plugin_op.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/open_table.h"
#include "mase/base/status_macros.h"
#include "mase/graph/op_schema.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

template <typename T>
struct Functions {
  absl::Status (*forward)(const OpCall<T>&);
  absl::Status (*backward)(const OpGradients<T>&);
};

template <typename T>
Functions<T> FunctionsOf(const OpDefinition& op) {
  if constexpr (std::is_same_v<T, float>) return {op.forward, op.backward};
  if constexpr (std::is_same_v<T, double>) return {op.forward64, op.backward64};
}

// Calls a plugin's functions. All that they get is made once; a call sets pointers alone.
template <typename T>
class PluginKernel final : public Kernel {
 public:
  PluginKernel(const KernelSpec& spec, const Functions<T>& functions)
      : functions_(functions), attributes_(*spec.attributes), call_{{attributes_, spec.training}} {
    for (const TensorDesc& src : spec.srcs) {
      call_.inputs.push_back({nullptr, src.shape});
      call_.diff_inputs.push_back({nullptr, src.shape});
    }
    const OpSchema* schema = FindOp(spec.op);
    if (schema->parameter_rule != nullptr) {
      for (const ParameterSpec& tensor : schema->parameter_rule(attributes_)) {
        places_.push_back(spec.TensorIndex(tensor.name));
        call_.tensors.push_back({nullptr, tensor.shape});
        call_.diff_tensors.push_back({nullptr, tensor.shape});
      }
    }
    call_.result.shape = spec.dst.shape;
    call_.diff_result.shape = spec.dst.shape;
    has_backward_ = functions.backward != nullptr;
    reads_src_ = has_backward_;
    reads_dst_ = has_backward_;
  }

  KernelFacts facts() const override { return {.implementation = "plugin"}; }

  absl::Status Forward(const KernelArgs& args) override {
    SetPointers(args);
    return functions_.forward(call_);
  }

  absl::Status Backward(const BackwardArgs& args) override {
    SetPointers(args);
    call_.diff_result.data = args.DiffDst<T>();
    for (size_t i = 0; i < call_.inputs.size(); ++i) {
      call_.diff_inputs[i].data = args.DiffSrc<T>(static_cast<int>(i));
    }
    for (size_t i = 0; i < places_.size(); ++i) {
      call_.diff_tensors[i].data = places_[i] < 0 ? nullptr : args.DiffTensor<T>(places_[i]);
    }
    return functions_.backward(call_);
  }

 private:
  void SetPointers(const KernelArgs& args) {
    for (size_t i = 0; i < call_.inputs.size(); ++i) {
      call_.inputs[i].data = args.Src<T>(static_cast<int>(i));
    }
    for (size_t i = 0; i < places_.size(); ++i) {
      call_.tensors[i].data = places_[i] < 0 ? nullptr : args.Tensor<T>(places_[i]);
    }
    call_.result.data = args.Dst<T>();
  }

  const Functions<T> functions_;
  const Attributes attributes_;
  OpGradients<T> call_;
  std::vector<int> places_;  // Of the module's tensors among the kernel's; -1: it lacks it.
};

using Definitions = absl::flat_hash_map<absl::string_view, OpDefinition>;

OpenTable<Definitions>& Table() {
  static auto* const table = new OpenTable<Definitions>(Definitions());
  return *table;
}

template <typename T>
KernelOr Create(const OpDefinition& op, const KernelSpec& spec) {
  return std::make_unique<PluginKernel<T>>(spec, FunctionsOf<T>(op));
}

}  // namespace

absl::Status CheckPluginKernels(const OpDefinition& op) {
  if (op.forward != nullptr && op.forward64 != nullptr &&
      (op.backward == nullptr) == (op.backward64 == nullptr)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "op '", op.schema.name, "': want its arithmetic for float and for double (DefineOp)"));
}

absl::Status RegisterPluginKernels(const OpDefinition& op) {
  MASE_RETURN_IF_ERROR(CheckPluginKernels(op));
  Table().Grow([&](Definitions& all) { all[op.schema.name] = op; });
  return absl::OkStatus();
}

bool HasPluginKernel(absl::string_view op, DType dtype) {
  return (dtype == DType::kFloat32 || dtype == DType::kFloat64) && Table().get().contains(op);
}

KernelOr CreatePluginKernel(absl::string_view op, const KernelSpec& spec) {
  const OpDefinition& definition = Table().get().at(op);
  return spec.dst.dtype == DType::kFloat64 ? Create<double>(definition, spec)
                                           : Create<float>(definition, spec);
}

}  // namespace mase
