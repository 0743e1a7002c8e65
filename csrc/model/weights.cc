#include "model/weights.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/pack.h"
#include "model/relative_bias.h"
#include "model/rotary.h"

namespace pyengine {
namespace {

using Sizes = std::initializer_list<std::int64_t>;

Array<float> copy_vector(const TensorView& tensor, float scale = 1.0f) {
  AlignedBuffer<float> copy(static_cast<std::size_t>(tensor.shape[0]));
  for (std::int64_t i = 0; i < tensor.shape[0]; ++i) {
    copy.data()[i] = tensor.data[i * tensor.strides[0]] * scale;
  }
  return Array<float>(std::move(copy));
}

// Copies a matrix, whose values begin at `data`, into rows that lie target_stride apart.
template <class T>
void copy_rows(const TensorView& matrix, const T* data, T* target, std::int64_t target_stride) {
  for (std::int64_t row = 0; row < matrix.shape[0]; ++row) {
    const T* source = data + row * matrix.strides[0];
    for (std::int64_t i = 0; i < matrix.shape[1]; ++i) {
      target[row * target_stride + i] = source[i * matrix.strides[1]];
    }
  }
}

TensorView transposed(TensorView matrix) {
  std::swap(matrix.shape[0], matrix.shape[1]);
  std::swap(matrix.strides[0], matrix.strides[1]);
  return matrix;
}

bool same_memory(const TensorView& a, const TensorView& b) {
  return a.data == b.data && a.quantized == b.quantized && a.shape == b.shape && a.strides == b.strides;
}

// What the integers of an int8 weight stand for, by column: scale * (value - zero point).
struct Steps {
  Array<float> scales;
  Array<std::int32_t> zero_points;
};

// Two tables of the same integers may differ in what these stand for.
bool has_steps(const Panels& panels, const Steps& steps) {
  const auto equal = [](const auto& a, const auto& b) {
    return std::equal(a.data(), a.data() + a.size(), b.data(), b.data() + b.size());
  };
  const auto& own = std::get<PanelsS8>(panels);
  return equal(own.scales, steps.scales) && equal(own.zero_points, steps.zero_points);
}

PanelsF32 pack_f32_panels(const TensorView& weight) {
  const std::int64_t depth = weight.shape[0], columns = weight.shape[1];
  AlignedBuffer<float> values(static_cast<std::size_t>(packed_size(depth, columns)));
  pack(weight.data, weight.strides[0], weight.strides[1], depth, columns, values.data());
  return {Array<float>(std::move(values))};
}

PanelsBf16 pack_bf16_panels(const TensorView& weight) {
  const std::int64_t depth = weight.shape[0], columns = weight.shape[1];
  AlignedBuffer<Bfloat16> values(static_cast<std::size_t>(packed_size(depth, columns)));
  pack_bf16(weight.data, weight.strides[0], weight.strides[1], depth, columns, values.data());
  return {Array<Bfloat16>(std::move(values))};
}

PanelsS8 pack_s8_panels(const TensorView& weight) {
  const std::int64_t depth = weight.shape[0], columns = weight.shape[1];
  AlignedBuffer<std::int8_t> values(static_cast<std::size_t>(packed_size_s8(depth, columns)));
  AlignedBuffer<float> scales(static_cast<std::size_t>(columns));
  AlignedBuffer<std::int32_t> zero_points(static_cast<std::size_t>(columns));
  AlignedBuffer<std::int32_t> column_sums(static_cast<std::size_t>(columns));
  std::fill_n(zero_points.data(), columns, 0);
  pack_s8(weight.data, weight.strides[0], weight.strides[1], depth, columns, values.data(), scales.data(),
          column_sums.data());
  return {Array<std::int8_t>(std::move(values)), Array<float>(std::move(scales)),
          Array<std::int32_t>(std::move(zero_points)), Array<std::int32_t>(std::move(column_sums))};
}

PanelsS8 arrange_s8_panels(const TensorView& weight, Steps steps) {
  const std::int64_t depth = weight.shape[0], columns = weight.shape[1];
  AlignedBuffer<std::int8_t> values(static_cast<std::size_t>(packed_size_s8(depth, columns)));
  AlignedBuffer<std::int32_t> column_sums(static_cast<std::size_t>(columns));
  arrange_s8(weight.quantized, weight.strides[0], weight.strides[1], depth, columns, values.data(),
             column_sums.data());
  return {Array<std::int8_t>(std::move(values)), std::move(steps.scales), std::move(steps.zero_points),
          Array<std::int32_t>(std::move(column_sums))};
}

// Packs a float32 weight [depth, columns].
Panels pack_panels(WeightType type, const TensorView& weight) {
  switch (type) {
    case WeightType::kInt8:
      return pack_s8_panels(weight);
    case WeightType::kBfloat16:
      return pack_bf16_panels(weight);
    default:
      return pack_f32_panels(weight);
  }
}

// A projection: its canonical name and its outputs.
struct Projection {
  std::string name;
  int out_features;
};

// Reads the parts of a model from a TensorSource; every method takes the canonical name of its part.
class Loader {
 public:
  Loader(const ModelConfig& config, WeightType type, TensorSource& source)
      : config_(config), type_(type), source_(source) {}

