// add, sub, mul, div, pow, maximum, minimum with NumPy's broadcasting.
#include <algorithm>
#include <cmath>
#include <functional>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/kernel/broadcast.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

// f(a, b) and its derivatives by a and b.
struct Add {
  static constexpr bool kReads = false;
  template <typename T>
  static T F(T a, T b) {
    return a + b;
  }
  template <typename T>
  static T Da(T, T) {
    return 1;
  }
  template <typename T>
  static T Db(T, T) {
    return 1;
  }
};
struct Sub {
  static constexpr bool kReads = false;
  template <typename T>
  static T F(T a, T b) {
    return a - b;
  }
  template <typename T>
  static T Da(T, T) {
    return 1;
  }
  template <typename T>
  static T Db(T, T) {
    return -1;
  }
};
struct Mul {
  static constexpr bool kReads = true;
  template <typename T>
  static T F(T a, T b) {
    return a * b;
  }
  template <typename T>
  static T Da(T, T b) {
    return b;
  }
  template <typename T>
  static T Db(T a, T) {
    return a;
  }
};
struct Div {
  static constexpr bool kReads = true;
  template <typename T>
  static T F(T a, T b) {
    return a / b;
  }
  template <typename T>
  static T Da(T, T b) {
    return 1 / b;
  }
  template <typename T>
  static T Db(T a, T b) {
    return -a / (b * b);
  }
};

struct Pow {
  static constexpr bool kReads = true;
  template <typename T>
  static T F(T a, T b) {
    return std::pow(a, b);
  }
  template <typename T>
  static T Da(T a, T b) {
    return b * std::pow(a, b - 1);
  }
  template <typename T>
  static T Db(T a, T b) {
    return std::pow(a, b) * std::log(a);
  }
};
// NaN where one of the two is; of equals, both have half of the gradient.
struct Maximum {
  static constexpr bool kReads = true;
  template <typename T>
  static T F(T a, T b) {
    return a > b || a != a ? a : b;
  }
  template <typename T>
  static T Da(T a, T b) {
    return a > b ? T(1) : a == b ? T(0.5) : T(0);
  }
  template <typename T>
  static T Db(T a, T b) {
    return Da(b, a);
  }
};
struct Minimum {
  static constexpr bool kReads = true;
  template <typename T>
  static T F(T a, T b) {
    return a < b || a != a ? a : b;
  }
  template <typename T>
  static T Da(T a, T b) {
    return Maximum::Da(b, a);
  }
  template <typename T>
  static T Db(T a, T b) {
    return Maximum::Da(a, b);
  }
};

// 1 where `Holds` is true of the two, which it is of no NaN, else 0: flat on both sides of the
// step.
template <typename Holds>
struct Comparison {
  static constexpr bool kReads = false;
  template <typename T>
  static T F(T a, T b) {
    return Holds()(a, b) ? T(1) : T(0);
  }
  template <typename T>
  static T Da(T, T) {
    return 0;
  }
  template <typename T>
  static T Db(T, T) {
    return 0;
  }
};

template <typename T, typename Op>
class BinaryKernel : public Kernel {
 public:
  explicit BinaryKernel(const KernelSpec& spec)
      : broadcast_(spec.srcs[0].shape, spec.srcs[1].shape, spec.dst.shape),
        elements_{spec.srcs[0].elements(), spec.srcs[1].elements()} {
    best_isa_ = true;
    if (spec.srcs[0].shape == spec.srcs[1].shape && spec.srcs[0].layout == spec.srcs[1].layout) {
      src_layouts_ = {spec.srcs[0].layout, spec.srcs[0].layout};
      dst_layout_ = spec.srcs[0].layout;
    }
    in_place_ = spec.srcs[0].shape == spec.dst.shape;
    reads_src_ = Op::kReads;
  }

