#include <cmath>
#include <memory>

#include "mase/base/status_macros.h"
#include "mase/kernel/kernel.h"
#include "mase/plugin/conformance_checks.h"

namespace mase {
namespace {

// An op on random inputs of one shape, in double.
class OpProbe {
 public:
  static absl::StatusOr<std::unique_ptr<OpProbe>> Create(const OpSchema& schema) {
    auto probe = std::make_unique<OpProbe>();
    for (const AttributeSpec& spec : schema.attributes) {
      if (spec.required) return absl::UnimplementedError("attributes that cannot be left out");
      probe->attributes_.Set(spec.name, spec.fallback);
    }
    const Shape shape = {2, 3};
    const std::vector<ValueInfo> infos(schema.arguments.size(), {DType::kFloat32, shape, {}});
    MASE_ASSIGN_OR_RETURN(const auto results, schema.shape_rule(infos, probe->attributes_));
    if (results.size() != 1) return Wrong("its shape rule gives ", results.size(), " results");
    probe->spec_ = {.op = schema.name, .attributes = &probe->attributes_, .training = true};
    for (size_t i = 0; i < infos.size(); ++i) {
      probe->spec_.srcs.push_back({shape, Layout::kPlain, DType::kFloat64});
      const std::vector<float> values = RandomFloats(shape.elements(), 11 + i, 2);
      probe->srcs_.emplace_back(values.begin(), values.end());
    }
    probe->spec_.dst = {results[0].shape, Layout::kPlain, DType::kFloat64};
    if (schema.parameter_rule != nullptr) {
      for (const ParameterSpec& tensor : schema.parameter_rule(probe->attributes_)) {
        probe->spec_.tensors.push_back(tensor.name);
        const std::vector<float> values = RandomFloats(tensor.shape.elements(), 31, 1);
        probe->tensors_.emplace_back(values.begin(), values.end());
      }
    }
    MASE_ASSIGN_OR_RETURN(probe->kernel_, CreateKernel(probe->spec_));
    return probe;
  }

  absl::StatusOr<std::vector<double>> Forward() {
    // Behind the result lies what nobody may touch.
    constexpr double kGuard = 12345.678;
    std::vector<double> dst(spec_.dst.elements() + 4, kGuard);
    const Pointers pointers(*this);
    KernelArgs args = {.srcs = pointers.srcs.data(), .tensors = pointers.tensors.data()};
    args.dst = dst.data();
    MASE_RETURN_IF_ERROR(kernel_->Forward(args));
    for (size_t i = spec_.dst.elements(); i < dst.size(); ++i) {
      if (dst[i] != kGuard) return Wrong("it writes beyond its result");
    }
    dst.resize(spec_.dst.elements());
    return dst;
  }

  // Of the sum of the results by each input.
  absl::StatusOr<std::vector<std::vector<double>>> Gradients(std::vector<double> dst) {
    const std::vector<double> ones(spec_.dst.elements(), 1);
    std::vector<std::vector<double>> gradients;
    std::vector<void*> diff_srcs, none(tensors_.size(), nullptr);
    for (const auto& src : srcs_) gradients.emplace_back(src.size(), 0);
    for (auto& gradient : gradients) diff_srcs.push_back(gradient.data());
    const Pointers pointers(*this);
    BackwardArgs args;
    args.srcs = pointers.srcs.data();
    args.tensors = pointers.tensors.data();
    args.dst = dst.data();
    args.diff_dst = ones.data();
    args.diff_srcs = diff_srcs.data();
    args.diff_tensors = none.data();
    MASE_RETURN_IF_ERROR(kernel_->Backward(args));
    return gradients;
  }

  std::vector<std::vector<double>>& srcs() { return srcs_; }
  bool has_backward() const { return kernel_->has_backward(); }

 private:
  struct Pointers {
    explicit Pointers(OpProbe& probe) {
      for (auto& src : probe.srcs_) srcs.push_back(src.data());
      for (auto& tensor : probe.tensors_) tensors.push_back(tensor.data());
    }
    std::vector<const void*> srcs;
    std::vector<void*> tensors;
  };

  Attributes attributes_;
  KernelSpec spec_;
  std::vector<std::vector<double>> srcs_, tensors_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace

absl::Status OpIsSound(const OpSchema& schema) {
  absl::StatusOr<std::unique_ptr<OpProbe>> probe = OpProbe::Create(schema);
  if (absl::IsUnimplemented(probe.status())) return absl::OkStatus();  // Nothing to try it on.
  MASE_RETURN_IF_ERROR(probe.status());
  MASE_ASSIGN_OR_RETURN(const std::vector<double> once, (*probe)->Forward());
  MASE_ASSIGN_OR_RETURN(const std::vector<double> twice, (*probe)->Forward());
  return once == twice ? absl::OkStatus() : Wrong("the same inputs give two results");
}

absl::Status OpGradientIsRight(const OpSchema& schema) {
  absl::StatusOr<std::unique_ptr<OpProbe>> probe = OpProbe::Create(schema);
  if (absl::IsUnimplemented(probe.status())) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(probe.status());
  OpProbe& op = **probe;
  if (!op.has_backward()) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const std::vector<double> result, op.Forward());
  MASE_ASSIGN_OR_RETURN(const auto gradients, op.Gradients(result));
  constexpr double kStep = 1e-6, kTolerance = 1e-4;
  for (size_t s = 0; s < op.srcs().size(); ++s) {
    for (size_t i = 0; i < op.srcs()[s].size(); ++i) {
      double& x = op.srcs()[s][i];
      const double at = x;
      const auto sum_at = [&](double value) -> absl::StatusOr<double> {
        x = value;
        MASE_ASSIGN_OR_RETURN(const std::vector<double> results, op.Forward());
        double sum = 0;
        for (const double each : results) sum += each;
        return sum;
      };
      MASE_ASSIGN_OR_RETURN(const double above, sum_at(at + kStep));
      MASE_ASSIGN_OR_RETURN(const double below, sum_at(at - kStep));
      x = at;
      const double want = (above - below) / (2 * kStep), got = gradients[s][i];
      if (!(std::fabs(want - got) <= kTolerance * (1 + std::fabs(want)))) {
        return Wrong("the gradient by input ", s, " at ", at, " is ", got, ", differences say ",
                     want);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