  // One product for several projections of the same input, [in, sum of outs], in their order.
  Linear linear(const std::vector<Projection>& parts, int in_features) {
    Linear result{in_features, total(parts), {}, {}};
    TensorView weight = source_.take_weight(parts[0].name + ".weight", {in_features, parts[0].out_features});
    AlignedBuffer<float> floats;
    AlignedBuffer<std::int8_t> integers;
    if (parts.size() > 1) {
      weight = weight.quantized ? joined(parts, in_features, &TensorView::quantized, integers)
                                : joined(parts, in_features, &TensorView::data, floats);
    }
    result.panels = panels(weight, parts);
    result.bias = vectors(parts, ".bias");
    return result;
  }

  Linear linear(const std::string& name, int in_features, int out_features) {
    return linear({{name, out_features}}, in_features);
  }

  // What the norm gives is multiplied by `scale`.
  Norm norm(const std::string& name, float scale = 1.0f) {
    const Sizes shape{config_.hidden_size};
    Array<float> gamma = copy_vector(source_.take(name + ".weight", shape), scale);
    if (config_.norm_kind == NormKind::kRmsNorm) return RmsNorm{std::move(gamma)};
    return LayerNorm{std::move(gamma), copy_vector(source_.take(name + ".bias", shape), scale)};
  }

  Embedding embedding(const std::string& stack, int vocab_size) {
    const std::string name = stack + ".embed_tokens";
    const TensorView tokens = source_.take_weight(name + ".weight", {vocab_size, config_.hidden_size});
    Embedding result{vocabulary_panels(transposed(tokens), name), {}, {}};
    if (config_.position_kind == PositionKind::kTable) result.positions = positions(stack);
    if (config_.normalize_embeddings) result.norm = norm(stack + ".layernorm_embedding");
    return result;
  }

  // What is added to the token at each position: the position's row and, in an encoder with token types, that
  // of the first type.
  Array<float> positions(const std::string& stack) {
    const std::int64_t size = config_.hidden_size, offset = config_.position_offset;
    TensorView table =
        source_.take(stack + ".embed_positions.weight", {config_.max_positions + offset, size});
    table.shape[0] -= offset;
    table.data += offset * table.strides[0];
    AlignedBuffer<float> rows(static_cast<std::size_t>(table.shape[0] * size));
    copy_rows(table, table.data, rows.data(), size);
    if (stack == "encoder" && config_.token_types > 0) {
      const TensorView types = source_.take("encoder.embed_types.weight", {config_.token_types, size});
      for (std::size_t i = 0; i < rows.size(); ++i) rows.data()[i] += types.data[i % size * types.strides[1]];
    }
    return Array<float>(std::move(rows));
  }

  Array<float> relative_bias(const std::string& stack, Sight sight, int num_heads) {
    if (config_.position_kind != PositionKind::kRelative) return {};
    const Sizes shape{config_.relative_buckets, num_heads};
    return expand_relative_bias(config_, sight,
                                source_.take(stack + ".relative_attention_bias.weight", shape));
  }

  Linear lm_head() {
    Linear result{config_.hidden_size, config_.vocab_size, {}, {}};
    const Sizes shape{config_.hidden_size, config_.vocab_size};
    result.panels = vocabulary_panels(source_.take_weight("lm_head.weight", shape), "lm_head");
    result.bias = vectors({{"lm_head", config_.vocab_size}}, ".bias");
    return result;
  }

  // Lets go the memory that tied tables came from, once all of them are packed.
  void forget_vocabularies() { vocabularies_.clear(); }

  SelfAttentionWeights self_attention(const std::string& layer, int attention_size, int key_value_size) {
    const std::string name = layer + ".self_attn";
    return {query_key_value(name, attention_size, key_value_size),
            linear(name + ".out_proj", attention_size, config_.hidden_size), norm(name + "_layer_norm")};
  }

