// A vector of 16 float lanes in plain C++: the variant for every machine, and the oracle of the others.
// Included inside the namespace of isa_scalar.cc, after <math.h> and <string.h>.
#pragma once

// Tiles of a matrix product; small, as nothing stays in registers anyway.
struct FloatTiles {
  static constexpr int kRows = 4;
  // Vectors of output columns in a tile of `rows` rows: 1, or an even number.
  static constexpr int vectors(int /*rows*/) { return 1; }
};

// Tiles of attention.
constexpr int kAttentionQueries = 2;
constexpr int kAttentionHeads = 1;

// Key segments in a tile of `queries` queries: a power of two.
constexpr int segments_at_once(int /*queries*/) { return 1; }

// Vectors of head dimensions in a tile of `queries` queries: a power of two.
constexpr int value_vectors(int /*queries*/) { return 1; }

struct Vec {
  float lane[kLanes];
};

// Bit l is lane l.
struct Mask {
  uint32_t bits;
};

inline Vec zero() { return {}; }

inline Vec broadcast(float x) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = x;
  return r;
}

inline Vec load(const float* p) {
  Vec r;
  memcpy(r.lane, p, sizeof(r.lane));
  return r;
}

inline void store(float* p, const Vec& v) { memcpy(p, v.lane, sizeof(v.lane)); }

// Lanes 0 ... n - 1 from memory, the others 0; nothing past p[n - 1] is read.
inline Vec load_first(const float* p, int n) {
  Vec r = {};
  memcpy(r.lane, p, sizeof(float) * n);
  return r;
}

inline void store_first(float* p, int n, const Vec& v) { memcpy(p, v.lane, sizeof(float) * n); }

inline Mask first_lanes(int n) { return {n >= kLanes ? 0xffffu : (1u << n) - 1}; }
inline Mask mask_from_bits(uint32_t bits) { return {bits}; }
inline uint32_t bits_from_mask(Mask m) { return m.bits; }

inline void store_masked(float* p, Mask m, const Vec& v) {
  for (int l = 0; l < kLanes; ++l) {
    if (m.bits >> l & 1) p[l] = v.lane[l];
  }
}

inline Vec add(const Vec& a, const Vec& b) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = a.lane[l] + b.lane[l];
  return r;
}

inline Vec sub(const Vec& a, const Vec& b) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = a.lane[l] - b.lane[l];
  return r;
}

inline Vec mul(const Vec& a, const Vec& b) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = a.lane[l] * b.lane[l];
  return r;
}

inline Vec div(const Vec& a, const Vec& b) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = a.lane[l] / b.lane[l];
  return r;
}

// b where the comparison is false or undefined, as maxps does.
inline Vec max(const Vec& a, const Vec& b) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l];
  return r;
}

// One rounding.
inline float fma(float a, float b, float c) { return ::fmaf(a, b, c); }

inline Vec fma(const Vec& a, const Vec& b, const Vec& c) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = fma(a.lane[l], b.lane[l], c.lane[l]);
  return r;
}

inline Mask greater(const Vec& a, const Vec& b) {
  Mask m = {0};
  for (int l = 0; l < kLanes; ++l) m.bits |= uint32_t{a.lane[l] > b.lane[l]} << l;
  return m;
}

inline Vec select(Mask m, const Vec& if_set, const Vec& if_clear) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = m.bits >> l & 1 ? if_set.lane[l] : if_clear.lane[l];
  return r;
}

inline Vec abs(const Vec& v) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = ::fabsf(v.lane[l]);
  return r;
}

inline Vec copy_sign(const Vec& magnitude, const Vec& sign) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = ::copysignf(magnitude.lane[l], sign.lane[l]);
  return r;
}

// The bits of each lane moved 23 up: the low integer bits become the exponent of a power of two.
inline Vec shift_into_exponent(const Vec& v) {
  uint32_t bits[kLanes];
  memcpy(bits, v.lane, sizeof(bits));
  for (int l = 0; l < kLanes; ++l) bits[l] <<= 23;
  Vec r;
  memcpy(r.lane, bits, sizeof(bits));
  return r;
}

