#include "model/mapped_weights.h"

#include <map>
#include <stdexcept>
#include <string>

#include "kernels/pack.h"
#include "model/relative_bias.h"
#include "model/shortlist.h"

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

  Norm norm() const {
    if (config_.norm_kind == NormKind::kRmsNorm) return RmsNorm{vector()};
    return LayerNorm{vector(), vector()};
  }

  // `token_types` as in ModelConfig, 0 of a decoder.
  Embedding embedding(int vocab_size, int token_types) const {
    Embedding result{panels(config_.hidden_size, vocab_size), {}, {}};
    if (config_.position_kind == PositionKind::kTable) {
      const int num_tables = std::max(token_types, 1);
      result.positions =
          sized<float>(static_cast<std::size_t>(num_tables) * config_.position_rows() * config_.hidden_size);
    }
    if (config_.normalize_embeddings) result.norm = norm();
    return result;
  }

  Array<float> relative_bias(Sight sight, int num_heads) const {
    if (config_.position_kind != PositionKind::kRelative) return {};
    return sized<float>(static_cast<std::size_t>(num_heads * bias_row_size(config_, sight)));
  }

  SelfAttentionWeights self_attention(int attention_size, int key_value_size) const {
    const int size = config_.hidden_size;
    return {linear(size, attention_size + 2 * key_value_size), linear(attention_size, size), norm()};
  }

  HistoryWeights history() const {
    const int size = config_.hidden_size;
    if (config_.decoder_kind == DecoderKind::kSsru) return SsruWeights{linear(size, 2 * size), norm()};
    return self_attention(config_.decoder_attention_size(), config_.decoder_key_value_size());
  }

  SourceWeights source() const {
    if (config_.encoder_layers == 0) return NoSource{};
    return cross_attention();
  }

  Array<float> rotary() const {
    return sized<float>(static_cast<std::size_t>(config_.max_positions) * config_.decoder_head_dim);
  }

  CrossAttentionWeights cross_attention() const {
    const int size = config_.hidden_size, attention_size = config_.decoder_attention_size();
    return {linear(size, attention_size), linear(size, 2 * attention_size), linear(attention_size, size),
            norm()};
  }

  ClassifierWeights classifier() const {
    const int size = config_.hidden_size;
    return {linear(size, size), linear(size, config_.num_labels)};
  }

  FeedForwardWeights feed_forward(int ffn_dim) const {
    const int size = config_.hidden_size;
    FeedForwardWeights result{linear(size, ffn_dim), linear(ffn_dim, size), norm()};
    if (config_.gated_ffn) result.up = GatedLinear{linear(size, 2 * ffn_dim)};
    return result;
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
                        sized<std::int32_t>(static_cast<std::size_t>(columns)),
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
  if (config.encoder_layers > 0) {
    weights.encoder_embedding = outline.embedding(config.source_vocab_size, config.token_types);
    weights.encoder_layers.assign(
        config.encoder_layers,
        {outline.self_attention(config.encoder_attention_size(), config.encoder_attention_size()),
         outline.feed_forward(config.encoder_ffn_dim)});
    weights.encoder_bias = outline.relative_bias(Sight::kBothWays, config.encoder_num_heads);
    if (config.normalize_before) weights.encoder_norm = outline.norm();
    if (config.num_labels > 0) weights.classifier = outline.classifier();
  }
  if (config.decoder_layers > 0) {
    weights.decoder_embedding = outline.embedding(config.vocab_size, 0);
    if (config.position_kind == PositionKind::kRotary) weights.rotary = outline.rotary();
    weights.decoder_layers.assign(config.decoder_layers, {outline.history(), outline.source(),
                                                          outline.feed_forward(config.decoder_ffn_dim)});
    weights.decoder_bias = outline.relative_bias(Sight::kBackwards, config.decoder_num_heads);
    if (config.normalize_before) weights.decoder_norm = outline.norm();
    weights.lm_head = outline.linear(config.hidden_size, config.vocab_size);
  }
  return weights;
}

void check(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument("packed weights: " + message);
}

// Where the arrays of a model lie if they are as packing writes them: each at the end of those before, or in
// the place of an earlier one of its size, as tied tables are. Sizes are in bytes.
class Places {
 public:
  void add(const std::string& name, std::uint64_t offset, std::uint64_t size) {
    const auto earlier = sizes_.find(offset);
    const bool is_tied = earlier != sizes_.end() && earlier->second == size;
    if (size == 0 || is_tied) {
      check(size > 0 || offset == 0, name + " is empty and not at offset 0");
      return;
    }
    check(offset == end_,
          name + " is at offset " + std::to_string(offset) + ", expected " + std::to_string(end_));
    sizes_[offset] = size;
    end_ += (size + kAlignment - 1) / kAlignment * kAlignment;
  }

  std::uint64_t end() const { return end_; }

 private:
  std::map<std::uint64_t, std::uint64_t> sizes_;  // by offset
  std::uint64_t end_ = 0;
};

}  // namespace

Weights map_weights(const ModelConfig& config, WeightType type, bool candidate_table,
                    std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                    std::span<const std::uint64_t> offsets) {
  check_config(config);
  check(reinterpret_cast<std::uintptr_t>(bytes.data()) % kAlignment == 0, "the memory is not aligned");
  // Before memory is taken for them; every layer has more arrays than one.
  const auto num_layers = std::uint64_t{0} + config.encoder_layers + config.decoder_layers;
  check(num_layers <= offsets.size(), "found " + std::to_string(offsets.size()) +
                                          " arrays, expected more of " + std::to_string(num_layers) +
                                          " layers");
  Weights weights = outline_weights(config, type);
  if (candidate_table) {
    weights.lm_head_table = Array<std::int8_t>(nullptr, nullptr, candidate_table_size(weights.lm_head));
  }
  Places places;
  std::size_t index = 0;
  visit_arrays(weights, [&]<class T>(Array<T>& array) {
    const std::string name = "array " + std::to_string(index);
    check(index < offsets.size(), name + " has no offset");
    const std::uint64_t offset = offsets[index++];
    places.add(name, offset, array.bytes());
    check(offset <= bytes.size() && array.bytes() <= bytes.size() - offset,
          name + " ends beyond the " + std::to_string(bytes.size()) + " bytes");
    array = Array<T>(owner, reinterpret_cast<const T*>(bytes.data() + offset), array.size());
  });
  check(index == offsets.size(),
        "found " + std::to_string(offsets.size()) + " arrays, expected " + std::to_string(index));
  check(places.end() == bytes.size(),
        "found " + std::to_string(bytes.size()) + " bytes, expected " + std::to_string(places.end()));
  return weights;
}

}  // namespace pyengine
