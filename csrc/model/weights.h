// The parameters of a Transformer, packed once at load for the kernels.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/array.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/tensor_source.h"

namespace pyengine {

// What the weights of the products and the token tables are held and multiplied as.
enum class WeightType { kFloat32, kBfloat16, kInt8 };

// A weight [depth, columns] in panels of kPanelWidth columns, see kernels/pack.h.
struct PanelsF32 {
  Array<float> values;
};
struct PanelsBf16 {
  Array<Bfloat16> values;
};
// An int8 weight is scale * (value - zero point); zero points are 0 but in files whose quantiser took others.
struct PanelsS8 {
  Array<std::int8_t> values;
  Array<float> scales;              // [columns]
  Array<std::int32_t> zero_points;  // [columns]
  Array<std::int32_t> column_sums;  // [columns]
};
// Some columns of an int8 weight, which lie apart in a table of all of them, see GatheredS8Args.
struct GatheredS8 {
  Array<std::int8_t> table;
  Array<std::int32_t> rows;         // [columns]
  Array<float> scales;              // [columns]
  Array<std::int32_t> zero_points;  // [columns]
  Array<std::int32_t> column_sums;  // [columns]
};
using Panels = std::variant<PanelsF32, PanelsBf16, PanelsS8, GatheredS8>;

// y = x W + b.
struct Linear {
  int in_features = 0;
  int out_features = 0;
  Panels panels;      // [in_features, out_features]
  Array<float> bias;  // [out_features], zeros where the model has none
};

struct LayerNorm {
  Array<float> gamma;  // [hidden_size]
  Array<float> beta;   // [hidden_size]
};
struct RmsNorm {
  Array<float> gamma;  // [hidden_size]
};
using Norm = std::variant<LayerNorm, RmsNorm>;

// Token embeddings are columns of a packed weight: that of the output projection where the model ties them,
// so that the table is held once. Reading a column costs microseconds a token.
struct Embedding {
  Panels tokens;           // [hidden_size, vocab]
  Array<float> positions;  // [max_positions, hidden_size], empty where the model has no table of them
  std::optional<Norm> norm;
};

struct SelfAttentionWeights {
  Linear query_key_value;  // [hidden_size, attention_size + 2 * key_value_size], one product for the three
                           // projections; in an encoder both sizes are the same
  Linear output;           // [attention_size, hidden_size]
  Norm norm;
};

// Simple recurrent unit: what stands in place of self-attention, see Kernels::ssru.
struct SsruWeights {
  Linear input_and_gate;  // [hidden_size, 2 * hidden_size], one product for both
  Norm norm;
};

struct CrossAttentionWeights {
  Linear query;      // [hidden_size, attention_size]
  Linear key_value;  // [hidden_size, 2 * attention_size], applied once to each source token
  Linear output;     // [attention_size, hidden_size]
  Norm norm;
};

// activation(x Wg) * (x Wv), see Kernels::gate.
struct GatedLinear {
  Linear gate_and_value;  // [hidden_size, 2 * ffn_dim], one product for both
};

struct FeedForwardWeights {
  std::variant<Linear, GatedLinear> up;  // [hidden_size, ffn_dim]
  Linear down;                           // [ffn_dim, hidden_size]
  Norm norm;
};

// The head of a model that classifies: output(activation(dense(x))) of a sentence's first token.
struct ClassifierWeights {
  Linear dense;   // [hidden_size, hidden_size]
  Linear output;  // [hidden_size, num_labels]
};

struct EncoderLayerWeights {
  SelfAttentionWeights self_attention;
  FeedForwardWeights feed_forward;
};

// What stands in place of cross-attention in a decoder alone.
struct NoSource {};
using SourceWeights = std::variant<CrossAttentionWeights, NoSource>;

// How a position of the decoder sees those before it.
using HistoryWeights = std::variant<SelfAttentionWeights, SsruWeights>;

struct DecoderLayerWeights {
  HistoryWeights history;
  SourceWeights source;
  FeedForwardWeights feed_forward;
};

// A stack that the model does not have is left empty.
struct Weights {
  Embedding encoder_embedding;
  std::vector<EncoderLayerWeights> encoder_layers;
  Array<float> encoder_bias;     // relative positions only, see relative_bias.h
  Norm encoder_norm;             // pre-norm models only: after the last layer
  ClassifierWeights classifier;  // where config.num_labels > 0
  Embedding decoder_embedding;
  Array<float> rotary;  // [max_positions][decoder_head_dim] cosines of a position's angles, then their sines;
                        // where config.position_kind is kRotary
  std::vector<DecoderLayerWeights> decoder_layers;
  Array<float> decoder_bias;
  Norm decoder_norm;                 // pre-norm models only
  Linear lm_head;                    // [hidden_size, vocab_size]
  Array<std::int8_t> lm_head_table;  // its columns for GatheredS8, see add_candidate_table()