// The one tree of every sum and maximum across lanes: l + (l + 8), then 4, 2, 1 apart.
inline float sum_lanes(Vec v) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) v.lane[l] = v.lane[l] + v.lane[l + half];
  }
  return v.lane[0];
}

inline float max_lanes(Vec v) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) v.lane[l] = v.lane[l] > v.lane[l + half] ? v.lane[l] : v.lane[l + half];
  }
  return v.lane[0];
}

inline float square_root(float x) { return ::sqrtf(x); }

// The upper halves of 16 floats.
inline Vec load(const Bfloat16* p) {
  uint32_t bits[kLanes];
  for (int l = 0; l < kLanes; ++l) bits[l] = uint32_t{p[l].bits} << 16;
  Vec r;
  memcpy(r.lane, bits, sizeof(bits));
  return r;
}

// Two vectors from 16 pairs.
inline void load_dims(const Bf16Pair* p, Vec (&v)[2]) {
  for (int l = 0; l < kLanes; ++l) {
    const uint32_t halves[2] = {p[l].bits << 16, p[l].bits & 0xffff0000u};
    memcpy(&v[0].lane[l], &halves[0], sizeof(float));
    memcpy(&v[1].lane[l], &halves[1], sizeof(float));
  }
}

// 16 lanes of int32.
struct IntVec {
  int32_t lane[kLanes];
};

inline IntVec load(const int32_t* p) {
  IntVec r;
  memcpy(r.lane, p, sizeof(r.lane));
  return r;
}

inline void store(int32_t* p, const IntVec& v) { memcpy(p, v.lane, sizeof(v.lane)); }

inline IntVec load_first(const int32_t* p, int n) {
  IntVec r = {};
  memcpy(r.lane, p, sizeof(int32_t) * n);
  return r;
}

inline IntVec broadcast(int32_t x) {
  IntVec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = x;
  return r;
}

// These wrap around.
inline IntVec add(const IntVec& a, const IntVec& b) {
  IntVec r;
  for (int l = 0; l < kLanes; ++l) {
    r.lane[l] = static_cast<int32_t>(static_cast<uint32_t>(a.lane[l]) + static_cast<uint32_t>(b.lane[l]));
  }
  return r;
}
inline IntVec sub(const IntVec& a, const IntVec& b) {
  IntVec r;
  for (int l = 0; l < kLanes; ++l) {
    r.lane[l] = static_cast<int32_t>(static_cast<uint32_t>(a.lane[l]) - static_cast<uint32_t>(b.lane[l]));
  }
  return r;
}
inline IntVec mul(const IntVec& a, const IntVec& b) {
  IntVec r;
  for (int l = 0; l < kLanes; ++l) {
    r.lane[l] = static_cast<int32_t>(static_cast<uint32_t>(a.lane[l]) * static_cast<uint32_t>(b.lane[l]));
  }
  return r;
}

inline IntVec max(const IntVec& a, const IntVec& b) {
  IntVec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l];
  return r;
}

inline Vec to_float(const IntVec& v) {
  Vec r;
  for (int l = 0; l < kLanes; ++l) r.lane[l] = static_cast<float>(v.lane[l]);
  return r;
}

inline IntVec bits(const Vec& v) {
  IntVec r;
  memcpy(r.lane, v.lane, sizeof(r.lane));
  return r;
}

inline int32_t sum_lanes(const IntVec& v) {
  int32_t sum = 0;
  for (int l = 0; l < kLanes; ++l) sum += v.lane[l];
  return sum;
}

inline int32_t max_lanes(const IntVec& v) {
  int32_t largest = v.lane[0];
  for (int l = 1; l < kLanes; ++l) largest = v.lane[l] > largest ? v.lane[l] : largest;
  return largest;
}
