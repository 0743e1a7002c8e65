// A vector of 16 float lanes as one zmm register. Included inside the namespace of isa_avx512.cc.
#pragma once

// Tiles of a matrix product. A tile has at least 8 accumulators where it can: two FMA units with a latency of
// 4. The largest: 12 x 2 accumulators, two weights, a broadcast: 27 of 32 registers.
struct FloatTiles {
  static constexpr int kRows = 12;
  // Vectors of output columns in a tile of `rows` rows: 1, or an even number.
  static constexpr int vectors(int rows) { return rows == 1 ? 8 : rows == 2 ? 4 : 2; }
};

// Tiles of attention.
constexpr int kAttentionQueries = 4;
constexpr int kAttentionHeads = 4;

// Key segments in a tile of `queries` queries: a power of two.
constexpr int segments_at_once(int queries) { return queries == 1 ? 8 : 4; }

// Vectors of head dimensions in a tile of `queries` queries: a power of two.
constexpr int value_vectors(int /*queries*/) { return 4; }

struct Vec {
  __m512 v;
};

struct Mask {
  __mmask16 m;
};

inline Vec zero() { return {_mm512_setzero_ps()}; }
inline Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v.v); }

inline Mask mask_from_bits(uint32_t bits) { return {static_cast<__mmask16>(bits)}; }
inline uint32_t bits_from_mask(Mask m) { return m.m; }
inline Mask first_lanes(int n) { return mask_from_bits(n >= kLanes ? 0xffffu : (1u << n) - 1); }

// Lanes 0 ... n - 1 from memory, the others 0; masked lanes never fault.
inline Vec load_first(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes(n).m, p)}; }
inline void store_masked(float* p, Mask m, Vec v) { _mm512_mask_storeu_ps(p, m.m, v.v); }
inline void store_first(float* p, int n, Vec v) { store_masked(p, first_lanes(n), v); }

inline Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }

inline Mask greater(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
inline Vec select(Mask m, Vec if_set, Vec if_clear) {
  return {_mm512_mask_blend_ps(m.m, if_clear.v, if_set.v)};
}

inline Vec abs(Vec v) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), v.v)}; }

inline Vec copy_sign(Vec magnitude, Vec sign) {
  return {_mm512_or_ps(abs(magnitude).v, _mm512_and_ps(_mm512_set1_ps(-0.0f), sign.v))};
}

// The bits of each lane moved 23 up: the low integer bits become the exponent of a power of two.
inline Vec shift_into_exponent(Vec v) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v.v), 23))};
}

// The one tree of every sum and maximum across lanes: l + (l + 8), then 4, 2, 1 apart.
inline float sum_lanes(Vec v) {
  const __m256 by8 = _mm256_add_ps(_mm512_castps512_ps256(v.v), _mm512_extractf32x8_ps(v.v, 1));
  const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
  const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
  return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
}

inline float max_lanes(Vec v) {
  const __m256 by8 = _mm256_max_ps(_mm512_castps512_ps256(v.v), _mm512_extractf32x8_ps(v.v, 1));
  const __m128 by4 = _mm_max_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
  const __m128 by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
  return _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)));
}

inline float square_root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

inline float fma(float a, float b, float c) {
  return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}

// The upper halves of 16 floats.
inline Vec load(const Bfloat16* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
}

// Two vectors from 16 pairs.
inline void load_dims(const Bf16Pair* p, Vec (&v)[2]) {
  const __m512i pairs = _mm512_loadu_si512(p);
  v[0] = {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))};
  v[1] = {_mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))};
}

// 16 lanes of int32.
struct IntVec {
  __m512i v;
};

inline IntVec load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
inline void store(int32_t* p, IntVec v) { _mm512_storeu_si512(p, v.v); }
inline IntVec load_first(const int32_t* p, int n) { return {_mm512_maskz_loadu_epi32(first_lanes(n).m, p)}; }

inline IntVec broadcast(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline IntVec add(IntVec a, IntVec b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline IntVec sub(IntVec a, IntVec b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline IntVec mul(IntVec a, IntVec b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline IntVec max(IntVec a, IntVec b) { return {_mm512_max_epi32(a.v, b.v)}; }
inline Vec to_float(IntVec v) { return {_mm512_cvtepi32_ps(v.v)}; }
inline IntVec bits(Vec v) { return {_mm512_castps_si512(v.v)}; }

inline int32_t sum_lanes(IntVec v) { return _mm512_reduce_add_epi32(v.v); }
inline int32_t max_lanes(IntVec v) { return _mm512_reduce_max_epi32(v.v); }
