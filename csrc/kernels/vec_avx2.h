// A vector of 16 float lanes as two ymm registers. Included inside the namespace of isa_avx2.cc.
#pragma once

// Tiles of a matrix product. A tile has at least 8 accumulators where it can: two FMA units with a latency of
// 4. The largest: 6 x 2 ymm accumulators, two weights, a broadcast: 15 of 16 registers.
struct FloatTiles {
  static constexpr int kRows = 6;
  // Vectors of output columns in a tile of `rows` rows: 1, or an even number.
  static constexpr int vectors(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
};

// Tiles of attention.
constexpr int kAttentionQueries = 4;
constexpr int kAttentionHeads = 4;

// Key segments in a tile of `queries` queries: a power of two.
constexpr int segments_at_once(int queries) { return queries == 1 ? 4 : queries == 2 ? 2 : 1; }

// Vectors of head dimensions in a tile of `queries` queries: a power of two.
constexpr int value_vectors(int queries) { return queries <= 2 ? 4 : 1; }

struct Vec {
  __m256 lo, hi;  // lanes 0-7, 8-15
};

// All bits of a lane's 32 set or clear.
struct Mask {
  __m256i lo, hi;
};

inline Vec zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }

inline Vec broadcast(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}

inline Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }

inline void store(float* p, Vec v) {
  _mm256_storeu_ps(p, v.lo);
  _mm256_storeu_ps(p + 8, v.hi);
}

inline Mask first_lanes(int n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return {_mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), _mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), lane)};
}

inline Mask mask_from_bits(uint32_t bits) {
  const __m256i lane_bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i lo = _mm256_set1_epi32(bits), hi = _mm256_set1_epi32(bits >> 8);
  return {_mm256_cmpeq_epi32(_mm256_and_si256(lo, lane_bit), lane_bit),
          _mm256_cmpeq_epi32(_mm256_and_si256(hi, lane_bit), lane_bit)};
}

inline uint32_t bits_from_mask(Mask m) {
  const uint32_t lo = _mm256_movemask_ps(_mm256_castsi256_ps(m.lo));
  const uint32_t hi = _mm256_movemask_ps(_mm256_castsi256_ps(m.hi));
  return lo | hi << 8;
}

// Lanes 0 ... n - 1 from memory, the others 0; masked lanes never fault.
inline Vec load_first(const float* p, int n) {
  const Mask m = first_lanes(n);
  return {_mm256_maskload_ps(p, m.lo), _mm256_maskload_ps(p + 8, m.hi)};
}

inline void store_masked(float* p, Mask m, Vec v) {
  _mm256_maskstore_ps(p, m.lo, v.lo);
  _mm256_maskstore_ps(p + 8, m.hi, v.hi);
}

inline void store_first(float* p, int n, Vec v) { store_masked(p, first_lanes(n), v); }

inline Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline Vec div(Vec a, Vec b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }

inline Vec fma(Vec a, Vec b, Vec c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

inline Mask greater(Vec a, Vec b) {
  return {_mm256_castps_si256(_mm256_cmp_ps(a.lo, b.lo, _CMP_GT_OQ)),
          _mm256_castps_si256(_mm256_cmp_ps(a.hi, b.hi, _CMP_GT_OQ))};
}

inline Vec select(Mask m, Vec if_set, Vec if_clear) {
  return {_mm256_blendv_ps(if_clear.lo, if_set.lo, _mm256_castsi256_ps(m.lo)),
          _mm256_blendv_ps(if_clear.hi, if_set.hi, _mm256_castsi256_ps(m.hi))};
}

inline Vec abs(Vec v) {
  const __m256 sign_bit = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign_bit, v.lo), _mm256_andnot_ps(sign_bit, v.hi)};
}

