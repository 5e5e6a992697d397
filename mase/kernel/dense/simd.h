// Vectors of kLanes floats for one instruction set, chosen by MASE_DENSE_LANES (16: AVX-512,
// 8: AVX2, 4: SSE2), with VNNI if MASE_DENSE_VNNI is defined. Included once per kernels_*.cc, after
// every other header: what follows in that file is compiled for that instruction set, and lives in
// a namespace of its own.
//
// +, -, *, /, comparisons and ?: are GCC's on vectors, each rounded on its own; a fused
// multiply-add happens only where Fma is written (two roundings on SSE2, which has none).
#ifndef MASE_KERNEL_DENSE_SIMD_H_
#define MASE_KERNEL_DENSE_SIMD_H_

#include <immintrin.h>

#include <cstdint>

#if MASE_DENSE_LANES == 16 && defined(MASE_DENSE_VNNI)
#pragma GCC target("avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")
#define MASE_DENSE_NAMESPACE dense_avx512_vnni
#elif MASE_DENSE_LANES == 16
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
// Typedefs, as clang does not heed the alignment of an alias.
typedef float UnalignedV __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t UnalignedVI __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

MASE_INLINE V Load(const float* p) { return *reinterpret_cast<const UnalignedV*>(p); }
MASE_INLINE VI Load(const int32_t* p) { return *reinterpret_cast<const UnalignedVI*>(p); }
MASE_INLINE void Store(float* p, V v) { *reinterpret_cast<UnalignedV*>(p) = v; }

#if MASE_DENSE_LANES == 16
MASE_INLINE V Set(float x) { return _mm512_set1_ps(x); }
MASE_INLINE V Fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }  // a * b + c
MASE_INLINE V Max(V a, V b) { return _mm512_max_ps(a, b); }            // b if one is NaN.
MASE_INLINE V Sqrt(V a) { return _mm512_sqrt_ps(a); }
template <int kChoice>  // In each quarter: two values of a, then two of b.
MASE_INLINE V Shuffle(V a, V b) {
  return _mm512_shuffle_ps(a, b, kChoice);
}
MASE_INLINE V LoadQuarters(const float* const* p, int64_t i) {
  const __m512 low =
      _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(p[0] + i)), _mm_loadu_ps(p[4] + i), 1);
  return _mm512_insertf32x4(_mm512_insertf32x4(low, _mm_loadu_ps(p[8] + i), 2),
                            _mm_loadu_ps(p[12] + i), 3);
}
#elif MASE_DENSE_LANES == 8
MASE_INLINE V Set(float x) { return _mm256_set1_ps(x); }
MASE_INLINE V Fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
MASE_INLINE V Max(V a, V b) { return _mm256_max_ps(a, b); }
MASE_INLINE V Sqrt(V a) { return _mm256_sqrt_ps(a); }
template <int kChoice>
MASE_INLINE V Shuffle(V a, V b) {
  return _mm256_shuffle_ps(a, b, kChoice);
}
MASE_INLINE V LoadQuarters(const float* const* p, int64_t i) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p[0] + i)),
                              _mm_loadu_ps(p[4] + i), 1);
}
#else
MASE_INLINE V Set(float x) { return _mm_set1_ps(x); }
MASE_INLINE V Fma(V a, V b, V c) { return a * b + c; }
MASE_INLINE V Max(V a, V b) { return _mm_max_ps(a, b); }
MASE_INLINE V Sqrt(V a) { return _mm_sqrt_ps(a); }
template <int kChoice>
MASE_INLINE V Shuffle(V a, V b) {
  return _mm_shuffle_ps(a, b, kChoice);
}
MASE_INLINE V LoadQuarters(const float* const* p, int64_t i) { return _mm_loadu_ps(p[0] + i); }
#endif

// A group of 16 values, for reductions.
struct V16 {
  V part[kParts];
};

// Sums over the 16 values of each group: value i is added to i + 8, the sums of that to those 4
// further on, then 2, then 1.
#if MASE_DENSE_LANES == 16
MASE_INLINE V AddHalves(V a, V b) {  // Eight sums of a, eight of b.
  return _mm512_shuffle_f32x4(a, b, 0x44) + _mm512_shuffle_f32x4(a, b, 0xee);
}
MASE_INLINE V AddQuarters(V ab, V cd) {  // Four sums of a, b, c and d.
  return _mm512_shuffle_f32x4(ab, cd, 0x88) + _mm512_shuffle_f32x4(ab, cd, 0xdd);
}
MASE_INLINE __m128 Sum4(const V16& a, const V16& b, const V16& c, const V16& d) {
  V sums = AddQuarters(AddHalves(a.part[0], b.part[0]), AddHalves(c.part[0], d.part[0]));
  sums += Shuffle<0x4e>(sums, sums);
  sums += Shuffle<0xb1>(sums, sums);
  const __m512i first_of_quarter =
      _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
  return _mm512_castps512_ps128(_mm512_permutexvar_ps(first_of_quarter, sums));
}
#elif MASE_DENSE_LANES == 8
MASE_INLINE V AddHalves(const V16& a, const V16& b) {  // Four sums of a, four of b.
  const V a8 = a.part[0] + a.part[1], b8 = b.part[0] + b.part[1];
  return _mm256_permute2f128_ps(a8, b8, 0x20) + _mm256_permute2f128_ps(a8, b8, 0x31);
}
MASE_INLINE __m128 Sum4(const V16& a, const V16& b, const V16& c, const V16& d) {
  const V ab = AddHalves(a, b), cd = AddHalves(c, d);
  const V pairs = Shuffle<0x44>(ab, cd) + Shuffle<0xee>(ab, cd);  // a02 a13 c02 c13, b, d
  const V sums = Shuffle<0x88>(pairs, pairs) + Shuffle<0xdd>(pairs, pairs);  // a c a c, b d b d
  return _mm_unpacklo_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}
#else
MASE_INLINE V AddQuarters(const V16& a) {
  return (a.part[0] + a.part[2]) + (a.part[1] + a.part[3]);
}
MASE_INLINE __m128 Sum4(const V16& a, const V16& b, const V16& c, const V16& d) {
  const V a4 = AddQuarters(a), b4 = AddQuarters(b), c4 = AddQuarters(c), d4 = AddQuarters(d);
  const V ab = Shuffle<0x44>(a4, b4) + Shuffle<0xee>(a4, b4);  // a02 a13 b02 b13
  const V cd = Shuffle<0x44>(c4, d4) + Shuffle<0xee>(c4, d4);
  return Shuffle<0x88>(ab, cd) + Shuffle<0xdd>(ab, cd);
}
#endif

MASE_INLINE float Sum(const V16& a) { return _mm_cvtss_f32(Sum4(a, a, a, a)); }

MASE_INLINE V16 ZeroGroup() {
  V16 zero;
#pragma GCC unroll 4
  for (int part = 0; part < kParts; ++part) zero.part[part] = Set(0.0f);
  return zero;
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_SIMD_H_
