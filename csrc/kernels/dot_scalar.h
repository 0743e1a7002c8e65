// Dot products of int8 in plain C++. Included after vec_scalar.h.
#pragma once

constexpr int kInputOffset = 0;

using IntTiles = FloatTiles;

// Four consecutive inputs of a row.
struct Inputs {
  int8_t value[kDepthGroup];
};

inline Inputs broadcast_inputs(const uint8_t* p) {
  Inputs x;
  memcpy(x.value, p, sizeof(x.value));
  return x;
}

// acc + x * w in each lane; w holds four weights of a column in each lane.
inline IntVec dot(const Inputs& x, const IntVec& w, IntVec acc) {
  int8_t weights[kLanes * kDepthGroup];
  memcpy(weights, w.lane, sizeof(weights));
  for (int l = 0; l < kLanes; ++l) {
    for (int i = 0; i < kDepthGroup; ++i) acc.lane[l] += x.value[i] * weights[l * kDepthGroup + i];
  }
  return acc;
}
