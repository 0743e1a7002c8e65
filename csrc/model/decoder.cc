#include "model/decoder.h"

#include <algorithm>

#include "model/layers.h"
#include "model/relative_bias.h"

namespace pyengine {
namespace {

// Multiply-adds that one entry of a recurrent state is worth: an exponential and a division.
constexpr int kRecurrenceWork = 32;

// Multiply-adds that writing one entry of a key, each to a cache line of its own, and of a value is worth.
constexpr int kStoreWork = 16;

// Multiply-adds that turning one entry is worth.
constexpr int kRotateWork = 2;

// Scratch of one step, shared by its layers.
struct Pass {
  Rows rows;
  const PageLayout& layout;
  const DecoderBatch& batch;
  const float* const* biases;  // [rows] of relative positions, or null
  const float* angles;         // Weights::rotary, null without
  float* query_key_value;  // [rows, attention_size + 2 * key_value_size], of cross-attention the query alone;
                           // SSRU: [rows, 2 * hidden_size]
  float* context;          // [rows, attention_size], attention output before its projection
  float* inner;            // [rows, decoder_ffn_dim]
};

AttentionOperands operands_of(const Pass& pass, int layer) {
  const ModelConfig& config = pass.rows.config;
  const Kernels& kernels = pass.rows.runtime.kernels;
  AttentionOperands operands;
  operands.attention =
      pass.layout.type == CacheType::kFloat32 ? kernels.attention_f32 : kernels.attention_bf16;
  operands.num_heads = config.decoder_num_heads;
  operands.num_key_value_heads = pass.layout.num_heads;
  operands.head_dim = config.decoder_head_dim;
  operands.scale = attention_scale(config, config.decoder_head_dim);
  operands.query = pass.query_key_value;
  operands.query_stride = config.decoder_attention_size();
  operands.num_keys = nullptr;
  operands.key_offset = pass.layout.key_offset(layer);
  operands.value_offset = pass.layout.value_offset(layer) - pass.layout.value_offset(0);
  operands.key_head_stride = operands.value_head_stride = pass.layout.head_stride();
  operands.output = pass.context;
  return operands;
}

// Lets self-attention see relative positions, where the model has them.
void add_biases(const Pass& pass, AttentionOperands& operands) {
  if (pass.biases == nullptr) return;
  const Kernels& kernels = pass.rows.runtime.kernels;
  operands.attention =
      pass.layout.type == CacheType::kFloat32 ? kernels.attention_biased_f32 : kernels.attention_biased_bf16;
  operands.biases = pass.biases;
  operands.bias_head_stride = bias_row_size(pass.rows.config, Sight::kBackwards);
}

// Writes keys and values of one layer: of row i at key_value + i * stride, first the key, then the value.
void store_rows(const Runtime& runtime, const PageLayout& layout, int layer, const float* key_value,
                std::int64_t stride, const CacheRows& rows) {
  const int size = layout.attention_size();
  const int parts = num_parts(static_cast<std::int64_t>(rows.num_rows) * size * kStoreWork,
                              runtime.num_threads, rows.num_rows);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int) {
    const int end = part_begin(rows.num_rows, part + 1, parts);
    for (int row = part_begin(rows.num_rows, part, parts); row < end; ++row) {
      const float* key = key_value + row * stride;
      store_key_value(layout, layer, rows.positions[row], key, key + size, rows.pages[row]);
    }
  });
}

// Adds the projected attention of every head to the residual stream.
void attend_and_project(const Pass& pass, std::span<const AttentionGroup> groups,
                        const AttentionOperands& operands, const Linear& output) {
  const Rows& rows = pass.rows;
  attend(rows.runtime, groups, operands);
  linear(rows.runtime, output, pass.context, rows.num_rows, Activation::kNone, rows.hidden, rows.hidden);
}

// Turns the queries and keys of all rows by the angles of their positions.
void rotate_rows(const Pass& pass) {
  const Runtime& runtime = pass.rows.runtime;
  const ModelConfig& config = pass.rows.config;
  const int num_rows = pass.rows.num_rows, head_dim = config.decoder_head_dim;
  const int num_heads = config.decoder_num_heads + config.decoder_key_value_heads();
  const std::int64_t stride = config.decoder_attention_size() + 2 * config.decoder_key_value_size();
  const int parts = num_parts(num_rows * stride * kRotateWork, runtime.num_threads, num_rows);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int) {
    for (int row = part_begin(num_rows, part, parts); row < part_begin(num_rows, part + 1, parts); ++row) {
      const float* angles = pass.angles + static_cast<std::int64_t>(pass.batch.positions[row]) * head_dim;
      runtime.kernels.rotate(angles, num_heads, head_dim, pass.query_key_value + row * stride);
    }
  });
}

template <NormOrder order>
void history_block(const Pass& pass, const SelfAttentionWeights& weights, int layer) {
  const Rows& rows = pass.rows;
  residual_block<order>(rows, weights.norm, [&](const float* input) {
    linear(rows.runtime, weights.query_key_value, input, rows.num_rows, Activation::kNone, nullptr,
           pass.query_key_value);
    if (pass.angles != nullptr) rotate_rows(pass);
    const std::int64_t size = rows.config.decoder_attention_size();
    const std::int64_t stride = size + 2 * rows.config.decoder_key_value_size();
    store_rows(rows.runtime, pass.layout, layer, pass.query_key_value + size, stride,
               {rows.num_rows, pass.batch.positions, pass.batch.pages});
    AttentionOperands operands = operands_of(pass, layer);
    operands.query_stride = stride;
    operands.num_keys = pass.batch.num_keys;
    add_biases(pass, operands);
    attend_and_project(pass, pass.batch.groups, operands, weights.output);
  });
}

