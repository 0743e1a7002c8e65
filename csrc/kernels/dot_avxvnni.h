// Dot products of int8 with vpdpbusd on ymm registers: VEX-encoded in a CPU with AVX-VNNI, EVEX-encoded under
// the flags of AVX512-VNNI. Included after vec_avx2.h.
#pragma once

// The instruction multiplies unsigned inputs with signed weights.
constexpr int kInputOffset = 128;
constexpr int kInputSize = 1;  // bytes

using IntTiles = FloatTiles;

// Four consecutive inputs of a row in every lane.
struct Inputs {
  __m256i value;
};

// Four weights of each of 16 columns.
using Weights = IntVec;

inline Weights load_weights(const int8_t* p) { return load(reinterpret_cast<const int32_t*>(p)); }

inline Inputs broadcast_inputs(const uint8_t* p) {
  int32_t four;
  memcpy(&four, p, sizeof(four));
  return {_mm256_set1_epi32(four)};
}

// acc + x * w in each lane; wraps around, never saturates.
inline IntVec dot(Inputs x, Weights w, IntVec acc) {
  return {_mm256_dpbusd_epi32(acc.lo, x.value, w.lo), _mm256_dpbusd_epi32(acc.hi, x.value, w.hi)};
}

// Writes 16 inputs, integers with the offset in the low bits of the lanes.
inline void store_inputs(uint8_t* p, Vec v) {
  const __m256i byte = _mm256_set1_epi32(0xff);
  const __m256i lo = _mm256_and_si256(_mm256_castps_si256(v.lo), byte);
  const __m256i hi = _mm256_and_si256(_mm256_castps_si256(v.hi), byte);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(lo, hi), 0xd8);
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

// 64 consecutive inputs of a row, four in each lane.
struct InputVector {
  __m256i lo, hi;
};

inline InputVector load_inputs(const uint8_t* p) {
  const __m256i* halves = reinterpret_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}

inline IntVec dot(InputVector x, Weights w, IntVec acc) {
  return {_mm256_dpbusd_epi32(acc.lo, x.lo, w.lo), _mm256_dpbusd_epi32(acc.hi, x.hi, w.hi)};
}