  absl::Status Forward(const KernelArgs& args) override {
    const T* a = args.Src<T>(0);
    const T* b = args.Src<T>(1);
    T* dst = args.Dst<T>();
    const int64_t length = broadcast_.length();
    if (broadcast_.runs() == 1 && broadcast_.a_moves() && broadcast_.b_moves()) {
      ParallelFor(length, kElementGrain, [=](int64_t begin, int64_t end) {
        ForBestIsa([=] {
          for (int64_t i = begin; i < end; ++i) dst[i] = Op::F(a[i], b[i]);
        });
      });
      return absl::OkStatus();
    }
    const int64_t grain = kElementGrain / std::max<int64_t>(length, 1) + 1;  // No rows: length 0.
    ParallelFor(broadcast_.runs(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t run = begin; run < end; ++run) {
        const auto at = broadcast_.At(run);
        Run(a + at.a, b + at.b, dst + run * length);
      }
    });
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    // The operands' values are given only where the derivative reads them.
    for (int i = 0; i < 2; ++i) {
      T* diff_src = args.DiffSrc<T>(i);
      if (diff_src == nullptr) continue;
      const auto slope = [i](T a, T b) { return i == 0 ? Op::Da(a, b) : Op::Db(a, b); };
      std::fill_n(diff_src, elements_[i], T(0));
      for (int64_t run = 0; run < broadcast_.runs(); ++run) {
        const auto at = broadcast_.At(run);
        AddRun(args, i, at, run, slope);
      }
    }
    return absl::OkStatus();
  }

 private:
  void Run(const T* a, const T* b, T* dst) const {
    const int64_t length = broadcast_.length();
    const int64_t a_step = broadcast_.a_moves(), b_step = broadcast_.b_moves();
    ForBestIsa([=] {
      if (a_step == 1 && b_step == 1) {
        for (int64_t i = 0; i < length; ++i) dst[i] = Op::F(a[i], b[i]);
      } else if (a_step == 1) {
        for (int64_t i = 0; i < length; ++i) dst[i] = Op::F(a[i], *b);
      } else {
        for (int64_t i = 0; i < length; ++i) dst[i] = Op::F(*a, b[i]);
      }
    });
  }

  // Adds one run's share to the gradient of operand `i`; one that stands still along the run
  // takes the sum, kept in double.
  template <typename Slope>
  void AddRun(const BackwardArgs& args, int i, typename Broadcast::Offsets at, int64_t run,
              const Slope& slope) const {
    const int64_t length = broadcast_.length();
    const int64_t a_step = broadcast_.a_moves(), b_step = broadcast_.b_moves();
    const T* diff_dst = args.DiffDst<T>() + run * length;
    const T* a = Op::kReads ? args.Src<T>(0) + at.a : nullptr;
    const T* b = Op::kReads ? args.Src<T>(1) + at.b : nullptr;
    T* diff_src = args.DiffSrc<T>(i) + (i == 0 ? at.a : at.b);
    const auto share = [=](int64_t j) {
      if constexpr (Op::kReads) return diff_dst[j] * slope(a[j * a_step], b[j * b_step]);
      return diff_dst[j] * slope(T(0), T(0));
    };
    if (i == 0 ? a_step : b_step) {
      ForBestIsa([=] {
        for (int64_t j = 0; j < length; ++j) diff_src[j] += share(j);
      });
    } else {
      double sum = 0;
      for (int64_t j = 0; j < length; ++j) sum += share(j);
      *diff_src += static_cast<T>(sum);
    }
  }

  const Broadcast broadcast_;
  const int64_t elements_[2];
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<BinaryKernel<T, Add>>>("add"),
      Entry<T, As<BinaryKernel<T, Sub>>>("sub"),
      Entry<T, As<BinaryKernel<T, Mul>>>("mul"),
      Entry<T, As<BinaryKernel<T, Div>>>("div"),
      Entry<T, As<BinaryKernel<T, Pow>>>("pow"),
      Entry<T, As<BinaryKernel<T, Maximum>>>("maximum"),
      Entry<T, As<BinaryKernel<T, Minimum>>>("minimum"),
      Entry<T, As<BinaryKernel<T, Comparison<std::greater<T>>>>>("gt"),
      Entry<T, As<BinaryKernel<T, Comparison<std::greater_equal<T>>>>>("ge"),
      Entry<T, As<BinaryKernel<T, Comparison<std::equal_to<T>>>>>("eq"),
  };
};

}  // namespace

std::vector<KernelEntry> BinaryKernels() { return ForInference(kOps); }
std::vector<KernelEntry> BinaryTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
