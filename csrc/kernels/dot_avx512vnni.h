// Dot products of int8 with vpdpbusd. Included after vec_avx512.h.
#pragma once

// The instruction multiplies unsigned inputs with signed weights.
constexpr int kInputOffset = 128;
constexpr int kInputSize = 1;  // bytes

using IntTiles = FloatTiles;

// Four consecutive inputs of a row in every lane.
struct Inputs {
  __m512i value;
};

// Four weights of each of 16 columns.
using Weights = IntVec;

inline Weights load_weights(const int8_t* p) { return load(reinterpret_cast<const int32_t*>(p)); }

inline Inputs broadcast_inputs(const uint8_t* p) {
  int32_t four;
  memcpy(&four, p, sizeof(four));
  return {_mm512_set1_epi32(four)};
}

// acc + x * w in each lane; wraps around, never saturates.
inline IntVec dot(Inputs x, Weights w, IntVec acc) { return {_mm512_dpbusd_epi32(acc.v, x.value, w.v)}; }

// Writes 16 inputs, integers with the offset in the low bits of the lanes.
inline void store_inputs(uint8_t* p, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_castps_si512(v.v)));
}

// 64 consecutive inputs of a row, four in each lane.
using InputVector = Inputs;

inline InputVector load_inputs(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