  // Bytes held, shared tables counted once.
  std::size_t bytes() const;
};

// Packs the tensors of `source`. Throws std::invalid_argument if `config` is not sound, or if a tensor is
// missing, has another shape than `config` asks for, or is left over; and whatever reading one throws.
Weights load_weights(const ModelConfig& config, WeightType type, TensorSource& source);

// Raise it with any change of what visit_arrays() visits, or of how a panel lies in memory: packed weights
// are kept in files, and those of another layout are not read.
inline constexpr int kPackedLayout = 3;

// Calls visit(array) for each array of `weights` in a fixed order, shared ones each time they occur.
template <class WeightsT, class Visit>
void visit_arrays(WeightsT& weights, const Visit& visit) {
  const auto visit_panels = [&](auto& panels) {
    if (auto* f32 = std::get_if<PanelsF32>(&panels)) visit(f32->values);
    if (auto* bf16 = std::get_if<PanelsBf16>(&panels)) visit(bf16->values);
    if (auto* s8 = std::get_if<PanelsS8>(&panels)) {
      visit(s8->values);
      visit(s8->scales);
      visit(s8->zero_points);
      visit(s8->column_sums);
    }
  };
  const auto visit_linear = [&](auto& linear) {
    visit_panels(linear.panels);
    visit(linear.bias);
  };
  const auto visit_norm = [&](auto& norm) {
    if (auto* layer = std::get_if<LayerNorm>(&norm)) {
      visit(layer->gamma);
      visit(layer->beta);
    }
    if (auto* rms = std::get_if<RmsNorm>(&norm)) visit(rms->gamma);
  };
  const auto visit_embedding = [&](auto& embedding) {
    visit_panels(embedding.tokens);
    visit(embedding.positions);
    if (embedding.norm) visit_norm(*embedding.norm);
  };
  const auto visit_self_attention = [&](auto& part) {
    visit_linear(part.query_key_value);
    visit_linear(part.output);
    visit_norm(part.norm);
  };
  const auto visit_history = [&](auto& history) {
    if (auto* attention = std::get_if<SelfAttentionWeights>(&history)) visit_self_attention(*attention);
    if (auto* ssru = std::get_if<SsruWeights>(&history)) {
      visit_linear(ssru->input_and_gate);
      visit_norm(ssru->norm);
    }
  };
  const auto visit_feed_forward = [&](auto& part) {
    if (auto* plain = std::get_if<Linear>(&part.up)) visit_linear(*plain);
    if (auto* gated = std::get_if<GatedLinear>(&part.up)) visit_linear(gated->gate_and_value);
    visit_linear(part.down);
    visit_norm(part.norm);
  };
  visit_linear(weights.lm_head);
  visit_embedding(weights.encoder_embedding);
  for (auto& layer : weights.encoder_layers) {
    visit_self_attention(layer.self_attention);
    visit_feed_forward(layer.feed_forward);
  }
  visit_norm(weights.encoder_norm);
  visit_linear(weights.classifier.dense);
  visit_linear(weights.classifier.output);
  visit_embedding(weights.decoder_embedding);
  visit(weights.rotary);
  for (auto& layer : weights.decoder_layers) {
    visit_history(layer.history);
    if (auto* attention = std::get_if<CrossAttentionWeights>(&layer.source)) {
      visit_linear(attention->query);
      visit_linear(attention->key_value);
      visit_linear(attention->output);
      visit_norm(attention->norm);
    }
    visit_feed_forward(layer.feed_forward);
  }
  visit_norm(weights.decoder_norm);
  if (weights.encoder_bias.size() > 0) visit(weights.encoder_bias);
  if (weights.decoder_bias.size() > 0) visit(weights.decoder_bias);
  if (weights.lm_head_table.size() > 0) visit(weights.lm_head_table);
}

}  // namespace pyengine
