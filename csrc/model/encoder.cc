#include "model/encoder.h"

#include <vector>

#include "model/attention.h"
#include "model/layers.h"
#include "model/relative_bias.h"

namespace pyengine {
namespace {

// Scratch and tables of one pass, shared by its layers.
struct Pass {
  Rows rows;
  std::span<const AttentionGroup> groups;  // one for each sentence
  const float* const* biases;              // [rows] of relative positions, or null
  const std::int32_t* num_keys;            // [rows] length of the row's sentence
  std::int64_t* key_rows;                  // [rows] where a row's key goes in key_blocks: block base + lane
  float* query_key_value;                  // [rows, 3 * attention_size]
  float* key_blocks;  // [blocks][attention_size][kLanes], transposed keys of every sentence
  float* context;     // [rows, attention_size], attention output before its projection
  float* inner;       // [rows, encoder_ffn_dim]
};

// Every sentence sees all its own positions: keys in blocks of its own, values where the projection wrote
// them.
std::span<const AttentionGroup> make_groups(const EncoderBatch& batch, int attention_size,
                                            Workspace& workspace, Pass& pass) {
  const int num_rows = pass.rows.num_rows;
  const std::size_t num_sentences = batch.offsets.size() - 1;
  auto* groups = workspace.take<AttentionGroup>(num_sentences);
  auto* num_keys = workspace.take<std::int32_t>(num_rows);
  auto* values = workspace.take<const void*>(num_rows);
  auto* segments = workspace.take<KeySegment>(num_rows);  // at most one a row
  std::int32_t num_blocks = 0;
  for (std::size_t i = 0; i < num_sentences; ++i) {
    const int first = batch.offsets[i], length = batch.offsets[i + 1] - first;
    const int first_block = num_blocks;
    for (int position = 0; position < length; ++position) {
      const int row = first + position;
      num_keys[row] = length;
      values[row] = pass.query_key_value + (static_cast<std::int64_t>(row) * 3 + 2) * attention_size;
      if (position % kLanes == 0) ++num_blocks;
      const std::int64_t block_begin = static_cast<std::int64_t>(num_blocks - 1) * attention_size * kLanes;
      pass.key_rows[row] = block_begin + position % kLanes;
    }
    for (int block = first_block; block < num_blocks; ++block) {
      const float* keys = pass.key_blocks + static_cast<std::int64_t>(block) * attention_size * kLanes;
      segments[block] = {keys, block - first_block, 0xffff};
    }
    groups[i] = {first,
                 length,
                 {{segments + first_block, static_cast<std::size_t>(num_blocks - first_block)},
                  {values + first, static_cast<std::size_t>(length)}}};
  }
  pass.num_keys = num_keys;
  return {groups, num_sentences};
}

void transpose_keys(const Pass& pass) {
  const Runtime& runtime = pass.rows.runtime;
  const int size = pass.rows.config.encoder_attention_size(), num_rows = pass.rows.num_rows;
  const int parts = num_parts(static_cast<std::int64_t>(num_rows) * size, runtime.num_threads, num_rows);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int) {
    for (int row = part_begin(num_rows, part, parts); row < part_begin(num_rows, part + 1, parts); ++row) {
      const float* key = pass.query_key_value + (static_cast<std::int64_t>(row) * 3 + 1) * size;
      store_key(key, size, 0, pass.key_blocks + pass.key_rows[row]);
    }
  });
}

