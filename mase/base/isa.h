// One source, three instruction sets: hot loops are compiled for AVX-512, AVX2
// and the baseline, and the best that the machine has is chosen at run time.
//
//   ForBestIsa([&] { for (int64_t i = 0; i < n; ++i) dst[i] = op(src[i]); });
//
// The compiler vectorizes the same statements for each; with contraction off (-ffp-contract=off) no
// instruction set can round differently, so all give the same bits.
#ifndef MASE_BASE_ISA_H_
#define MASE_BASE_ISA_H_

#include "absl/strings/string_view.h"

namespace mase {

enum class Isa { kBaseline, kAvx2, kAvx512 };

// What ForBestIsa uses: the best of this machine.
Isa CurrentIsa();
absl::string_view IsaName(Isa isa);

// Overrides CurrentIsa for a test; returns false, changing nothing, if the machine lacks `isa`.
bool SetIsaForTest(Isa isa);

#define MASE_TARGET_AVX2 "avx2,fma,bmi,bmi2"
#define MASE_TARGET_AVX512 \
  "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,prefer-vector-width=512"

template <typename Body>
[[gnu::flatten]] void RunBaseline(const Body& body) {
  body();
}
template <typename Body>
[[gnu::target(MASE_TARGET_AVX2), gnu::flatten]] void RunAvx2(const Body& body) {
  body();
}
template <typename Body>
[[gnu::target(MASE_TARGET_AVX512), gnu::flatten]] void RunAvx512(const Body& body) {
  body();
}

// Runs `body`, all of whose callees must be inline, compiled for CurrentIsa().
template <typename Body>
void ForBestIsa(const Body& body) {
  switch (CurrentIsa()) {
    case Isa::kAvx512:
      return RunAvx512(body);
    case Isa::kAvx2:
      return RunAvx2(body);
    case Isa::kBaseline:
      return RunBaseline(body);
  }
}

}  // namespace mase

#endif  // MASE_BASE_ISA_H_
