// Dot products of int8 with vpmaddwd, which adds two products of int16 in int32. Included after vec_avx512.h.
#pragma once

constexpr int kInputOffset = 0;
constexpr int kInputSize = 2;  // bytes

// 12 x 2 accumulators, weights, inputs: 24 + 4 + 2 of 32 registers.
using IntTiles = FloatTiles;

// Four consecutive inputs of a row in every lane, as int16: the first and third, the second and fourth.
struct Inputs {
  __m512i even, odd;
};

// Four weights of each of 16 columns in the same order.
struct Weights {
  __m512i even, odd;
};

inline Inputs broadcast_inputs(const uint8_t* p) {
  int32_t pairs[2];
  memcpy(pairs, p, sizeof(pairs));
  return {_mm512_set1_epi32(pairs[0]), _mm512_set1_epi32(pairs[1])};
}

inline Weights load_weights(const int8_t* p) {
  const __m512i bytes = _mm512_loadu_si512(p);
  return {_mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8), _mm512_srai_epi16(bytes, 8)};
}

// acc + x * w in each lane. 40 % faster on an EPYC (Zen 4) than vpmaddubsw of |x| and w with the sign of x,
// whose sums of two must be widened before they are added.
inline IntVec dot(Inputs x, Weights w, IntVec acc) {
  const __m512i sums = _mm512_add_epi32(_mm512_madd_epi16(x.even, w.even), _mm512_madd_epi16(x.odd, w.odd));
  return {_mm512_add_epi32(acc.v, sums)};
}

// Writes 16 inputs, integers in the low bits of the lanes.
inline void store_inputs(uint8_t* p, Vec v) {
  const __m256i words = _mm512_cvtepi32_epi16(_mm512_castps_si512(v.v));
  const __m256i inputs = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, 0xd8), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), inputs);
}

// 64 consecutive inputs of a row, four in each lane.
using InputVector = Inputs;

inline InputVector load_inputs(const uint8_t* p) {
  const __m512i first = _mm512_loadu_si512(p), second = _mm512_loadu_si512(p + 64);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  return {_mm512_permutex2var_epi32(first, even, second), _mm512_permutex2var_epi32(first, odd, second)};
}
