#include "model/mapped_weights.h"

#include <stdexcept>
#include <string>

#include "kernels/pack.h"

namespace pyengine {
namespace {

// Makes the parts of a model whose arrays have their sizes, and no memory yet.
class Outline {
 public:
  Outline(const ModelConfig& config, WeightType type) : config_(config), type_(type) {}

  Linear linear(int in_features, int out_features) const {
    return {in_features, out_features, panels(in_features, out_features),
            sized<float>(static_cast<std::size_t>(out_features))};
  }

  LayerNorm layer_norm() const { return {vector(), vector()}; }

  Embedding embedding(int vocab_size) const {
    const std::size_t positions = static_cast<std::size_t>(config_.max_positions) * config_.hidden_size;
    return {panels(config_.hidden_size, vocab_size), sized<float>(positions)};
  }

  SelfAttentionWeights self_attention() const {
    const int size = config_.hidden_size;
    return {linear(size, 3 * size), linear(size, size), layer_norm()};
  }

  HistoryWeights history() const {
    const int size = config_.hidden_size;
    if (config_.decoder_kind == DecoderKind::kSsru) return SsruWeights{linear(size, 2 * size), layer_norm()};
    return self_attention();
  }

  CrossAttentionWeights cross_attention() const {
    const int size = config_.hidden_size;
    return {linear(size, size), linear(size, 2 * size), linear(size, size), layer_norm()};
  }

  FeedForwardWeights feed_forward(int ffn_dim) const {
    const int size = config_.hidden_size;
    return {linear(size, ffn_dim), linear(ffn_dim, size), layer_norm()};
  }

 private:
  template <class T>
  static Array<T> sized(std::size_t size) {
    return Array<T>(nullptr, nullptr, size);
  }

  Array<float> vector() const { return sized<float>(static_cast<std::size_t>(config_.hidden_size)); }

  Panels panels(int depth, int columns) const {
    const auto values = static_cast<std::size_t>(packed_size(depth, columns));
    switch (type_) {
      case WeightType::kInt8:
        return PanelsS8{sized<std::int8_t>(static_cast<std::size_t>(packed_size_s8(depth, columns))),
                        sized<float>(static_cast<std::size_t>(columns)),
                        sized<std::int32_t>(static_cast<std::size_t>(columns))};
      case WeightType::kBfloat16:
        return PanelsBf16{sized<Bfloat16>(values)};
      default:
        return PanelsF32{sized<float>(values)};
    }
  }

  const ModelConfig& config_;
  WeightType type_;
};

Weights outline_weights(const ModelConfig& config, WeightType type) {
  const Outline outline(config, type);
  Weights weights;
  weights.encoder_embedding = outline.embedding(config.source_vocab_size);
  weights.encoder_layers.assign(config.encoder_layers,
                                {outline.self_attention(), outline.feed_forward(config.encoder_ffn_dim)});
  weights.decoder_embedding = outline.embedding(config.vocab_size);
  weights.decoder_layers.assign(config.decoder_layers, {outline.history(), outline.cross_attention(),
                                                        outline.feed_forward(config.decoder_ffn_dim)});
  if (config.normalize_before) {
    weights.encoder_norm = outline.layer_norm();
    weights.decoder_norm = outline.layer_norm();
  }
  weights.lm_head = outline.linear(config.hidden_size, config.vocab_size);
  return weights;
}

void check(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument("packed weights: " + message);
}

}  // namespace

Weights map_weights(const ModelConfig& config, WeightType type, std::shared_ptr<const void> owner,
                    std::span<const std::byte> bytes, std::span<const std::uint64_t> offsets) {
  check_config(config);
  check(reinterpret_cast<std::uintptr_t>(bytes.data()) % kAlignment == 0, "the memory is not aligned");
  Weights weights = outline_weights(config, type);
  std::size_t index = 0;
  visit_arrays(weights, [&]<class T>(Array<T>& array) {
    const std::string name = "array " + std::to_string(index);
    check(index < offsets.size(), name + " has no offset");
    const std::uint64_t offset = offsets[index++];
    check(offset % kAlignment == 0, name + " is not aligned");
    check(offset <= bytes.size() && array.bytes() <= bytes.size() - offset,
          name + " ends beyond the " + std::to_string(bytes.size()) + " bytes");
    array = Array<T>(owner, reinterpret_cast<const T*>(bytes.data() + offset), array.size());
  });
  check(index == offsets.size(),
        "found " + std::to_string(offsets.size()) + " arrays, expected " + std::to_string(index));
  return weights;
}

}  // namespace pyengine
