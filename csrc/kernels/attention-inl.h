// Fused multi-head attention. Scores: lanes over keys, one FMA chain over head_dim. Values: lanes over
// head_dim, one FMA chain over positions. So neither depends on the tile, on other queries or other heads.
#pragma once

#include "kernels/math-inl.h"
#include "kernels/rowwise-inl.h"

// What is computed at once: kQueries queries of one head, which share its keys; or one query of kHeads heads,
// since a single query with few keys has too few chains of its own to hide the latency of an FMA.
// Keys and values are of type Entry.
template <class Entry, int kHeads, int kQueries>
struct AttentionTile {
  static_assert(kHeads == 1 || kQueries == 1);
  static constexpr int kRows = kHeads * kQueries;  // of scores, heads outside
  static_assert(kRows <= kAttentionRows);
  int head;   // the first
  int query;  // the first
};

// Vectors of floats in one vector of entries.
template <class Entry>
constexpr int kVectorsOf = 1;
template <>
constexpr int kVectorsOf<Bf16Pair> = 2;

inline void load_dims(const float* p, Vec (&v)[1]) { v[0] = load(p); }

// Scaled scores of a tile with kSegments segments, each lane put where its position belongs.
template <int kSegments, class Entry, int kHeads, int kQueries>
inline void score_segments(const AttentionArgs& args, AttentionTile<Entry, kHeads, kQueries> tile,
                           const KeySegment* segments) {
  constexpr int kDims = kVectorsOf<Entry>;  // that an entry of a key holds
  const float* q = args.query + tile.query * args.query_stride + tile.head * args.head_dim;
  const Entry* keys[kSegments];
  Vec acc[tile.kRows][kSegments];
#pragma GCC unroll 16
  for (int s = 0; s < kSegments; ++s) {
    keys[s] =
        static_cast<const Entry*>(segments[s].keys) + args.key_offset + tile.head * args.key_head_stride;
#pragma GCC unroll 16
    for (int row = 0; row < tile.kRows; ++row) acc[row][s] = zero();
  }
  // Lanes that a segment does not hold, or that lie past num_keys, are computed too and dropped later.
  for (int d = 0; d < args.head_dim; d += kDims) {
#pragma GCC unroll 16
    for (int h = 0; h < kHeads; ++h) {
      Vec key[kSegments][kDims];
#pragma GCC unroll 16
      for (int s = 0; s < kSegments; ++s) {
        load_dims(keys[s] + h * args.key_head_stride + d / kDims * kLanes, key[s]);
      }
#pragma GCC unroll 16
      for (int e = 0; e < kDims; ++e) {
#pragma GCC unroll 16
        for (int i = 0; i < kQueries; ++i) {
          const Vec x = broadcast(q[i * args.query_stride + h * args.head_dim + d + e]);
          const int row = h * kQueries + i;
#pragma GCC unroll 16
          for (int s = 0; s < kSegments; ++s) acc[row][s] = fma(x, key[s][e], acc[row][s]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int s = 0; s < kSegments; ++s) {
#pragma GCC unroll 16
    for (int row = 0; row < tile.kRows; ++row) {
      float* scores = args.scores + row * args.scores_stride + segments[s].block * kLanes;
      store_masked(scores, mask_from_bits(segments[s].lanes), mul(acc[row][s], broadcast(args.scale)));
    }
  }
}

// The first `count` segments from `first` on: as many at once as keep enough FMAs in flight, then fewer.
template <int kSegments, class Tile>
inline void score_all(const AttentionArgs& args, Tile tile, int first, int count) {
  for (; count >= kSegments; count -= kSegments, first += kSegments) {
    score_segments<kSegments>(args, tile, args.segments + first);
  }
  if constexpr (kSegments > 1) {
    if (count > 0) score_all<kSegments / 2>(args, tile, first, count);
  }
}

// Replaces scores by exp(score - largest) and returns their sum: the softmax without its division.
inline float softmax_numerators(float* scores, int num_keys) {
  const Vec largest = broadcast(max_of(scores, num_keys));
  Vec sum = zero();
  for_each_vector(num_keys, [&](int i, int n) {
    const Vec e = keep_first(exp_of_negative(sub(load(scores + i), largest)), n, zero());
    store(scores + i, e);
    sum = add(sum, e);
  });
  return sum_lanes(sum);
}

// kVectors vectors of a head's values; or the last of a head, of n floats.
template <int kVectors, bool kPartial, class Entry>
inline void load_values(const Entry* p, int n, Vec (&value)[kVectors]) {
  if constexpr (kPartial) {
    value[0] = load_first(p, n);
  } else {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; v += kVectorsOf<Entry>) {
      Vec loaded[kVectorsOf<Entry>];
      load_dims(p + v / kVectorsOf<Entry> * kLanes, loaded);
#pragma GCC unroll 16
      for (int e = 0; e < kVectorsOf<Entry>; ++e) value[v + e] = loaded[e];
    }
  }
}

// kQueries queries of one head, whose softmax numerators are done.
struct WeightedQueries {
  int query;             // the first
  int head;              // theirs
  const float* weights;  // [kQueries] rows of scores, scores_stride apart
  const float* sums;     // [kQueries] of each row
};

// Dimensions dim ... of the outputs of kQueries queries: kVectors vectors, or n < kLanes dimensions.
template <class Entry, int kQueries, int kVectors, bool kPartial>
inline void value_tile(const AttentionArgs& args, const WeightedQueries& queries, int dim, int n) {
  const float* weights = queries.weights;
  const int32_t* num_keys = args.num_keys + queries.query;
  const int64_t offset = args.value_offset + queries.head * args.value_head_stride + dim / kVectorsOf<Entry>;
  Vec acc[kQueries][kVectors] = {};
  // Queries share each value row as far as all of them see it; what only some see follows one by one, so
  // that no chain gets a step (not even one of weight 0) that it would not have alone.
  int common = num_keys[0];  // positions that every query sees
  for (int i = 1; i < kQueries; ++i) common = num_keys[i] < common ? num_keys[i] : common;
  for (int j = 0; j < common; ++j) {
    const Entry* row = static_cast<const Entry*>(args.values[j]) + offset;
    Vec value[kVectors];
    load_values<kVectors, kPartial>(row, n, value);
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
      const Entry* row = static_cast<const Entry*>(args.values[j]) + offset;
      const Vec weight = broadcast(weights[i * args.scores_stride + j]);
      Vec value[kVectors];
      load_values<kVectors, kPartial>(row, n, value);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[i][v] = fma(weight, value[v], acc[i][v]);
    }
    float* output =
        args.output + (queries.query + i) * args.output_stride + queries.head * args.head_dim + dim;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      store_first(output + v * kLanes, n, div(acc[i][v], broadcast(queries.sums[i])));
    }
  }
}

// All dimensions from `dim` on, kVectors vectors at a time, then fewer, then what is less than a vector.
template <class Entry, int kQueries, int kVectors>
inline void value_dims(const AttentionArgs& args, const WeightedQueries& queries, int dim) {
  for (; dim + kVectors * kLanes <= args.head_dim; dim += kVectors * kLanes) {
    value_tile<Entry, kQueries, kVectors, false>(args, queries, dim, kLanes);
  }
  if constexpr (kVectors > kVectorsOf<Entry>) {
    value_dims<Entry, kQueries, kVectors / 2>(args, queries, dim);
  } else if constexpr (kVectors == 1) {
    if (dim < args.head_dim) value_tile<Entry, kQueries, 1, true>(args, queries, dim, args.head_dim - dim);
  }
}

inline void add_biases(const float* biases, int num_keys, float* scores) {
  for_each_vector(num_keys,
                  [&](int i, int n) { store(scores + i, add(load(scores + i), load_up_to(biases + i, n))); });
}

// A tile from scores to outputs.
template <bool kBiased, class Entry, int kHeads, int kQueries>
inline void attend(const AttentionArgs& args, AttentionTile<Entry, kHeads, kQueries> tile) {
  const int32_t* num_keys = args.num_keys + tile.query;
  int longest = 0;
  for (int i = 0; i < kQueries; ++i) longest = num_keys[i] > longest ? num_keys[i] : longest;
  // Segments are ordered by block, so those that no query here sees come last: causal attention of many
  // queries skips them.
  int visible = 0;
  while (visible < args.num_segments && args.segments[visible].block * kLanes < longest) ++visible;
  score_all<segments_at_once(tile.kRows)>(args, tile, 0, visible);
  float sums[tile.kRows];
  for (int row = 0; row < tile.kRows; ++row) {
    if constexpr (kBiased) {
      const int64_t head = tile.head + row / kQueries;
      add_biases(args.biases[tile.query + row % kQueries] + args.bias_offset + head * args.bias_head_stride,
                 num_keys[row % kQueries], args.scores + row * args.scores_stride);
    }
    sums[row] = softmax_numerators(args.scores + row * args.scores_stride, num_keys[row % kQueries]);
  }
  constexpr int kVectors =
      value_vectors(kQueries) < kVectorsOf<Entry> ? kVectorsOf<Entry> : value_vectors(kQueries);
  for (int h = 0; h < kHeads; ++h) {
    const float* weights = args.scores + h * kQueries * args.scores_stride;
    value_dims<Entry, kQueries, kVectors>(args, {tile.query, tile.head + h, weights, sums + h * kQueries}, 0);
  }
}

// One query of `count` heads from `head` on: kHeads at once, then fewer.
template <class Entry, bool kBiased, int kHeads = kAttentionHeads>
inline void attend_heads(const AttentionArgs& args, int query, int head, int count) {
  for (; count >= kHeads; count -= kHeads, head += kHeads) {
    attend<kBiased>(args, AttentionTile<Entry, kHeads, 1>{head, query});
  }
  if constexpr (kHeads > 1) {
    if (count > 0) attend_heads<Entry, kBiased, kHeads / 2>(args, query, head, count);
  }
}

// Picks the tile made for `queries` queries.
template <class Entry, bool kBiased, int kQueries = kAttentionQueries>
inline void attend_queries(const AttentionArgs& args, int query, int queries) {
  if constexpr (kQueries == 1) {
    attend_heads<Entry, kBiased>(args, query, 0, args.num_heads);
  } else if (queries == kQueries) {
    for (int head = 0; head < args.num_heads; ++head) {
      attend<kBiased>(args, AttentionTile<Entry, 1, kQueries>{head, query});
    }
  } else {
    attend_queries<Entry, kBiased, kQueries - 1>(args, query, queries);
  }
}

template <class Entry, bool kBiased>
void attention(const AttentionArgs& args) noexcept {
  for (int query = 0; query < args.num_queries; query += kAttentionQueries) {
    const int left = args.num_queries - query;
    attend_queries<Entry, kBiased>(args, query, left < kAttentionQueries ? left : kAttentionQueries);
  }
}
