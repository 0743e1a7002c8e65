// The last vector of a row, which may be partial: a predictable branch, since masked accesses are slow on
// some processors.
#pragma once

// Calls visit(offset, n) for each vector of a row of `size`; n < kLanes in the last one only.
template <typename Visit>
inline void for_each_vector(int size, const Visit& visit) {
  int i = 0;
  for (; i + kLanes <= size; i += kLanes) visit(i, kLanes);
  if (i < size) visit(i, size - i);
}

inline Vec load_up_to(const float* p, int n) { return n == kLanes ? load(p) : load_first(p, n); }
inline IntVec load_up_to(const int32_t* p, int n) { return n == kLanes ? load(p) : load_first(p, n); }

inline void store_up_to(float* p, int n, Vec v) {
  if (n == kLanes) {
    store(p, v);
  } else {
    store_first(p, n, v);
  }
}

// Lanes n and above replaced.
inline Vec keep_first(Vec v, int n, Vec others) {
  return n == kLanes ? v : select(first_lanes(n), v, others);
}
