// Dot products of int8 in plain C++. Included after vec_scalar.h.
#pragma once

constexpr int kInputOffset = 0;
constexpr int kInputSize = 1;  // bytes

using IntTiles = FloatTiles;

// Four consecutive inputs of a row.
struct Inputs {
  int8_t value[kDepthGroup];
};

// Four weights of each of 16 columns.
struct Weights {
  int8_t value[kLanes][kDepthGroup];
};

inline Inputs broadcast_inputs(const uint8_t* p) {
  Inputs x;
  memcpy(x.value, p, sizeof(x.value));
  return x;
}

inline Weights load_weights(const int8_t* p) {
  Weights w;
  memcpy(w.value, p, sizeof(w.value));
  return w;
}

// acc + x * w in each lane.
inline IntVec dot(const Inputs& x, const Weights& w, IntVec acc) {
  for (int l = 0; l < kLanes; ++l) {
    for (int i = 0; i < kDepthGroup; ++i) acc.lane[l] += x.value[i] * w.value[l][i];
  }
  return acc;
}

// Writes 16 inputs, integers in the low bits of the lanes.
inline void store_inputs(uint8_t* p, const Vec& v) {
  const IntVec low = bits(v);
  for (int l = 0; l < kLanes; ++l) p[l] = static_cast<uint8_t>(low.lane[l]);
}

// 64 consecutive inputs of a row, four in each lane.
struct InputVector {
  int8_t value[kLanes][kDepthGroup];
};

inline InputVector load_inputs(const uint8_t* p) {
  InputVector x;
  memcpy(x.value, p, sizeof(x.value));
  return x;
}

inline IntVec dot(const InputVector& x, const Weights& w, IntVec acc) {
  for (int l = 0; l < kLanes; ++l) {
    for (int i = 0; i < kDepthGroup; ++i) acc.lane[l] += x.value[l][i] * w.value[l][i];
  }
  return acc;
}
