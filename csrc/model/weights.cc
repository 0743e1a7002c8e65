#include "model/weights.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/pack.h"

namespace pyengine {
namespace {

using Sizes = std::initializer_list<std::int64_t>;

AlignedBuffer<float> copy_vector(const TensorView& tensor) {
  AlignedBuffer<float> copy(static_cast<std::size_t>(tensor.shape[0]));
  for (std::int64_t i = 0; i < tensor.shape[0]; ++i) copy.data()[i] = tensor.data[i * tensor.strides[0]];
  return copy;
}

AlignedBuffer<float> copy_matrix(const TensorView& tensor) {
  const std::int64_t rows = tensor.shape[0], columns = tensor.shape[1];
  AlignedBuffer<float> copy(static_cast<std::size_t>(rows * columns));
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* source = tensor.data + row * tensor.strides[0];
    float* target = copy.data() + row * columns;
    for (std::int64_t i = 0; i < columns; ++i) target[i] = source[i * tensor.strides[1]];
  }
  return copy;
}

bool same_memory(const TensorView& a, const TensorView& b) {
  return a.data == b.data && a.shape == b.shape && a.strides == b.strides;
}

// Reads the parts of a model from a TensorSource; every method takes the canonical name of its part.
class Loader {
 public:
  Loader(const ModelConfig& config, TensorSource& source) : config_(config), source_(source) {}

  // One product for several projections of the same input: [in, sum of outs], in the order of `names`.
  Linear linear(const std::vector<std::string>& names, int in_features, int out_features_each) {
    const int count = static_cast<int>(names.size());
    Linear result{in_features, count * out_features_each, {}, {}};
    result.panels = AlignedBuffer<float>(packed_size(in_features, result.out_features));
    result.bias = AlignedBuffer<float>(static_cast<std::size_t>(result.out_features));
    std::fill_n(result.bias.data(), result.out_features, 0.0f);
    AlignedBuffer<float> joined;
    if (count > 1) joined = AlignedBuffer<float>(static_cast<std::size_t>(in_features) * result.out_features);
    for (int i = 0; i < count; ++i) {
      const TensorView& weight = source_.take(names[i] + ".weight", {in_features, out_features_each});
      const int first_column = i * out_features_each;
      if (count > 1) {
        copy_columns(weight, joined.data() + first_column, result.out_features);
      } else {
        pack(weight.data, weight.strides[0], weight.strides[1], in_features, out_features_each,
             result.panels.data());
      }
      copy_bias(names[i] + ".bias", out_features_each, result.bias.data() + first_column);
    }
    if (count > 1) {
      pack(joined.data(), result.out_features, 1, in_features, result.out_features, result.panels.data());
    }
    return result;
  }

  LayerNorm layer_norm(const std::string& name) {
    const Sizes shape{config_.hidden_size};
    return {copy_vector(source_.take(name + ".weight", shape)),
            copy_vector(source_.take(name + ".bias", shape))};
  }

  Embedding embedding(const std::string& stack, int vocab_size) {
    const TensorView& tokens =
        source_.take(stack + ".embed_tokens.weight", {vocab_size, config_.hidden_size});
    const TensorView& positions =
        source_.take(stack + ".embed_positions.weight", {config_.max_positions, config_.hidden_size});
    if (!same_memory(tokens, shared_source_)) {
      shared_source_ = tokens;
      shared_tokens_ = std::make_shared<const AlignedBuffer<float>>(copy_matrix(tokens));
    }
    return {shared_tokens_, copy_matrix(positions)};
  }

  SelfAttentionWeights self_attention(const std::string& layer) {
    const std::string name = layer + ".self_attn";
    const int size = config_.hidden_size;
    return {linear({name + ".q_proj", name + ".k_proj", name + ".v_proj"}, size, size),
            linear({name + ".out_proj"}, size, size), layer_norm(name + "_layer_norm")};
  }

  CrossAttentionWeights cross_attention(const std::string& layer) {
    const std::string name = layer + ".encoder_attn";
    const int size = config_.hidden_size;
    return {linear({name + ".q_proj"}, size, size), linear({name + ".k_proj", name + ".v_proj"}, size, size),
            linear({name + ".out_proj"}, size, size), layer_norm(name + "_layer_norm")};
  }

