// Dot products of int8 with vpmaddubsw. Included after vec_avx2.h.
#pragma once

constexpr int kInputOffset = 0;

// Accumulators, weights, two forms of the input, the ones, two products: 8 + 2 + 2 + 1 + 2 of 16 registers.
struct IntTiles {
  static constexpr int kRows = 4;
  static constexpr int kReadBoundRows = 3;
  static constexpr int vectors(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }
};

// Four consecutive inputs of a row in every lane.
struct Inputs {
  __m256i value, magnitude;
};

inline Inputs broadcast_inputs(const uint8_t* p) {
  int32_t four;
  memcpy(&four, p, sizeof(four));
  const __m256i value = _mm256_set1_epi32(four);
  return {value, _mm256_abs_epi8(value)};
}

// |x| * (w with the sign of x) is x * w. Two products are at most 2 * 127 * 127 = 32,258, which int16 holds;
// a third might not, so they are widened before they are added.
inline __m256i dot_half(Inputs x, __m256i w, __m256i acc) {
  const __m256i pairs = _mm256_maddubs_epi16(x.magnitude, _mm256_sign_epi8(w, x.value));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// acc + x * w in each lane; w holds four weights of a column in each lane.
inline IntVec dot(Inputs x, IntVec w, IntVec acc) {
  return {dot_half(x, w.lo, acc.lo), dot_half(x, w.hi, acc.hi)};
}