// Advances the states by all rows and adds what they give to the residual stream. Rows of one hypothesis
// depend on each other, so the threads divide the hidden units.
void recur(const Pass& pass, const float* input_and_gate, int layer) {
  const Rows& rows = pass.rows;
  const int size = rows.config.hidden_size;
  const int num_vectors = (size + kLanes - 1) / kLanes;
  const std::int64_t work = static_cast<std::int64_t>(rows.num_rows) * size * kRecurrenceWork;
  const int parts = num_parts(work, rows.runtime.num_threads, num_vectors);
  rows.runtime.pool.run(parts, rows.runtime.num_threads, [&](int part, int) {
    const int first = part_begin(num_vectors, part, parts) * kLanes;
    const int end = std::min(size, part_begin(num_vectors, part + 1, parts) * kLanes);
    for (int row = 0; row < rows.num_rows; ++row) {
      const float* input = input_and_gate + static_cast<std::int64_t>(row) * 2 * size + first;
      rows.runtime.kernels.ssru(input, input + size, end - first,
                                pass.batch.states[row] + layer * size + first,
                                rows.hidden + static_cast<std::int64_t>(row) * size + first);
    }
  });
}

template <NormOrder order>
void history_block(const Pass& pass, const SsruWeights& weights, int layer) {
  const Rows& rows = pass.rows;
  residual_block<order>(rows, weights.norm, [&](const float* input) {
    linear(rows.runtime, weights.input_and_gate, input, rows.num_rows, Activation::kNone, nullptr,
           pass.query_key_value);
    recur(pass, pass.query_key_value, layer);
  });
}

template <NormOrder order>
void source_block(const Pass&, const NoSource&, int) {}

template <NormOrder order>
void source_block(const Pass& pass, const CrossAttentionWeights& weights, int layer) {
  const Rows& rows = pass.rows;
  residual_block<order>(rows, weights.norm, [&](const float* input) {
    linear(rows.runtime, weights.query, input, rows.num_rows, Activation::kNone, nullptr,
           pass.query_key_value);
    AttentionOperands operands = operands_of(pass, layer);
    operands.num_keys = pass.batch.num_source_keys;
    attend_and_project(pass, pass.batch.source_groups, operands, weights.output);
  });
}

template <NormOrder order>
void decoder_layers(const Pass& pass, const Weights& weights) {
  for (int i = 0; i < pass.rows.config.decoder_layers; ++i) {
    const DecoderLayerWeights& layer = weights.decoder_layers[i];
    std::visit([&](const auto& history) { history_block<order>(pass, history, i); }, layer.history);
    std::visit([&](const auto& source) { source_block<order>(pass, source, i); }, layer.source);
    feed_forward_block<order>(pass.rows, layer.feed_forward, pass.inner);
  }
}

}  // namespace

void decoder_step(const Runtime& runtime, const ModelConfig& config, const Weights& weights,
                  const PageLayout& layout, const DecoderBatch& batch, float* hidden) {
  const int num_rows = batch.num_rows;
  const std::size_t hidden_count = static_cast<std::size_t>(num_rows) * config.hidden_size;
  const std::size_t attention_count = static_cast<std::size_t>(num_rows) * config.decoder_attention_size();
  Workspace& workspace = runtime.workspace;
  embed(runtime, weights.decoder_embedding, config, batch.tokens, batch.positions, num_rows, hidden);
  const Pass pass{
      .rows = {runtime, config, num_rows, hidden, workspace.take<float>(hidden_count)},
      .layout = layout,
      .batch = batch,
      .biases = bias_rows(config, weights.decoder_bias, batch.positions, num_rows, workspace),
      .angles = config.position_kind == PositionKind::kRotary ? weights.rotary.data() : nullptr,
      .query_key_value = workspace.take<float>(std::max(3 * attention_count, 2 * hidden_count)),
      .context = workspace.take<float>(attention_count),
      .inner = workspace.take<float>(static_cast<std::size_t>(num_rows) * config.decoder_ffn_dim)};
  if (config.normalize_before) {
    decoder_layers<NormOrder::kPre>(pass, weights);
    normalize(runtime, weights.decoder_norm, config, hidden, num_rows, hidden);
  } else {
    decoder_layers<NormOrder::kPost>(pass, weights);
  }
}

void fill_cross_cache(const Runtime& runtime, const Weights& weights, const PageLayout& layout,
                      const float* hidden, const CacheRows& rows) {
  const std::int64_t size = layout.attention_size();
  const Workspace::Scope scope(runtime.workspace);
  float* key_value = runtime.workspace.take<float>(2 * size * rows.num_rows);  // [rows, 2 * size]
  for (int layer = 0; layer < layout.num_layers; ++layer) {
    const Linear& weight = std::get<CrossAttentionWeights>(weights.decoder_layers[layer].source).key_value;
    linear(runtime, weight, hidden, rows.num_rows, Activation::kNone, nullptr, key_value);
    store_rows(runtime, layout, layer, key_value, 2 * size, rows);
  }
}

}  // namespace pyengine
