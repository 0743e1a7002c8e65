// A small model with random weights, for tests that need numbers but no meaning.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "engine.h"
#include "model/packing.h"

namespace pyengine::testing {

inline ModelConfig small_config() {
  ModelConfig config;
  config.hidden_size = 24;
  config.vocab_size = 600;  // more than one run of the vocabulary reduction
  config.source_vocab_size = 50;
  config.max_positions = 48;
  config.encoder_layers = 2;
  config.decoder_layers = 2;
  config.encoder_num_heads = 3;
  config.decoder_num_heads = 2;
  config.encoder_head_dim = 8;
  config.decoder_head_dim = 12;
  config.encoder_ffn_dim = 40;
  config.decoder_ffn_dim = 33;
  config.embed_scale = 2.0f;
  return config;
}

// A decoder alone: rotary positions, keys that heads share.
inline ModelConfig decoder_config() {
  ModelConfig config = small_config();
  config.encoder_layers = 0;
  config.decoder_num_heads = 4;
  config.decoder_num_key_value_heads = 2;
  config.position_kind = PositionKind::kRotary;
  config.norm_kind = NormKind::kRmsNorm;
  config.normalize_before = true;
  config.gated_ffn = true;
  return config;
}

// Owns the memory of its tensors.
class RandomModel {
 public:
  explicit RandomModel(const ModelConfig& config, unsigned seed = 1) : config_(config), random_(seed) {
    add_stack("encoder", config.source_vocab_size, config.encoder_layers, config.encoder_ffn_dim, false);
    add_stack("decoder", config.vocab_size, config.decoder_layers, config.decoder_ffn_dim, true);
    if (config.decoder_layers == 0) return;
    if (config.position_kind == PositionKind::kRotary) {
      add("decoder.rotary.weight", {config.decoder_head_dim / 2}, 0.3f);
    }
    add("lm_head.weight", {config.hidden_size, config.vocab_size}, 1.0f);
    add("lm_head.bias", {config.vocab_size}, 1.0f);
  }

  NamedTensors& tensors() { return tensors_; }
  Weights weights(WeightType type = WeightType::kFloat32) { return load_weights(config_, type, tensors_); }

 private:
  void add(const std::string& name, std::vector<std::int64_t> shape, float scale, float mean = 0.0f) {
    std::int64_t size = 1;
    for (const std::int64_t extent : shape) size *= extent;
    std::vector<float>& data = memory_.emplace_back(static_cast<std::size_t>(size));
    std::normal_distribution<float> normal(mean, scale);
    for (float& value : data) value = normal(random_);
    std::vector<std::int64_t> strides(shape.size(), 1);
    if (shape.size() == 2) strides[0] = shape[1];
    const TensorView view{data.data(), shape, strides, nullptr};
    tensors_.add(name, [view] { return view; });
  }

  void add_linear(const std::string& name, int in_features, int out_features) {
    add(name + ".weight", {in_features, out_features}, 0.3f);
    add(name + ".bias", {out_features}, 0.3f);
  }

  void add_norm(const std::string& name) {
    add(name + ".weight", {config_.hidden_size}, 0.1f, 1.0f);
    if (config_.norm_kind == NormKind::kLayerNorm) add(name + ".bias", {config_.hidden_size}, 0.1f);
  }

  void add_attention(const std::string& name, int attention_size, int key_value_size) {
    add_linear(name + ".q_proj", config_.hidden_size, attention_size);
    add_linear(name + ".k_proj", config_.hidden_size, key_value_size);
    add_linear(name + ".v_proj", config_.hidden_size, key_value_size);
    add_linear(name + ".out_proj", attention_size, config_.hidden_size);
    add_norm(name + "_layer_norm");
  }

  void add_ssru(const std::string& layer) {
    add(layer + ".ssru.in_proj.weight", {config_.hidden_size, config_.hidden_size}, 0.3f);
    add_linear(layer + ".ssru.gate", config_.hidden_size, config_.hidden_size);
    add_norm(layer + ".ssru_layer_norm");
  }

