#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "model/packing.h"

namespace pyengine {
namespace {

// A model of the same kind in the least sizes that leave a remainder of every block of the kernels.
ModelConfig smallest_of_kind(ModelConfig config) {
  config.hidden_size = 22;
  config.vocab_size = config.source_vocab_size = 35;
  config.max_positions = 9;
  config.position_offset = std::min(config.position_offset, 2);
  config.encoder_layers = std::min(config.encoder_layers, 1);
  config.decoder_layers = std::min(config.decoder_layers, 1);
  config.encoder_num_heads = config.decoder_num_heads = 2;
  const bool shares_keys = config.encoder_layers == 0 && config.decoder_num_key_value_heads > 0;
  config.decoder_num_key_value_heads = shares_keys ? 1 : 0;
  config.encoder_head_dim = config.decoder_head_dim = 6;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 37;
  config.relative_buckets = 8;
  config.relative_max_distance = 20;
  config.token_types = std::min(config.token_types, 2);
  config.num_labels = std::min(config.num_labels, 3);
  return config;
}

// Tensors of any name and shape. Their values are pseudorandom fractions of 256ths: floats on every machine.
class MadeUpTensors : public TensorSource {
 public:
  bool has(const std::string& name) const override { return name.ends_with(".bias"); }

  TensorView take_weight(const std::string& name, Shape shape) override {
    auto values = std::make_shared<std::vector<float>>(1);
    TensorView view;
    for (const std::int64_t extent : shape) {
      view.shape.push_back(extent);
      view.strides.assign(view.shape.size(), 1);
      if (view.shape.size() == 2) view.strides[0] = extent;
      values->resize(values->size() * static_cast<std::size_t>(extent));
    }
    std::uint32_t state = crc32c_by_tables(std::as_bytes(std::span(name)));
    for (float& value : *values) {
      state = state * 1664525 + 1013904223;  // Knuth's, as in Numerical Recipes
      value = static_cast<float>(static_cast<std::int32_t>(state) >> 23) / 256.0f;
    }
    view.data = values->data();
    view.owner = std::move(values);
    return view;
  }
};

}  // namespace

std::uint32_t packed_layout(const ModelConfig& config, WeightType type, bool candidate_table) {
  MadeUpTensors tensors;
  const Weights weights = pack_weights(smallest_of_kind(config), type, tensors, candidate_table);
  std::vector<std::uint32_t> facts;
  for (const Array<std::byte>& array : weights.arrays) {
    facts.push_back(static_cast<std::uint32_t>(array.bytes()));
    facts.push_back(crc32c_by_tables({array.data(), array.bytes()}));
  }
  return crc32c_by_tables(std::as_bytes(std::span(facts)));
}

}  // namespace pyengine
