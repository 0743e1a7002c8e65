// The k best logits, merged run by run.
#pragma once

#include "kernels/rowwise-inl.h"

// Puts (value, id) in its place; the caller knows that it beats the last entry. Equal values stay before
// it, as their ids are lower.
inline void insert_candidate(float value, int32_t id, int k, float* top_values, int32_t* top_ids) {
  int at = k - 1;
  for (; at > 0 && top_values[at - 1] < value; --at) {
    top_values[at] = top_values[at - 1];
    top_ids[at] = top_ids[at - 1];
  }
  top_values[at] = value;
  top_ids[at] = id;
}

void top_k(const float* logits, int size, int32_t first_id, int k, float* top_values,
           int32_t* top_ids) noexcept {
  for_each_vector(size, [&](int i, int n) {
    const Vec x = keep_first(load_up_to(logits + i, n), n, broadcast(-kInfinity));
    // Nearly always 0 after the first few vectors: a random order of V logits enters k ln(V / k) times.
    uint32_t better = bits_from_mask(greater(x, broadcast(top_values[k - 1])));
    for (; better != 0; better &= better - 1) {
      const int at = i + __builtin_ctz(better);
      if (logits[at] > top_values[k - 1]) insert_candidate(logits[at], first_id + at, k, top_values, top_ids);
    }
  });
}
