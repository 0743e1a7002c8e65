// Multi-head attention over groups of rows that see the same keys.
#pragma once

#include <span>

#include "model/kv_cache.h"
#include "model/operators.h"

namespace pyengine {

// Consecutive rows of the batch whose queries see the same keys: a source sentence in the encoder, the
// hypotheses of a sentence in cross-attention, one hypothesis in self-attention.
struct AttentionGroup {
  int first_row;
  int num_rows;
  KeyTable keys;
};

// Where one layer's operands lie.
struct AttentionOperands {
  void (*attention)(const AttentionArgs& args) noexcept;  // the kernel for the type of keys and values
  int num_heads;
  int num_key_value_heads;  // each shared by equally many heads, Ainslie et al. 2023
  int head_dim;
  float scale;         // of the scores
  const float* query;  // [rows][num_heads * head_dim], rows query_stride apart
  std::int64_t query_stride;
  const std::int32_t* num_keys;  // [rows] keys that each row sees
  std::int64_t key_offset;       // of this layer, from the keys of a segment
  std::int64_t key_head_stride;  // see AttentionArgs
  std::int64_t value_offset;     // of this layer, from the row of a value
  std::int64_t value_head_stride;
  const float* const* biases = nullptr;  // [rows] of the biased kernels, see AttentionArgs
  std::int64_t bias_head_stride = 0;
  float* output;  // [rows, num_heads * head_dim]
};

// "Attention Is All You Need" 3.2.2 without the projections: for each head
// output = softmax(scale * query keys^T) values.
void attend(const Runtime& runtime, std::span<const AttentionGroup> groups,
            const AttentionOperands& operands);

// 1 / sqrt(head_dim), or 1 for models that fold it into their weights.
float attention_scale(const ModelConfig& config, int head_dim);

}  // namespace pyengine
