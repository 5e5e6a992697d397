#include "mase/base/isa.h"

#include <atomic>

#include "mase/base/isa_limit.h"

namespace mase {
namespace {

bool Has(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             Has(Isa::kAvx2);
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("bmi2");
    case Isa::kBaseline:
      return true;
  }
  return false;
}

Isa Best() {
  const IsaLimit limit = MaxIsa();
  if (limit >= IsaLimit::kAvx512 && Has(Isa::kAvx512)) return Isa::kAvx512;
  if (limit >= IsaLimit::kAvx2 && Has(Isa::kAvx2)) return Isa::kAvx2;
  return Isa::kBaseline;
}

std::atomic<Isa>& Current() {
  static std::atomic<Isa> current{Best()};
  return current;
}

}  // namespace

Isa CurrentIsa() { return Current().load(std::memory_order_relaxed); }

absl::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return "AVX-512";
    case Isa::kAvx2:
      return "AVX2";
    case Isa::kBaseline:
      return "SSE2";
  }
  return "unknown";
}

bool SetIsaForTest(Isa isa) {
  if (!Has(isa)) return false;
  Current().store(isa, std::memory_order_relaxed);
  return true;
}

}  // namespace mase