template <NormOrder order>
void self_attention_block(const Pass& pass, const SelfAttentionWeights& weights) {
  const Rows& rows = pass.rows;
  const ModelConfig& config = rows.config;
  residual_block<order>(rows, weights.norm, [&](const float* input) {
    linear(rows.runtime, weights.query_key_value, input, rows.num_rows, Activation::kNone, nullptr,
           pass.query_key_value);
    transpose_keys(pass);
    AttentionOperands operands;
    const Kernels& kernels = rows.runtime.kernels;
    operands.attention = pass.biases ? kernels.attention_biased_f32 : kernels.attention_f32;
    operands.num_heads = operands.num_key_value_heads = config.encoder_num_heads;
    operands.head_dim = config.encoder_head_dim;
    operands.scale = attention_scale(config, config.encoder_head_dim);
    operands.query = pass.query_key_value;
    operands.query_stride = 3 * static_cast<std::int64_t>(config.encoder_attention_size());
    operands.num_keys = pass.num_keys;
    operands.key_offset = 0;
    operands.key_head_stride = static_cast<std::int64_t>(operands.head_dim) * kLanes;
    operands.value_offset = 0;
    operands.value_head_stride = operands.head_dim;
    operands.biases = pass.biases;
    operands.bias_head_stride = bias_row_size(config, Sight::kBothWays);
    operands.output = pass.context;
    attend(rows.runtime, pass.groups, operands);
    linear(rows.runtime, weights.output, pass.context, rows.num_rows, Activation::kNone, rows.hidden,
           rows.hidden);
  });
}

template <NormOrder order>
void encoder_layers(const Pass& pass, const Weights& weights) {
  for (const EncoderLayerWeights& layer : weights.encoder_layers) {
    self_attention_block<order>(pass, layer.self_attention);
    feed_forward_block<order>(pass.rows, layer.feed_forward, pass.inner);
  }
}

// Which row of the tables of positions each token gets, counted from that of a first token of type 0. Padding
// counts for no position, where the model says so.
std::int32_t* table_rows(const ModelConfig& config, const EncoderBatch& batch, Workspace& workspace) {
  auto* rows = workspace.take<std::int32_t>(batch.tokens.size());
  for (std::size_t i = 0; i + 1 < batch.offsets.size(); ++i) {
    std::int32_t position = 0;
    for (std::int32_t row = batch.offsets[i]; row < batch.offsets[i + 1]; ++row) {
      const bool counts = batch.tokens[row] != config.position_padding_id;
      rows[row] = batch.types[row] * config.position_rows() + (counts ? position++ : -1);
    }
  }
  return rows;
}

}  // namespace

void encode(const Runtime& runtime, const ModelConfig& config, const Weights& weights,
            const EncoderBatch& batch, float* hidden) {
  const Workspace::Scope scope(runtime.workspace);
  const int num_rows = static_cast<int>(batch.tokens.size());
  const std::size_t hidden_count = static_cast<std::size_t>(num_rows) * config.hidden_size;
  const std::size_t attention_size = config.encoder_attention_size();
  Workspace& workspace = runtime.workspace;

  auto* positions = workspace.take<std::int32_t>(num_rows);
  std::size_t num_blocks = 0;
  for (std::size_t i = 0; i + 1 < batch.offsets.size(); ++i) {
    const int length = batch.offsets[i + 1] - batch.offsets[i];
    for (int position = 0; position < length; ++position) positions[batch.offsets[i] + position] = position;
    num_blocks += (length + kLanes - 1) / kLanes;
  }
  embed(runtime, weights.encoder_embedding, config, batch.tokens.data(), table_rows(config, batch, workspace),
        num_rows, hidden);

  Pass pass{.rows = {runtime, config, num_rows, hidden, workspace.take<float>(hidden_count)},
            .groups = {},
            .biases = bias_rows(config, weights.encoder_bias, positions, num_rows, workspace),
            .num_keys = nullptr,
            .key_rows = workspace.take<std::int64_t>(num_rows),
            .query_key_value = workspace.take<float>(3 * num_rows * attention_size),
            .key_blocks = workspace.take<float>(num_blocks * attention_size * kLanes),
            .context = workspace.take<float>(num_rows * attention_size),
            .inner = workspace.take<float>(static_cast<std::size_t>(num_rows) * config.encoder_ffn_dim)};
  // Lanes past a sentence's end are read, and then masked: they must hold numbers.
  std::fill_n(pass.key_blocks, num_blocks * attention_size * kLanes, 0.0f);
  pass.groups = make_groups(batch, config.encoder_attention_size(), workspace, pass);

  if (config.normalize_before) {
    encoder_layers<NormOrder::kPre>(pass, weights);
    normalize(runtime, weights.encoder_norm, config, hidden, num_rows, hidden);
  } else {
    encoder_layers<NormOrder::kPost>(pass, weights);
  }
}

}  // namespace pyengine
