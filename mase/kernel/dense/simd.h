// Vectors of kLanes floats for one instruction set, chosen by MASE_DENSE_LANES (16: AVX-512,
// 8: AVX2, 4: SSE2). Included once per kernels_*.cc, after every other header: what follows in that
// file is compiled for that instruction set, and lives in a namespace of its own.
//
// +, -, *, /, comparisons and ?: are GCC's on vectors, each rounded on its own; a fused
// multiply-add happens only where Fma is written (two roundings on SSE2, which has none).
#ifndef MASE_KERNEL_DENSE_SIMD_H_
#define MASE_KERNEL_DENSE_SIMD_H_

#include <immintrin.h>

#include <cstdint>

#if MASE_DENSE_LANES == 16
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")  // Isa::kAvx512
#define MASE_DENSE_NAMESPACE dense_avx512
#elif MASE_DENSE_LANES == 8
#pragma GCC target("avx2,fma,bmi,bmi2")  // Isa::kAvx2
#define MASE_DENSE_NAMESPACE dense_avx2
#else
#define MASE_DENSE_NAMESPACE dense_baseline
#endif

#define MASE_INLINE [[gnu::always_inline]] inline

namespace mase::MASE_DENSE_NAMESPACE {

// Rows are worked on in groups of 16, whatever the register: sums over rows have 16 partial sums,
// row i in sum i % 16, so that the order of additions is the same everywhere.
constexpr int kGroup = 16;
constexpr int kLanes = MASE_DENSE_LANES;
constexpr int kParts = kGroup / kLanes;  // Registers a group.

using V = float __attribute__((vector_size(4 * kLanes)));
using VI = int32_t __attribute__((vector_size(4 * kLanes)));
using UnalignedV = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
using UnalignedVI = int32_t __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

MASE_INLINE V Load(const float* p) { return *reinterpret_cast<const UnalignedV*>(p); }
MASE_INLINE VI Load(const int32_t* p) { return *reinterpret_cast<const UnalignedVI*>(p); }
MASE_INLINE void Store(float* p, V v) { *reinterpret_cast<UnalignedV*>(p) = v; }

#if MASE_DENSE_LANES == 16
MASE_INLINE V Set(float x) { return _mm512_set1_ps(x); }
MASE_INLINE V Fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }  // a * b + c
MASE_INLINE V Max(V a, V b) { return _mm512_max_ps(a, b); }            // b if one is NaN.
MASE_INLINE V Min(V a, V b) { return _mm512_min_ps(a, b); }
MASE_INLINE V Sqrt(V a) { return _mm512_sqrt_ps(a); }
#elif MASE_DENSE_LANES == 8
MASE_INLINE V Set(float x) { return _mm256_set1_ps(x); }
MASE_INLINE V Fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
MASE_INLINE V Max(V a, V b) { return _mm256_max_ps(a, b); }
MASE_INLINE V Min(V a, V b) { return _mm256_min_ps(a, b); }
MASE_INLINE V Sqrt(V a) { return _mm256_sqrt_ps(a); }
#else
MASE_INLINE V Set(float x) { return _mm_set1_ps(x); }
MASE_INLINE V Fma(V a, V b, V c) { return a * b + c; }
MASE_INLINE V Max(V a, V b) { return _mm_max_ps(a, b); }
MASE_INLINE V Min(V a, V b) { return _mm_min_ps(a, b); }
MASE_INLINE V Sqrt(V a) { return _mm_sqrt_ps(a); }
#endif

// A group of 16 values, for reductions.
struct V16 {
  V part[kParts];
};

// The four sums over the 16 values of a, b, c and d: halves are added, then halves of halves.
MASE_INLINE __m128 Sum4(const V16& a, const V16& b, const V16& c, const V16& d) {
#if MASE_DENSE_LANES == 16
  const V ab = __builtin_shuffle(a.part[0], b.part[0],
                                 VI{0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23}) +
               __builtin_shuffle(a.part[0], b.part[0],
                                 VI{8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31});
  const V cd = __builtin_shuffle(c.part[0], d.part[0],
                                 VI{0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23}) +
               __builtin_shuffle(c.part[0], d.part[0],
                                 VI{8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31});
  const V abcd = __builtin_shuffle(ab, cd,
                                   VI{0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27}) +
                 __builtin_shuffle(ab, cd,
                                   VI{4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31});
  __m128 s0 = _mm512_castps512_ps128(abcd), s1 = _mm512_extractf32x4_ps(abcd, 1);
  __m128 s2 = _mm512_extractf32x4_ps(abcd, 2), s3 = _mm512_extractf32x4_ps(abcd, 3);
#elif MASE_DENSE_LANES == 8
  const V a8 = a.part[0] + a.part[1], b8 = b.part[0] + b.part[1];
  const V c8 = c.part[0] + c.part[1], d8 = d.part[0] + d.part[1];
  const V ab = _mm256_permute2f128_ps(a8, b8, 0x20) + _mm256_permute2f128_ps(a8, b8, 0x31);
  const V cd = _mm256_permute2f128_ps(c8, d8, 0x20) + _mm256_permute2f128_ps(c8, d8, 0x31);
  __m128 s0 = _mm256_castps256_ps128(ab), s1 = _mm256_extractf128_ps(ab, 1);
  __m128 s2 = _mm256_castps256_ps128(cd), s3 = _mm256_extractf128_ps(cd, 1);
#else
  __m128 s0 = (a.part[0] + a.part[2]) + (a.part[1] + a.part[3]);
  __m128 s1 = (b.part[0] + b.part[2]) + (b.part[1] + b.part[3]);
  __m128 s2 = (c.part[0] + c.part[2]) + (c.part[1] + c.part[3]);
  __m128 s3 = (d.part[0] + d.part[2]) + (d.part[1] + d.part[3]);
#endif
  const __m128 low = _mm_movelh_ps(s0, s1) + _mm_movehl_ps(s1, s0);   // a02 a13 b02 b13
  const __m128 high = _mm_movelh_ps(s2, s3) + _mm_movehl_ps(s3, s2);
  return _mm_shuffle_ps(low, high, 0x88) + _mm_shuffle_ps(low, high, 0xdd);
}

MASE_INLINE float Sum(const V16& a) { return _mm_cvtss_f32(Sum4(a, a, a, a)); }

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_SIMD_H_
