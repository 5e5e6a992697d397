// Ops that work on each element alone. An op is a struct with the function and its derivative,
// given x and y = f(x); which of the two the derivative reads decides what training keeps.
#include <algorithm>
#include <cmath>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

// Where f is not differentiable the derivatives are PyTorch's.

struct Relu {
  static constexpr bool kReadsX = false;
  explicit Relu(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return x < 0 ? T(0) : x;
  }  // NaN stays NaN.
  template <typename T>
  T D(T, T y) const {
    return y > 0 ? T(1) : T(0);
  }
};

struct HardTanh {
  static constexpr bool kReadsX = true;
  explicit HardTanh(const Attributes& attributes)
      : low(attributes.Float("min_val")), high(attributes.Float("max_val")) {}
  HardTanh(double low, double high) : low(low), high(high) {}
  template <typename T>
  T F(T x) const {
    return x < T(low) ? T(low) : x > T(high) ? T(high) : x;
  }
  template <typename T>
  T D(T x, T) const {
    return x > T(low) && x < T(high) ? T(1) : T(0);
  }
  double low, high;
};

struct Relu6 : HardTanh {
  explicit Relu6(const Attributes&) : HardTanh(0, 6) {}
};

struct Gelu {
  static constexpr bool kReadsX = true;
  explicit Gelu(const Attributes& attributes)
      : tanh_form(attributes.String("approximate") == "tanh") {}
  template <typename T>
  T F(T x) const {
    if (tanh_form) return T(0.5) * x * (1 + std::tanh(Inner(x)));
    return T(0.5) * x * (1 + std::erf(x * T(M_SQRT1_2)));
  }
  template <typename T>
  T D(T x, T) const {
    if (tanh_form) {
      const T t = std::tanh(Inner(x));
      const T inner_slope = T(kScale) * (1 + 3 * T(kCubic) * x * x);
      return T(0.5) * (1 + t) + T(0.5) * x * (1 - t * t) * inner_slope;
    }
    const T density = std::exp(T(-0.5) * x * x) * T(0.5 * M_2_SQRTPI * M_SQRT1_2);
    return T(0.5) * (1 + std::erf(x * T(M_SQRT1_2))) + x * density;
  }
  static constexpr double kScale = M_SQRT2 * M_2_SQRTPI * 0.5;  // sqrt(2/pi)
  static constexpr double kCubic = 0.044715;
  template <typename T>
  static T Inner(T x) {
    return T(kScale) * (x + T(kCubic) * x * x * x);
  }
  bool tanh_form;
};

struct Selu {
  static constexpr bool kReadsX = false;
  static constexpr double kAlpha = 1.6732632423543772848170429916717;
  static constexpr double kScale = 1.0507009873554804934193349852946;
  explicit Selu(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return x > 0 ? T(kScale) * x : T(kScale * kAlpha) * std::expm1(x);
  }
  template <typename T>
  T D(T, T y) const {
    return y > 0 ? T(kScale) : y + T(kScale * kAlpha);
  }
};

struct Elu {
  static constexpr bool kReadsX = true;
  explicit Elu(const Attributes& attributes) : alpha(attributes.Float("alpha")) {}
  template <typename T>
  T F(T x) const {
    return x > 0 ? x : T(alpha) * std::expm1(x);
  }
  template <typename T>
  T D(T x, T) const {
    return x > 0 ? T(1) : T(alpha) * std::exp(x);
  }
  double alpha;
};

template <typename T>
T Logistic(T x) {
  return 1 / (1 + std::exp(-x));
}

struct Sigmoid {
  static constexpr bool kReadsX = false;
  explicit Sigmoid(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return Logistic(x);
  }
  template <typename T>
  T D(T, T y) const {
    return y * (1 - y);
  }
};

struct Silu {
  static constexpr bool kReadsX = true;
  explicit Silu(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return x * Logistic(x);
  }
  template <typename T>
  T D(T x, T) const {
    const T s = Logistic(x);
    return s * (1 + x * (1 - s));
  }
};

struct Tanh {
  static constexpr bool kReadsX = false;
  explicit Tanh(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::tanh(x);
  }
  template <typename T>
  T D(T, T y) const {
    return 1 - y * y;
  }
};

struct Softsign {
  static constexpr bool kReadsX = true;
  explicit Softsign(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return x / (1 + std::abs(x));
  }
  template <typename T>
  T D(T x, T) const {
    const T denominator = 1 + std::abs(x);
    return 1 / (denominator * denominator);
  }
};

