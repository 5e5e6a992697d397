// Registers of int32 sums for each instruction set, as the loops of tile.h and depthwise_loop.h
// want them; kLanes steps each, of four bytes or two words (tile.h):
//
//   Register Broadcast(const void* a)          one step of a row, to all lanes
//   Register Load(const void* b)               kLanes steps
//   Register Codes(const T* pixel)             kLanes codes, each a step of its own, then zeros
//   Register Add(Register sum, Register a, Register b)    a sum's products, modulo 2^32
//   void Store(int32_t* sums, Register sum)
//
// Whoever uses one is compiled for its instruction set.
#ifndef MASE_KERNEL_INTEGER_REGISTERS_H_
#define MASE_KERNEL_INTEGER_REGISTERS_H_

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace mase {

[[gnu::always_inline]] inline int32_t LoadStep(const void* from) {
  int32_t step;
  std::memcpy(&step, from, sizeof(step));
  return step;
}

struct Sse2 {
  using Register = __m128i;
  static constexpr int kLanes = 4;
  static Register Broadcast(const void* a) { return _mm_set1_epi32(LoadStep(a)); }
  static Register Load(const void* b) { return _mm_loadu_si128(static_cast<const __m128i*>(b)); }
  static Register Codes(const uint8_t* pixel) {
    const Register zero = _mm_setzero_si128();
    const Register words = _mm_unpacklo_epi8(_mm_cvtsi32_si128(LoadStep(pixel)), zero);
    return _mm_unpacklo_epi16(words, zero);
  }
  static Register Codes(const int32_t* pixel) { return Load(pixel); }
  static Register Add(Register sum, Register a, Register b) {
    return _mm_add_epi32(sum, _mm_madd_epi16(a, b));
  }
  static void Store(int32_t* sums, Register sum) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums), sum);
  }
};

#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
struct Avx2 {
  using Register = __m256i;
  static constexpr int kLanes = 8;
  static Register Broadcast(const void* a) { return _mm256_set1_epi32(LoadStep(a)); }
  static Register Load(const void* b) { return _mm256_loadu_si256(static_cast<const __m256i*>(b)); }
  static Register Codes(const uint8_t* pixel) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixel)));
  }
  static Register Codes(const int32_t* pixel) { return Load(pixel); }
  static Register Add(Register sum, Register a, Register b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }
  static void Store(int32_t* sums, Register sum) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), sum);
  }
};
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")
struct Avx512 {
  using Register = __m512i;
  static constexpr int kLanes = 16;
  static Register Broadcast(const void* a) { return _mm512_set1_epi32(LoadStep(a)); }
  static Register Load(const void* b) { return _mm512_loadu_si512(b); }
  static Register Codes(const uint8_t* pixel) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel)));
  }
  static Register Codes(const int32_t* pixel) { return Load(pixel); }
  static Register Add(Register sum, Register a, Register b) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
  }
  static void Store(int32_t* sums, Register sum) { _mm512_storeu_si512(sums, sum); }
};
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,bmi,bmi2")
struct Vnni : Avx512 {
  static Register Add(Register sum, Register a, Register b) {
    return _mm512_dpbusd_epi32(sum, a, b);
  }
};
#pragma GCC pop_options

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_REGISTERS_H_