  // Stored as one weight in some families, as three in others.
  Linear query_key_value(const std::string& name, int attention_size, int key_value_size) {
    const int size = config_.hidden_size;
    if (source_.has(name + ".qkv_proj.weight")) {
      return linear(name + ".qkv_proj", size, attention_size + 2 * key_value_size);
    }
    return linear({{name + ".q_proj", attention_size},
                   {name + ".k_proj", key_value_size},
                   {name + ".v_proj", key_value_size}},
                  size);
  }

  SsruWeights ssru(const std::string& layer) {
    const int size = config_.hidden_size;
    return {linear({{layer + ".ssru.in_proj", size}, {layer + ".ssru.gate", size}}, size),
            norm(layer + ".ssru_layer_norm")};
  }

  HistoryWeights history(const std::string& layer) {
    if (config_.decoder_kind == DecoderKind::kSsru) return ssru(layer);
    return self_attention(layer, config_.decoder_attention_size(), config_.decoder_key_value_size());
  }

  SourceWeights source(const std::string& layer) {
    if (config_.encoder_layers == 0) return NoSource{};
    return cross_attention(layer);
  }

  // The angles of every position, from the inverse frequencies in the file.
  Array<float> rotary() {
    const int num_angles = config_.decoder_head_dim / 2;
    const TensorView view = source_.take("decoder.rotary.weight", {num_angles});
    AlignedBuffer<float> table(static_cast<std::size_t>(config_.max_positions) * config_.decoder_head_dim);
    fill_rotary(copy_vector(view).data(), num_angles, config_.max_positions, table.data());
    return Array<float>(std::move(table));
  }

  CrossAttentionWeights cross_attention(const std::string& layer) {
    const std::string name = layer + ".encoder_attn";
    const int size = config_.hidden_size, attention_size = config_.decoder_attention_size();
    return {linear(name + ".q_proj", size, attention_size),
            linear({{name + ".k_proj", attention_size}, {name + ".v_proj", attention_size}}, size),
            linear(name + ".out_proj", attention_size, size), norm(name + "_layer_norm")};
  }

  ClassifierWeights classifier() {
    const int size = config_.hidden_size;
    return {linear("encoder.classifier.dense", size, size),
            linear("encoder.classifier.out_proj", size, config_.num_labels)};
  }

  FeedForwardWeights feed_forward(const std::string& layer, int ffn_dim) {
    const int size = config_.hidden_size;
    FeedForwardWeights result;
    if (config_.gated_ffn) {
      result.up = GatedLinear{linear({{layer + ".gate", ffn_dim}, {layer + ".fc1", ffn_dim}}, size)};
    } else {
      result.up = linear(layer + ".fc1", size, ffn_dim);
    }
    result.down = linear(layer + ".fc2", ffn_dim, size);
    result.norm = norm(layer + ".final_layer_norm");
    return result;
  }

 private:
  static int total(const std::vector<Projection>& parts) {
    int sum = 0;
    for (const Projection& part : parts) sum += part.out_features;
    return sum;
  }

  // The weights of several projections side by side, [in, sum of outs], in `memory`; `data` is the member
  // that holds their values.
  template <class T>
  TensorView joined(const std::vector<Projection>& parts, std::int64_t depth, const T* TensorView::*data,
                    AlignedBuffer<T>& memory) {
    const std::int64_t columns = total(parts);
    memory = AlignedBuffer<T>(static_cast<std::size_t>(depth * columns));
    T* target = memory.data();
    for (const Projection& part : parts) {
      const TensorView weight = source_.take_weight(part.name + ".weight", {depth, part.out_features});
      if (weight.*data == nullptr) {
        throw std::invalid_argument("tensor " + part.name + ".weight is not of the type of " + parts[0].name +
                                    ".weight");
      }
      copy_rows(weight, weight.*data, target, columns);
      target += part.out_features;
    }
    TensorView view;
    view.*data = memory.data();
    view.shape = {depth, columns};
    view.strides = {columns, 1};
    return view;
  }

  // Packs a weight [depth, columns] whose columns are those of `parts`; what is int8 stays as it is.
  Panels panels(const TensorView& weight, const std::vector<Projection>& parts) {
    if (weight.quantized == nullptr) return pack_panels(type_, weight);
    if (type_ != WeightType::kInt8) {
      throw std::invalid_argument("tensor " + parts[0].name + ".weight is int8, expected float32");
    }
    return arrange_s8_panels(weight, steps(parts));
  }

