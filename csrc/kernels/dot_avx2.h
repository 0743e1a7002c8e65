// Dot products of int8 with vpmaddwd, which adds two products of int16 in int32. Included after vec_avx2.h.
#pragma once

constexpr int kInputOffset = 0;
constexpr int kInputSize = 2;  // bytes

// Accumulators, weights, inputs: 8 + 4 + 2 of 16 registers.
struct IntTiles {
  static constexpr int kRows = 4;
  // Vectors of output columns in a tile of `rows` rows: 1, or an even number.
  static constexpr int vectors(int rows) { return rows <= 2 ? 2 : 1; }
};

// Four consecutive inputs of a row in every lane, as int16: the first and third, the second and fourth.
struct Inputs {
  __m256i even, odd;
};

// Four weights of each of 16 columns in the same order.
struct Weights {
  __m256i lo_even, lo_odd, hi_even, hi_odd;
};

inline Inputs broadcast_inputs(const uint8_t* p) {
  int32_t pairs[2];
  memcpy(pairs, p, sizeof(pairs));
  return {_mm256_set1_epi32(pairs[0]), _mm256_set1_epi32(pairs[1])};
}

inline __m256i even_bytes(__m256i v) { return _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8); }
inline __m256i odd_bytes(__m256i v) { return _mm256_srai_epi16(v, 8); }

inline Weights load_weights(const int8_t* p) {
  const __m256i* halves = reinterpret_cast<const __m256i*>(p);
  const __m256i lo = _mm256_loadu_si256(halves), hi = _mm256_loadu_si256(halves + 1);
  return {even_bytes(lo), odd_bytes(lo), even_bytes(hi), odd_bytes(hi)};
}

// acc + x * w in each lane. 25 % faster on an EPYC (Zen 4) than vpmaddubsw of |x| and w with the sign of x,
// whose sums of two must be widened before they are added.
inline IntVec dot(Inputs x, Weights w, IntVec acc) {
  const __m256i lo =
      _mm256_add_epi32(_mm256_madd_epi16(x.even, w.lo_even), _mm256_madd_epi16(x.odd, w.lo_odd));
  const __m256i hi =
      _mm256_add_epi32(_mm256_madd_epi16(x.even, w.hi_even), _mm256_madd_epi16(x.odd, w.hi_odd));
  return {_mm256_add_epi32(acc.lo, lo), _mm256_add_epi32(acc.hi, hi)};
}

// Writes 16 inputs, integers in the low bits of the lanes.
inline void store_inputs(uint8_t* p, Vec v) {
  constexpr char kDrop = -128;
  const __m256i to_low =
      _mm256_setr_epi8(0, 1, 8, 9, 4, 5, 12, 13, kDrop, kDrop, kDrop, kDrop, kDrop, kDrop, kDrop, kDrop, 0, 1,
                       8, 9, 4, 5, 12, 13, kDrop, kDrop, kDrop, kDrop, kDrop, kDrop, kDrop, kDrop);
  const __m256i lo = _mm256_shuffle_epi8(_mm256_castps_si256(v.lo), to_low);
  const __m256i hi = _mm256_slli_si256(_mm256_shuffle_epi8(_mm256_castps_si256(v.hi), to_low), 8);
  const __m256i inputs = _mm256_permute4x64_epi64(_mm256_or_si256(lo, hi), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), inputs);
}

// 64 consecutive inputs of a row, four in each lane.
struct InputVector {
  __m256i lo_even, lo_odd, hi_even, hi_odd;
};

// Of 16 pairs of int16 every second one, from the first or from the second on.
template <int kWhich>
inline __m256i every_second_pair(__m256i first, __m256i second) {
  constexpr int kPairs = kWhich == 0 ? 0x88 : 0xdd;
  const __m256 pairs = _mm256_shuffle_ps(_mm256_castsi256_ps(first), _mm256_castsi256_ps(second), kPairs);
  return _mm256_permute4x64_epi64(_mm256_castps_si256(pairs), 0xd8);
}

inline InputVector load_inputs(const uint8_t* p) {
  const __m256i* q = reinterpret_cast<const __m256i*>(p);
  const __m256i a = _mm256_loadu_si256(q), b = _mm256_loadu_si256(q + 1);
  const __m256i c = _mm256_loadu_si256(q + 2), d = _mm256_loadu_si256(q + 3);
  return {every_second_pair<0>(a, b), every_second_pair<1>(a, b), every_second_pair<0>(c, d),
          every_second_pair<1>(c, d)};
}

inline IntVec dot(InputVector x, Weights w, IntVec acc) {
  const __m256i lo =
      _mm256_add_epi32(_mm256_madd_epi16(x.lo_even, w.lo_even), _mm256_madd_epi16(x.lo_odd, w.lo_odd));
  const __m256i hi =
      _mm256_add_epi32(_mm256_madd_epi16(x.hi_even, w.hi_even), _mm256_madd_epi16(x.hi_odd, w.hi_odd));
  return {_mm256_add_epi32(acc.lo, lo), _mm256_add_epi32(acc.hi, hi)};
}