  void add_stack(const std::string& stack, int vocab_size, int num_layers, int ffn_dim, bool is_decoder) {
    if (num_layers == 0) return;
    add(stack + ".embed_tokens.weight", {vocab_size, config_.hidden_size}, 0.5f);
    if (config_.position_kind == PositionKind::kTable) {
      const int rows = config_.max_positions + config_.position_offset;
      add(stack + ".embed_positions.weight", {rows, config_.hidden_size}, 0.5f);
    }
    if (config_.position_kind == PositionKind::kRelative) {
      const int num_heads = is_decoder ? config_.decoder_num_heads : config_.encoder_num_heads;
      add(stack + ".relative_attention_bias.weight", {config_.relative_buckets, num_heads}, 1.0f);
    }
    if (config_.normalize_embeddings) add_norm(stack + ".layernorm_embedding");
    const int attention_size =
        is_decoder ? config_.decoder_attention_size() : config_.encoder_attention_size();
    const int key_value_size = is_decoder ? config_.decoder_key_value_size() : attention_size;
    for (int i = 0; i < num_layers; ++i) {
      const std::string layer = stack + ".layers." + std::to_string(i);
      if (is_decoder && config_.decoder_kind == DecoderKind::kSsru) {
        add_ssru(layer);
      } else {
        add_attention(layer + ".self_attn", attention_size, key_value_size);
      }
      if (is_decoder && config_.encoder_layers > 0) {
        add_attention(layer + ".encoder_attn", attention_size, attention_size);
      }
      if (config_.gated_ffn) add_linear(layer + ".gate", config_.hidden_size, ffn_dim);
      add_linear(layer + ".fc1", config_.hidden_size, ffn_dim);
      add_linear(layer + ".fc2", ffn_dim, config_.hidden_size);
      add_norm(layer + ".final_layer_norm");
    }
    if (config_.normalize_before) add_norm(stack + ".layer_norm");
  }

  ModelConfig config_;
  std::mt19937 random_;
  std::deque<std::vector<float>> memory_;
  NamedTensors tensors_;
};

// Every variant at once that no other test has: as a T5 with the embeddings of a BART.
inline ModelConfig unusual_config() {
  ModelConfig config = small_config();
  config.encoder_head_dim = 20;
  config.decoder_head_dim = 7;
  config.activation = Activation::kGeluTanh;
  config.gated_ffn = true;
  config.norm_kind = NormKind::kRmsNorm;
  config.normalize_before = true;
  config.normalize_embeddings = true;
  config.position_kind = PositionKind::kRelative;
  config.relative_buckets = 8;
  config.relative_max_distance = 20;
  config.scale_attention = false;
  config.logit_scale = 0.25f;
  return config;
}

inline GenerationOptions small_options(int num_beams, int max_length = 14) {
  GenerationOptions options;
  options.num_beams = num_beams;
  options.num_return_sequences = num_beams;
  options.max_length = max_length;
  options.decoder_start_token_id = 1;
  options.eos_token_ids = {2};
  return options;
}

// `count` sources of 1 to `max_size` random ids.
struct Sources {
  std::vector<std::int32_t> values;
  std::vector<std::int64_t> offsets{0};

  Sources(int count, int max_size, int vocab_size, unsigned seed = 7) {
    std::mt19937 random(seed);
    for (int i = 0; i < count; ++i) {
      const int size = 1 + static_cast<int>(random() % max_size);
      for (int j = 0; j < size; ++j) values.push_back(static_cast<std::int32_t>(random() % vocab_size));
      offsets.push_back(static_cast<std::int64_t>(values.size()));
    }
  }
  Ragged ragged() const { return {values, offsets}; }
  std::vector<std::int32_t> source(int index) const {
    return {values.begin() + offsets[index], values.begin() + offsets[index + 1]};
  }
};

inline const Interrupts never{};

inline std::vector<std::vector<Hypothesis>> generate(Engine& engine, const Ragged& sources,
                                                     const GenerationOptions& options, int batch_size) {
  return engine.generate(sources, options, batch_size, never);
}

inline bool equal(const std::vector<Hypothesis>& a, const std::vector<Hypothesis>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].ids != b[i].ids || a[i].score != b[i].score) return false;
  }
  return true;
}

}  // namespace pyengine::testing
