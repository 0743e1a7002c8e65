// The decoder stack over rows: a row is one token at one position of one hypothesis.
#pragma once

#include <cstdint>
#include <span>

#include "model/attention.h"
#include "model/kv_cache.h"

namespace pyengine {

// One row for each token to feed. A search feeds one row for each live hypothesis; scoring feeds all the
// positions of a known target at once: a row sees the keys of its own hypothesis up to its own position.
struct DecoderBatch {
  int num_rows;
  const std::int32_t* tokens;                     // [num_rows]
  const std::int32_t* positions;                  // [num_rows]
  const std::int32_t* num_keys;                   // [num_rows] position + 1
  std::byte* const* pages;                        // [num_rows] page that takes the row's key and value
  float* const* states;                           // [num_rows] SSRU: state [layers][hidden_size] of the row's
                                                  // hypothesis, whose rows come in order of position
  std::span<const AttentionGroup> groups;         // self-attention
  const std::int32_t* num_source_keys;            // [num_rows] length of the row's source sentence
  std::span<const AttentionGroup> source_groups;  // cross-attention
};

// hidden [num_rows, hidden_size]: the last hidden states. Writes each row's keys and values to its page.
void decoder_step(const Runtime& runtime, const ModelConfig& config, const Weights& weights,
                  const PageLayout& layout, const DecoderBatch& batch, float* hidden);

// Where the keys and values of some rows go.
struct CacheRows {
  int num_rows;
  const std::int32_t* positions;  // [num_rows]
  std::byte* const* pages;        // [num_rows] page of the row's position
};

// Projects the last hidden states of the encoder, hidden [rows.num_rows, hidden_size], to the keys and values
// of every decoder layer's cross-attention.
void fill_cross_cache(const Runtime& runtime, const Weights& weights, const PageLayout& layout,
                      const float* hidden, const CacheRows& rows);

}  // namespace pyengine
