// Fused multi-head attention of one head. Scores: lanes over keys, one FMA chain over head_dim. Values:
// lanes over head_dim, one FMA chain over positions. So neither depends on the tile or on other queries.
#pragma once

#include "kernels/math-inl.h"
#include "kernels/rowwise-inl.h"

// Scaled scores of kQueries queries with kSegments segments, each lane put where its position belongs.
template <int kQueries, int kSegments>
inline void score_tile(const AttentionArgs& args, int query, const KeySegment* segments) {
  const float* q = args.query + query * args.query_stride;
  const float* keys[kSegments];
  Vec acc[kQueries][kSegments];
#pragma GCC unroll 16
  for (int s = 0; s < kSegments; ++s) {
    keys[s] = segments[s].keys + args.key_offset;
#pragma GCC unroll 16
    for (int i = 0; i < kQueries; ++i) acc[i][s] = zero();
  }
  // Lanes that a segment does not hold, or that lie past num_keys, are computed too and dropped later.
  for (int d = 0; d < args.head_dim; ++d) {
    Vec key[kSegments];
#pragma GCC unroll 16
    for (int s = 0; s < kSegments; ++s) key[s] = load(keys[s] + d * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kQueries; ++i) {
      const Vec x = broadcast(q[i * args.query_stride + d]);
#pragma GCC unroll 16
      for (int s = 0; s < kSegments; ++s) acc[i][s] = fma(x, key[s], acc[i][s]);
    }
  }
#pragma GCC unroll 16
  for (int s = 0; s < kSegments; ++s) {
#pragma GCC unroll 16
    for (int i = 0; i < kQueries; ++i) {
      float* scores = args.scores + (query + i) * args.scores_stride + segments[s].block * kLanes;
      store_masked(scores, mask_from_bits(segments[s].lanes), mul(acc[i][s], broadcast(args.scale)));
    }
  }
}

// The first `count` segments from `first` on: as many at once as keep enough FMAs in flight, then fewer.
template <int kQueries, int kSegments = score_segments(kQueries)>
inline void score_segments_of(const AttentionArgs& args, int query, int first, int count) {
  for (; count >= kSegments; count -= kSegments, first += kSegments) {
    score_tile<kQueries, kSegments>(args, query, args.segments + first);
  }
  if constexpr (kSegments > 1) {
    if (count > 0) score_segments_of<kQueries, kSegments / 2>(args, query, first, count);
  }
}

// Replaces scores by exp(score - largest) and returns their sum: the softmax without its division.
inline float softmax_numerators(float* scores, int num_keys) {
  const Vec largest = broadcast(max_of(scores, num_keys));
  Vec sum = zero();
  for_each_vector(num_keys, [&](int i, int n) {
    const Vec e = keep_first(exp(sub(load(scores + i), largest)), n, zero());
    store(scores + i, e);
    sum = add(sum, e);
  });
  return sum_lanes(sum);
}

// One vector of head dimensions; only the last of a head may be partial.
template <bool kPartial>
inline Vec load_value(const float* p, int n) {
  if constexpr (kPartial) {
    return load_first(p, n);
  } else {
    return load(p);
  }
}

// Dimensions dim ... of the outputs of kQueries queries: kVectors vectors, or n < kLanes dimensions.
template <int kQueries, int kVectors, bool kPartial>
inline void value_tile(const AttentionArgs& args, int query, const float* sums, int dim, int n) {
  const float* weights = args.scores + query * args.scores_stride;  // [kQueries] rows
  const int32_t* num_keys = args.num_keys + query;
  const int64_t offset = args.value_offset + dim;
  Vec acc[kQueries][kVectors] = {};
  // Queries share each value row as far as all of them see it; what only some see follows one by one, so
  // that no chain gets a step (not even one of weight 0) that it would not have alone.
  int common = num_keys[0];  // positions that every query sees
  for (int i = 1; i < kQueries; ++i) common = num_keys[i] < common ? num_keys[i] : common;
  for (int j = 0; j < common; ++j) {
    const float* row = args.values[j] + offset;
    Vec value[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) value[v] = load_value<kPartial>(row + v * kLanes, n);
#pragma GCC unroll 16
    for (int i = 0; i < kQueries; ++i) {
      const Vec weight = broadcast(weights[i * args.scores_stride + j]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[i][v] = fma(weight, value[v], acc[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kQueries; ++i) {
    for (int j = common; j < num_keys[i]; ++j) {
      const float* row = args.values[j] + offset;
      const Vec weight = broadcast(weights[i * args.scores_stride + j]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        acc[i][v] = fma(weight, load_value<kPartial>(row + v * kLanes, n), acc[i][v]);
      }
    }
    float* output = args.output + (query + i) * args.output_stride + dim;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      store_first(output + v * kLanes, n, div(acc[i][v], broadcast(sums[i])));
    }
  }
}

// All dimensions from `dim` on, kVectors vectors at a time, then fewer, then what is less than a vector.
template <int kQueries, int kVectors>
inline void value_dims(const AttentionArgs& args, int query, const float* sums, int dim) {
  for (; dim + kVectors * kLanes <= args.head_dim; dim += kVectors * kLanes) {
    value_tile<kQueries, kVectors, false>(args, query, sums, dim, kLanes);
  }
  if constexpr (kVectors > 1) {
    value_dims<kQueries, kVectors / 2>(args, query, sums, dim);
  } else if (dim < args.head_dim) {
    value_tile<kQueries, 1, true>(args, query, sums, dim, args.head_dim - dim);
  }
}

// kQueries queries from `query` on: scores, softmax, values.
template <int kQueries>
inline void attend(const AttentionArgs& args, int query) {
  int longest = 0;
  for (int i = 0; i < kQueries; ++i) {
    const int num_keys = args.num_keys[query + i];
    longest = num_keys > longest ? num_keys : longest;
  }
  // Segments are ordered by block, so those that no query here sees come last: causal attention of many
  // queries skips them.
  int visible = 0;
  while (visible < args.num_segments && args.segments[visible].block * kLanes < longest) ++visible;
  score_segments_of<kQueries>(args, query, 0, visible);
  float sums[kQueries];
  for (int i = 0; i < kQueries; ++i) {
    sums[i] = softmax_numerators(args.scores + (query + i) * args.scores_stride, args.num_keys[query + i]);
  }
  value_dims<kQueries, value_vectors(kQueries)>(args, query, sums, 0);
}

// Picks the tile made for `queries` queries.
template <int kQueries = kAttentionQueries>
inline void attend_up_to(const AttentionArgs& args, int query, int queries) {
  if (queries == kQueries) {
    attend<kQueries>(args, query);
  } else if constexpr (kQueries > 1) {
    attend_up_to<kQueries - 1>(args, query, queries);
  }
}

void attention(const AttentionArgs& args) noexcept {
  for (int query = 0; query < args.num_queries; query += kAttentionQueries) {
    const int left = args.num_queries - query;
    attend_up_to(args, query, left < kAttentionQueries ? left : kAttentionQueries);
  }
}