  // The panels of a token table or of the output projection, [hidden_size, vocab]: held once where the model
  // ties them.
  Panels vocabulary_panels(const TensorView& weight, const std::string& name) {
    const std::vector<Projection> parts{{name, static_cast<int>(weight.shape[1])}};
    Steps own;
    if (weight.quantized != nullptr) own = steps(parts);
    for (const auto& [view, known] : vocabularies_) {
      if (same_memory(view, weight) && (weight.quantized == nullptr || has_steps(known, own))) return known;
    }
    vocabularies_.emplace_back(weight, panels(weight, parts));
    return vocabularies_.back().second;
  }

  // What the columns of an int8 weight stand for, those of all parts one after another.
  Steps steps(const std::vector<Projection>& parts) {
    const Array<float> integers = vectors(parts, ".weight_zero_point");
    AlignedBuffer<std::int32_t> zero_points(integers.size());
    std::transform(integers.data(), integers.data() + integers.size(), zero_points.data(),
                   [](float value) { return static_cast<std::int32_t>(value); });
    return {vectors(parts, ".weight_scale"), Array<std::int32_t>(std::move(zero_points))};
  }

  // The vectors name + suffix of all parts one after another, zeros where the model has none.
  Array<float> vectors(const std::vector<Projection>& parts, const char* suffix) {
    AlignedBuffer<float> joined(static_cast<std::size_t>(total(parts)));
    std::fill_n(joined.data(), joined.size(), 0.0f);
    float* target = joined.data();
    for (const Projection& part : parts) {
      if (source_.has(part.name + suffix)) {
        const TensorView vector = source_.take(part.name + suffix, {part.out_features});
        for (int n = 0; n < part.out_features; ++n) target[n] = vector.data[n * vector.strides[0]];
      }
      target += part.out_features;
    }
    return Array<float>(std::move(joined));
  }

  const ModelConfig& config_;
  WeightType type_;
  TensorSource& source_;
  // By where they came from. Keeps that memory, so that no other tensor can take its place.
  std::vector<std::pair<TensorView, Panels>> vocabularies_;
};

void load_encoder(const ModelConfig& config, Loader& loader, Weights& weights) {
  for (int i = 0; i < config.encoder_layers; ++i) {
    const std::string name = "encoder.layers." + std::to_string(i);
    weights.encoder_layers.push_back(
        {loader.self_attention(name, config.encoder_attention_size(), config.encoder_attention_size()),
         loader.feed_forward(name, config.encoder_ffn_dim)});
  }
  if (config.encoder_layers > 0) {
    weights.encoder_bias = loader.relative_bias("encoder", Sight::kBothWays, config.encoder_num_heads);
  }
  if (config.encoder_layers > 0 && config.normalize_before) {
    weights.encoder_norm = loader.norm("encoder.layer_norm");
  }
  if (config.num_labels > 0) weights.classifier = loader.classifier();
}

void load_decoder(const ModelConfig& config, Loader& loader, Weights& weights) {
  for (int i = 0; i < config.decoder_layers; ++i) {
    const std::string name = "decoder.layers." + std::to_string(i);
    weights.decoder_layers.push_back(
        {loader.history(name), loader.source(name), loader.feed_forward(name, config.decoder_ffn_dim)});
  }
  if (config.decoder_layers > 0) {
    weights.decoder_bias = loader.relative_bias("decoder", Sight::kBackwards, config.decoder_num_heads);
  }
  if (config.decoder_layers > 0 && config.normalize_before) {
    weights.decoder_norm = loader.norm("decoder.layer_norm", config.logit_scale);
  }
}

}  // namespace

std::size_t Weights::bytes() const {
  std::set<const void*> seen;
  std::size_t total = 0;
  visit_arrays(*this, [&](const auto& array) {
    if (seen.insert(array.data()).second) total += array.bytes();
  });
  return total;
}

Weights load_weights(const ModelConfig& config, WeightType type, TensorSource& source) {
  check_config(config);
  Loader loader(config, type, source);
  Weights weights;
  // The largest tensors first, while there is little beside them.
  if (config.encoder_layers > 0) {
    weights.encoder_embedding = loader.embedding("encoder", config.source_vocab_size);
  }
  if (config.decoder_layers > 0) {
    weights.decoder_embedding = loader.embedding("decoder", config.vocab_size);
    weights.lm_head = loader.lm_head();
    if (config.position_kind == PositionKind::kRotary) weights.rotary = loader.rotary();
  }
  loader.forget_vocabularies();
  load_encoder(config, loader, weights);
  load_decoder(config, loader, weights);
  source.check_all_taken();
  return weights;
}

}  // namespace pyengine