// log(1 + exp(beta x)) / beta, and x beyond the threshold.
struct Softplus {
  static constexpr bool kReadsX = true;
  explicit Softplus(const Attributes& attributes)
      : beta(attributes.Float("beta")), threshold(attributes.Float("threshold")) {}
  template <typename T>
  T F(T x) const {
    return T(beta) * x > T(threshold) ? x : std::log1p(std::exp(T(beta) * x)) / T(beta);
  }
  template <typename T>
  T D(T x, T) const {
    return T(beta) * x > T(threshold) ? T(1) : Logistic(T(beta) * x);
  }
  double beta, threshold;
};

struct LogSigmoid {
  static constexpr bool kReadsX = true;
  explicit LogSigmoid(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::min(x, T(0)) - std::log1p(std::exp(-std::abs(x)));
  }
  template <typename T>
  T D(T x, T) const {
    return Logistic(-x);
  }
};

struct Hardswish {
  static constexpr bool kReadsX = true;
  explicit Hardswish(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return x * std::min(std::max(x + 3, T(0)), T(6)) / 6;
  }
  template <typename T>
  T D(T x, T) const {
    return x <= -3 ? T(0) : x < 3 ? x / 3 + T(0.5) : T(1);
  }
};

struct Hardsigmoid {
  static constexpr bool kReadsX = true;
  explicit Hardsigmoid(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::min(std::max(x + 3, T(0)), T(6)) / 6;
  }
  template <typename T>
  T D(T x, T) const {
    return x > -3 && x < 3 ? T(1) / 6 : T(0);
  }
};

struct Hardshrink {
  static constexpr bool kReadsX = true;
  explicit Hardshrink(const Attributes& attributes) : lambda(attributes.Float("lambd")) {}
  template <typename T>
  T F(T x) const {
    return std::abs(x) <= T(lambda) ? T(0) : x;
  }
  template <typename T>
  T D(T x, T) const {
    return std::abs(x) <= T(lambda) ? T(0) : T(1);
  }
  double lambda;
};

struct Softshrink : Hardshrink {
  using Hardshrink::Hardshrink;
  template <typename T>
  T F(T x) const {
    return x > T(lambda) ? x - T(lambda) : x < -T(lambda) ? x + T(lambda) : T(0);
  }
};

struct Abs {
  static constexpr bool kReadsX = true;
  explicit Abs(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::abs(x);
  }
  template <typename T>
  T D(T x, T) const {
    return x > 0 ? T(1) : x < 0 ? T(-1) : T(0);
  }
};

struct Ceil {
  static constexpr bool kReadsX = true;
  explicit Ceil(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::ceil(x);
  }
  template <typename T>
  T D(T, T) const {
    return T(0);
  }
};

struct Floor {
  static constexpr bool kReadsX = true;
  explicit Floor(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::floor(x);
  }
  template <typename T>
  T D(T, T) const {
    return T(0);
  }
};

struct Round {
  static constexpr bool kReadsX = true;
  explicit Round(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::nearbyint(x);
  }
  template <typename T>
  T D(T, T) const {
    return T(0);
  }
};

struct Cos {
  static constexpr bool kReadsX = true;
  explicit Cos(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::cos(x);
  }
  template <typename T>
  T D(T x, T) const {
    return -std::sin(x);
  }
};

struct Sin {
  static constexpr bool kReadsX = true;
  explicit Sin(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::sin(x);
  }
  template <typename T>
  T D(T x, T) const {
    return std::cos(x);
  }
};

struct Erf {
  static constexpr bool kReadsX = true;
  explicit Erf(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::erf(x);
  }
  template <typename T>
  T D(T x, T) const {
    return T(M_2_SQRTPI) * std::exp(-x * x);
  }
};

struct Exp {
  static constexpr bool kReadsX = false;
  explicit Exp(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::exp(x);
  }
  template <typename T>
  T D(T, T y) const {
    return y;
  }
};

struct Log {
  static constexpr bool kReadsX = true;
  explicit Log(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::log(x);
  }
  template <typename T>
  T D(T x, T) const {
    return 1 / x;
  }
};

struct Neg {
  static constexpr bool kReadsX = true;
  explicit Neg(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return -x;
  }
  template <typename T>
  T D(T, T) const {
    return T(-1);
  }
};

struct Reciprocal {
  static constexpr bool kReadsX = false;
  explicit Reciprocal(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return 1 / x;
  }
  template <typename T>
  T D(T, T y) const {
    return -y * y;
  }
};

struct Sqrt {
  static constexpr bool kReadsX = false;
  explicit Sqrt(const Attributes&) {}
  template <typename T>
  T F(T x) const {
    return std::sqrt(x);
  }
  template <typename T>
  T D(T, T y) const {
    return T(0.5) / y;
  }
};