inline Vec copy_sign(Vec magnitude, Vec sign) {
  const __m256 sign_bit = _mm256_set1_ps(-0.0f);
  const Vec m = abs(magnitude);
  return {_mm256_or_ps(m.lo, _mm256_and_ps(sign_bit, sign.lo)),
          _mm256_or_ps(m.hi, _mm256_and_ps(sign_bit, sign.hi))};
}

// The bits of each lane moved 23 up: the low integer bits become the exponent of a power of two.
inline Vec shift_into_exponent(Vec v) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v.lo), 23)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v.hi), 23))};
}

// The one tree of every sum and maximum across lanes: l + (l + 8), then 4, 2, 1 apart.
inline float sum_lanes(Vec v) {
  const __m256 by8 = _mm256_add_ps(v.lo, v.hi);
  const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
  const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
  return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
}

inline float max_lanes(Vec v) {
  const __m256 by8 = _mm256_max_ps(v.lo, v.hi);
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
  const __m128i* halves = reinterpret_cast<const __m128i*>(p);
  const __m256i lo = _mm256_cvtepu16_epi32(_mm_loadu_si128(halves));
  const __m256i hi = _mm256_cvtepu16_epi32(_mm_loadu_si128(halves + 1));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(lo, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(hi, 16))};
}

// Two vectors from 16 pairs.
inline void load_dims(const Bf16Pair* p, Vec (&v)[2]) {
  const __m256i* halves = reinterpret_cast<const __m256i*>(p);
  const __m256i lo = _mm256_loadu_si256(halves), hi = _mm256_loadu_si256(halves + 1);
  const __m256i upper = _mm256_set1_epi32(-65536);
  v[0] = {_mm256_castsi256_ps(_mm256_slli_epi32(lo, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(hi, 16))};
  v[1] = {_mm256_castsi256_ps(_mm256_and_si256(lo, upper)), _mm256_castsi256_ps(_mm256_and_si256(hi, upper))};
}

// 16 lanes of int32.
struct IntVec {
  __m256i lo, hi;  // lanes 0-7, 8-15
};

inline IntVec load(const int32_t* p) {
  const __m256i* halves = reinterpret_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}

inline void store(int32_t* p, IntVec v) {
  __m256i* halves = reinterpret_cast<__m256i*>(p);
  _mm256_storeu_si256(halves, v.lo);
  _mm256_storeu_si256(halves + 1, v.hi);
}

inline IntVec load_first(const int32_t* p, int n) {
  const Mask m = first_lanes(n);
  return {_mm256_maskload_epi32(p, m.lo), _mm256_maskload_epi32(p + 8, m.hi)};
}

inline IntVec broadcast(int32_t x) {
  const __m256i v = _mm256_set1_epi32(x);
  return {v, v};
}

inline IntVec add(IntVec a, IntVec b) { return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
inline IntVec sub(IntVec a, IntVec b) { return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)}; }
inline IntVec mul(IntVec a, IntVec b) {
  return {_mm256_mullo_epi32(a.lo, b.lo), _mm256_mullo_epi32(a.hi, b.hi)};
}

inline IntVec max(IntVec a, IntVec b) { return {_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)}; }

inline Vec to_float(IntVec v) { return {_mm256_cvtepi32_ps(v.lo), _mm256_cvtepi32_ps(v.hi)}; }
inline IntVec bits(Vec v) { return {_mm256_castps_si256(v.lo), _mm256_castps_si256(v.hi)}; }

inline int32_t sum_lanes(IntVec v) {
  const __m256i sums = _mm256_add_epi32(v.lo, v.hi);
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

inline int32_t max_lanes(IntVec v) {
  const __m256i by8 = _mm256_max_epi32(v.lo, v.hi);
  const __m128i by4 = _mm_max_epi32(_mm256_castsi256_si128(by8), _mm256_extracti128_si256(by8, 1));
  const __m128i by2 = _mm_max_epi32(by4, _mm_shuffle_epi32(by4, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(by2, _mm_shuffle_epi32(by2, 0xb1)));
}
