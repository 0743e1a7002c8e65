// Dot products of int8 with vpdpbusd on ymm registers: VEX-encoded in a CPU with AVX-VNNI, EVEX-encoded under
// the flags of AVX512-VNNI. Included after vec_avx2.h.
#pragma once

// The instruction multiplies unsigned inputs with signed weights.
constexpr int kInputOffset = 128;

using IntTiles = FloatTiles;

// Four consecutive inputs of a row in every lane.
struct Inputs {
  __m256i value;
};

inline Inputs broadcast_inputs(const uint8_t* p) {
  int32_t four;
  memcpy(&four, p, sizeof(four));
  return {_mm256_set1_epi32(four)};
}

// acc + x * w in each lane; w holds four weights of a column in each lane. Wraps around, never saturates.
inline IntVec dot(Inputs x, IntVec w, IntVec acc) {
  return {_mm256_dpbusd_epi32(acc.lo, x.value, w.lo), _mm256_dpbusd_epi32(acc.hi, x.value, w.hi)};
}