  FeedForwardWeights feed_forward(const std::string& layer, int ffn_dim) {
    return {linear({layer + ".fc1"}, config_.hidden_size, ffn_dim),
            linear({layer + ".fc2"}, ffn_dim, config_.hidden_size), layer_norm(layer + ".final_layer_norm")};
  }

 private:
  static void copy_columns(const TensorView& weight, float* target, std::int64_t target_stride) {
    for (std::int64_t row = 0; row < weight.shape[0]; ++row) {
      const float* source = weight.data + row * weight.strides[0];
      for (std::int64_t i = 0; i < weight.shape[1]; ++i) {
        target[row * target_stride + i] = source[i * weight.strides[1]];
      }
    }
  }

  void copy_bias(const std::string& name, int size, float* target) {
    if (!source_.has(name)) return;
    const TensorView& bias = source_.take(name, {size});
    for (int i = 0; i < size; ++i) target[i] = bias.data[i * bias.strides[0]];
  }

  const ModelConfig& config_;
  TensorSource& source_;
  TensorView shared_source_;  // what shared_tokens_ was copied from
  std::shared_ptr<const AlignedBuffer<float>> shared_tokens_;
};

std::size_t bytes_of(const Linear& linear) { return linear.panels.bytes() + linear.bias.bytes(); }
std::size_t bytes_of(const LayerNorm& norm) { return norm.gamma.bytes() + norm.beta.bytes(); }
std::size_t bytes_of(const SelfAttentionWeights& part) {
  return bytes_of(part.query_key_value) + bytes_of(part.output) + bytes_of(part.norm);
}
std::size_t bytes_of(const CrossAttentionWeights& part) {
  return bytes_of(part.query) + bytes_of(part.key_value) + bytes_of(part.output) + bytes_of(part.norm);
}
std::size_t bytes_of(const FeedForwardWeights& part) {
  return bytes_of(part.up) + bytes_of(part.down) + bytes_of(part.norm);
}

}  // namespace

std::size_t Weights::bytes() const {
  std::size_t total = encoder_embedding.tokens->bytes() + encoder_embedding.positions.bytes() +
                      decoder_embedding.positions.bytes() + bytes_of(encoder_norm) + bytes_of(decoder_norm) +
                      bytes_of(lm_head);
  if (decoder_embedding.tokens != encoder_embedding.tokens) total += decoder_embedding.tokens->bytes();
  for (const EncoderLayerWeights& layer : encoder_layers) {
    total += bytes_of(layer.self_attention) + bytes_of(layer.feed_forward);
  }
  for (const DecoderLayerWeights& layer : decoder_layers) {
    total += bytes_of(layer.self_attention) + bytes_of(layer.cross_attention) + bytes_of(layer.feed_forward);
  }
  return total;
}

Weights load_weights(const ModelConfig& config, TensorSource& source) {
  Loader loader(config, source);
  Weights weights;
  weights.encoder_embedding = loader.embedding("encoder", config.source_vocab_size);
  weights.decoder_embedding = loader.embedding("decoder", config.vocab_size);
  for (int i = 0; i < config.encoder_layers; ++i) {
    const std::string name = "encoder.layers." + std::to_string(i);
    weights.encoder_layers.push_back(
        {loader.self_attention(name), loader.feed_forward(name, config.encoder_ffn_dim)});
  }
  for (int i = 0; i < config.decoder_layers; ++i) {
    const std::string name = "decoder.layers." + std::to_string(i);
    weights.decoder_layers.push_back({loader.self_attention(name), loader.cross_attention(name),
                                      loader.feed_forward(name, config.decoder_ffn_dim)});
  }
  if (config.normalize_before) {
    weights.encoder_norm = loader.layer_norm("encoder.layer_norm");
    weights.decoder_norm = loader.layer_norm("decoder.layer_norm");
  }
  weights.lm_head = loader.linear({"lm_head"}, config.hidden_size, config.vocab_size);
  source.check_all_taken();
  return weights;
}

}  // namespace pyengine