struct LeakyRelu {
  static constexpr bool kReadsX = true;
  explicit LeakyRelu(const Attributes& attributes) : slope(attributes.Float("negative_slope")) {}
  template <typename T>
  T F(T x) const {
    return x < 0 ? T(slope) * x : x;
  }
  template <typename T>
  T D(T x, T) const {
    return x > 0 ? T(1) : T(slope);
  }
  double slope;
};

template <typename T, typename Op>
class UnaryKernel : public Kernel {
 public:
  explicit UnaryKernel(const KernelSpec& spec)
      : op_(*spec.attributes), elements_(spec.dst.elements()) {
    best_isa_ = true;
    src_layouts_ = {spec.srcs[0].layout};
    dst_layout_ = spec.srcs[0].layout;
    in_place_ = true;
    reads_src_ = Op::kReadsX;
    reads_dst_ = !Op::kReadsX;
  }

  absl::Status Forward(const KernelArgs& args) override {
    const T* src = args.Src<T>(0);
    T* dst = args.Dst<T>();
    const Op op = op_;
    ParallelFor(elements_, kElementGrain, [&](int64_t begin, int64_t end) {
      ForBestIsa([=] {
        for (int64_t i = begin; i < end; ++i) dst[i] = op.F(src[i]);
      });
    });
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    if (args.DiffSrc<T>(0) == nullptr) return absl::OkStatus();
    const T* kept = Op::kReadsX ? args.Src<T>(0) : args.Dst<T>();
    const T* diff_dst = args.DiffDst<T>();
    T* diff_src = args.DiffSrc<T>(0);
    const Op op = op_;
    ParallelFor(elements_, kElementGrain, [&](int64_t begin, int64_t end) {
      ForBestIsa([=] {
        for (int64_t i = begin; i < end; ++i) diff_src[i] = diff_dst[i] * op.D(kept[i], kept[i]);
      });
    });
    return absl::OkStatus();
  }

 private:
  const Op op_;
  const int64_t elements_;
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<UnaryKernel<T, Relu>>>("relu"),
      Entry<T, As<UnaryKernel<T, Relu6>>>("relu6"),
      Entry<T, As<UnaryKernel<T, Gelu>>>("gelu"),
      Entry<T, As<UnaryKernel<T, Selu>>>("selu"),
      Entry<T, As<UnaryKernel<T, Elu>>>("elu"),
      Entry<T, As<UnaryKernel<T, Silu>>>("silu"),
      Entry<T, As<UnaryKernel<T, Tanh>>>("tanh"),
      Entry<T, As<UnaryKernel<T, Softsign>>>("softsign"),
      Entry<T, As<UnaryKernel<T, Softplus>>>("softplus"),
      Entry<T, As<UnaryKernel<T, Sigmoid>>>("sigmoid"),
      Entry<T, As<UnaryKernel<T, LogSigmoid>>>("logsigmoid"),
      Entry<T, As<UnaryKernel<T, Hardswish>>>("hardswish"),
      Entry<T, As<UnaryKernel<T, Hardsigmoid>>>("hardsigmoid"),
      Entry<T, As<UnaryKernel<T, HardTanh>>>("hardtanh"),
      Entry<T, As<UnaryKernel<T, Hardshrink>>>("hardshrink"),
      Entry<T, As<UnaryKernel<T, Softshrink>>>("softshrink"),
      Entry<T, As<UnaryKernel<T, LeakyRelu>>>("leaky_relu"),
      Entry<T, As<UnaryKernel<T, Abs>>>("abs"),
      Entry<T, As<UnaryKernel<T, Ceil>>>("ceil"),
      Entry<T, As<UnaryKernel<T, Cos>>>("cos"),
      Entry<T, As<UnaryKernel<T, Erf>>>("erf"),
      Entry<T, As<UnaryKernel<T, Exp>>>("exp"),
      Entry<T, As<UnaryKernel<T, Floor>>>("floor"),
      Entry<T, As<UnaryKernel<T, Log>>>("log"),
      Entry<T, As<UnaryKernel<T, Neg>>>("neg"),
      Entry<T, As<UnaryKernel<T, Reciprocal>>>("reciprocal"),
      Entry<T, As<UnaryKernel<T, Round>>>("round"),
      Entry<T, As<UnaryKernel<T, Sin>>>("sin"),
      Entry<T, As<UnaryKernel<T, Sqrt>>>("sqrt"),
  };
};

}  // namespace

std::vector<KernelEntry> UnaryKernels() { return ForInference(kOps); }
std::vector<KernelEntry> UnaryTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
