#include "model/weight_plan.h"

#include <algorithm>
#include <utility>

#include "model/relative_bias.h"
#include "model/rotary.h"
#include "model/shortlist.h"

namespace pyengine {
namespace {

// The parts of a model; every method takes the canonical name of its part.
class Plan {
 public:
  Plan(const ModelConfig& config, WeightSource& source) : config_(config), source_(source) {}

  // The largest arrays first, while there is little beside them.
  Weights weights(bool candidate_table) {
    Weights result;
    const bool encodes = config_.encoder_layers > 0, decodes = config_.decoder_layers > 0;
    if (encodes) result.encoder_embedding = embedding("encoder", config_.source_vocab_size);
    if (decodes) {
      result.decoder_embedding = embedding("decoder", config_.vocab_size);
      result.lm_head = lm_head();
    }
    source_.end_vocabularies();
    if (encodes) add_encoder(result);
    if (decodes) add_decoder(result);
    if (candidate_table && candidate_table_size(result.lm_head) > 0) {
      result.lm_head_table = source_.candidate_table(result.lm_head);
    }
    result.arrays = source_.arrays();
    return result;
  }

 private:
  void add_encoder(Weights& weights) {
    const int attention_size = config_.encoder_attention_size();
    for (int i = 0; i < config_.encoder_layers; ++i) {
      const std::string layer = "encoder.layers." + std::to_string(i);
      SelfAttentionWeights attention = self_attention(layer, attention_size, attention_size);
      weights.encoder_layers.push_back({std::move(attention), feed_forward(layer, config_.encoder_ffn_dim)});
    }
    weights.encoder_bias = relative_bias("encoder", Sight::kBothWays, config_.encoder_num_heads);
    if (config_.normalize_before) weights.encoder_norm = norm("encoder.layer_norm");
    if (config_.num_labels > 0) weights.classifier = classifier();
  }

  void add_decoder(Weights& weights) {
    if (config_.position_kind == PositionKind::kRotary) weights.rotary = rotary();
    for (int i = 0; i < config_.decoder_layers; ++i) {
      const std::string layer = "decoder.layers." + std::to_string(i);
      HistoryWeights past = history(layer);
      SourceWeights attention = source_attention(layer);
      weights.decoder_layers.push_back(
          {std::move(past), std::move(attention), feed_forward(layer, config_.decoder_ffn_dim)});
    }
    weights.decoder_bias = relative_bias("decoder", Sight::kBackwards, config_.decoder_num_heads);
    if (config_.normalize_before) weights.decoder_norm = norm("decoder.layer_norm", config_.logit_scale);
  }

  Linear linear(const std::string& name, int in_features, int out_features) {
    return source_.linear({{name, out_features}}, in_features);
  }

  // What the norm gives is multiplied by `scale`.
  Norm norm(const std::string& name, float scale = 1.0f) {
    Array<float> gamma = scaled_vector(name + ".weight", scale);
    if (config_.norm_kind == NormKind::kRmsNorm) return RmsNorm{std::move(gamma)};
    return LayerNorm{std::move(gamma), scaled_vector(name + ".bias", scale)};
  }

  Array<float> scaled_vector(const std::string& name, float scale) {
    const int size = config_.hidden_size;
    return source_.floats(static_cast<std::size_t>(size), [&](TensorSource& tensors, float* values) {
      const TensorView vector = tensors.take(name, {size});
      for (int i = 0; i < size; ++i) values[i] = vector.data[i * vector.strides[0]] * scale;
    });
  }

  Embedding embedding(const std::string& stack, int vocab_size) {
    const Projection tokens{stack + ".embed_tokens", vocab_size};
    Embedding result{source_.vocabulary(tokens, config_.hidden_size, true), {}, {}};
    if (config_.position_kind == PositionKind::kTable) {
      const bool has_types = stack == "encoder" && config_.token_types > 0;
      result.positions = has_types ? typed_positions() : positions(stack);
    }
    if (config_.normalize_embeddings) result.norm = norm(stack + ".layernorm_embedding");
    return result;
  }

  // What is added to a token for its position.
  Array<float> positions(const std::string& stack) {
    const std::int64_t size = config_.hidden_size, num_rows = config_.position_rows();
    return source_.floats(static_cast<std::size_t>(num_rows * size), [&](TensorSource& tensors, float* rows) {
      const TensorView table = tensors.take(stack + ".embed_positions.weight", {num_rows, size});
      copy_rows(table, table.data, rows, size);
    });
  }

  // The same of an encoder with token types, for each type.
  Array<float> typed_positions() {
    const std::int64_t size = config_.hidden_size, num_rows = config_.position_rows();
    const std::int64_t num_types = config_.token_types;
    const auto fill = [&](TensorSource& tensors, float* row) {
      const TensorView table = tensors.take("encoder.embed_positions.weight", {num_rows, size});
      const TensorView types = tensors.take("encoder.embed_types.weight", {num_types, size});
      for (std::int64_t type = 0; type < num_types; ++type) {
        for (std::int64_t position = 0; position < num_rows; ++position, row += size) {
          for (std::int64_t i = 0; i < size; ++i) {
            row[i] = table.data[position * table.strides[0] + i * table.strides[1]] +
                     types.data[type * types.strides[0] + i * types.strides[1]];
          }
        }
      }
    };
    return source_.floats(static_cast<std::size_t>(num_types * num_rows * size), fill);
  }

