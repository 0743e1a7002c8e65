// Dot products of int8 with vpdpbusd. Included after vec_avx512.h.
#pragma once

// The instruction multiplies unsigned inputs with signed weights.
constexpr int kInputOffset = 128;

using IntTiles = FloatTiles;

// Four consecutive inputs of a row in every lane.
struct Inputs {
  __m512i value;
};

inline Inputs broadcast_inputs(const uint8_t* p) {
  int32_t four;
  memcpy(&four, p, sizeof(four));
  return {_mm512_set1_epi32(four)};
}

// acc + x * w in each lane; w holds four weights of a column in each lane. Wraps around, never saturates.
inline IntVec dot(Inputs x, IntVec w, IntVec acc) { return {_mm512_dpbusd_epi32(acc.v, x.value, w.v)}; }
