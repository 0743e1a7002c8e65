// Dot products of int8 with vpmaddubsw. Included after vec_avx512.h.
#pragma once

constexpr int kInputOffset = 0;

using IntTiles = FloatTiles;

// Four consecutive inputs of a row in every lane.
struct Inputs {
  __m512i magnitude;
  __mmask64 negative;
};

inline Inputs broadcast_inputs(const uint8_t* p) {
  int32_t four;
  memcpy(&four, p, sizeof(four));
  const __m512i value = _mm512_set1_epi32(four);
  return {_mm512_abs_epi8(value), _mm512_movepi8_mask(value)};
}

// acc + x * w in each lane; w holds four weights of a column in each lane. |x| * (w with the sign of x) is x
// * w. Two products are at most 2 * 127 * 127 = 32,258, which int16 holds; a third might not, so they are
// widened before they are added.
inline IntVec dot(Inputs x, IntVec w, IntVec acc) {
  const __m512i with_sign = _mm512_mask_sub_epi8(w.v, x.negative, _mm512_setzero_si512(), w.v);
  const __m512i pairs = _mm512_maddubs_epi16(x.magnitude, with_sign);
  return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
}
