#include "model/config.h"

#include <stdexcept>
#include <string>

namespace pyengine {
namespace {

void check_key_value_heads(const ModelConfig& config) {
  const int num_heads = config.decoder_num_heads, shared = config.decoder_key_value_heads();
  if (config.decoder_layers == 0) return;
  if (num_heads % shared != 0 || (config.encoder_layers > 0 && num_heads != shared)) {
    throw std::invalid_argument("decoder_num_key_value_heads is " + std::to_string(shared) +
                                ", which the model's " + std::to_string(num_heads) + " heads cannot share");
  }
  if (config.position_kind == PositionKind::kRotary &&
      (config.encoder_layers > 0 || config.decoder_head_dim % 2 != 0)) {
    throw std::invalid_argument("rotary positions: expected a decoder alone and heads of an even width");
  }
}

void check_relative_positions(const ModelConfig& config) {
  if (config.position_kind != PositionKind::kRelative) return;
  if (config.relative_buckets < 4) throw std::invalid_argument("relative_buckets is below 4");
  if (config.relative_max_distance <= config.relative_buckets / 2) {
    throw std::invalid_argument("relative_max_distance is not above half of relative_buckets");
  }
}

}  // namespace

void check_config(const ModelConfig& config) {
  const auto positive = [](int value, const char* name) {
    if (value > 0) return;
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) +
                                ", expected a positive number");
  };
  positive(config.hidden_size, "hidden_size");
  positive(config.max_positions, "max_positions");
  if (config.encoder_layers != 0) {
    positive(config.encoder_layers, "encoder_layers");
    positive(config.source_vocab_size, "source_vocab_size");
    positive(config.encoder_num_heads, "encoder_num_heads");
    positive(config.encoder_head_dim, "encoder_head_dim");
    positive(config.encoder_ffn_dim, "encoder_ffn_dim");
  }
  if (config.decoder_layers != 0 || config.encoder_layers == 0) {
    positive(config.decoder_layers, "decoder_layers");
    positive(config.vocab_size, "vocab_size");
    positive(config.decoder_num_heads, "decoder_num_heads");
    positive(config.decoder_head_dim, "decoder_head_dim");
    positive(config.decoder_ffn_dim, "decoder_ffn_dim");
  }
  check_key_value_heads(config);
  check_relative_positions(config);
  for (const int size :
       {config.position_offset, config.token_types, config.num_labels, config.decoder_num_key_value_heads}) {
    if (size < 0) throw std::invalid_argument("a size is " + std::to_string(size) + ", expected 0 or more");
  }
  if (config.position_padding_id >= 0 && config.position_offset == 0) {
    throw std::invalid_argument(
        "padding has no position: expected a row of the table before the first token's");
  }
}

}  // namespace pyengine