  Array<float> relative_bias(const std::string& stack, Sight sight, int num_heads) {
    if (config_.position_kind != PositionKind::kRelative) return {};
    const auto size = static_cast<std::size_t>(num_heads * bias_row_size(config_, sight));
    return source_.floats(size, [&](TensorSource& tensors, float* bias) {
      const std::string name = stack + ".relative_attention_bias.weight";
      fill_relative_bias(config_, sight, tensors.take(name, {config_.relative_buckets, num_heads}), bias);
    });
  }

  // The angles of every position, from the inverse frequencies in the file.
  Array<float> rotary() {
    const int num_angles = config_.decoder_head_dim / 2;
    const auto size = static_cast<std::size_t>(config_.max_positions) * config_.decoder_head_dim;
    return source_.floats(size, [&](TensorSource& tensors, float* table) {
      const TensorView view = tensors.take("decoder.rotary.weight", {num_angles});
      std::vector<float> frequencies(static_cast<std::size_t>(num_angles));
      for (int i = 0; i < num_angles; ++i) frequencies[i] = view.data[i * view.strides[0]];
      fill_rotary(frequencies.data(), num_angles, config_.max_positions, table);
    });
  }

  Linear lm_head() {
    const Projection columns{"lm_head", config_.vocab_size};
    Panels panels = source_.vocabulary(columns, config_.hidden_size, false);
    Array<float> bias = source_.biases({columns});
    return {config_.hidden_size, config_.vocab_size, std::move(panels), std::move(bias)};
  }

  SelfAttentionWeights self_attention(const std::string& layer, int attention_size, int key_value_size) {
    const std::string name = layer + ".self_attn";
    const int size = config_.hidden_size;
    const std::vector<Projection> parts{{name + ".q_proj", attention_size},
                                        {name + ".k_proj", key_value_size},
                                        {name + ".v_proj", key_value_size}};
    Linear query_key_value = source_.linear(parts, size, name + ".qkv_proj");
    Linear output = linear(name + ".out_proj", attention_size, size);
    return {std::move(query_key_value), std::move(output), norm(name + "_layer_norm")};
  }

  SsruWeights ssru(const std::string& layer) {
    const int size = config_.hidden_size;
    Linear both = source_.linear({{layer + ".ssru.in_proj", size}, {layer + ".ssru.gate", size}}, size);
    return {std::move(both), norm(layer + ".ssru_layer_norm")};
  }

  HistoryWeights history(const std::string& layer) {
    if (config_.decoder_kind == DecoderKind::kSsru) return ssru(layer);
    return self_attention(layer, config_.decoder_attention_size(), config_.decoder_key_value_size());
  }

  SourceWeights source_attention(const std::string& layer) {
    if (config_.encoder_layers == 0) return NoSource{};
    const std::string name = layer + ".encoder_attn";
    const int size = config_.hidden_size, attention_size = config_.decoder_attention_size();
    Linear query = linear(name + ".q_proj", size, attention_size);
    Linear key_value =
        source_.linear({{name + ".k_proj", attention_size}, {name + ".v_proj", attention_size}}, size);
    Linear output = linear(name + ".out_proj", attention_size, size);
    return CrossAttentionWeights{std::move(query), std::move(key_value), std::move(output),
                                 norm(name + "_layer_norm")};
  }

  ClassifierWeights classifier() {
    const int size = config_.hidden_size;
    Linear dense = linear("encoder.classifier.dense", size, size);
    return {std::move(dense), linear("encoder.classifier.out_proj", size, config_.num_labels)};
  }

  FeedForwardWeights feed_forward(const std::string& layer, int ffn_dim) {
    const int size = config_.hidden_size;
    FeedForwardWeights result;
    if (config_.gated_ffn) {
      result.up = GatedLinear{source_.linear({{layer + ".gate", ffn_dim}, {layer + ".fc1", ffn_dim}}, size)};
    } else {
      result.up = linear(layer + ".fc1", size, ffn_dim);
    }
    result.down = linear(layer + ".fc2", ffn_dim, size);
    result.norm = norm(layer + ".final_layer_norm");
    return result;
  }

  const ModelConfig& config_;
  WeightSource& source_;
};

}  // namespace

Linear WeightSource::linear(const std::vector<Projection>& parts, int depth, const std::string& joined) {
  const int columns = total_features(parts);
  if (!joined.empty() && has(joined + ".weight")) return linear({{joined, columns}}, depth);
  Panels panels = noted(make_panels(parts, depth));
  return {depth, columns, std::move(panels), biases(parts)};
}

Array<float> WeightSource::biases(const std::vector<Projection>& parts) {
  const auto size = static_cast<std::size_t>(total_features(parts));
  return floats(size,
                [&](TensorSource& tensors, float* bias) { take_vectors(tensors, parts, ".bias", bias); });
}

Weights plan_weights(const ModelConfig& config, WeightSource& source, bool candidate_table) {
  check_config(config);
  return Plan(config, source).weights(candidate_table);
}

}  // namespace pyengine
