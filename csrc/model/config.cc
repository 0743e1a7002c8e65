#include "model/config.h"

#include <stdexcept>
#include <string>

namespace pyengine {

void check_config(const ModelConfig& config) {
  const auto positive = [](int value, const char* name) {
    if (value > 0) return;
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) +
                                ", expected a positive number");
  };
  positive(config.hidden_size, "hidden_size");
  positive(config.vocab_size, "vocab_size");
  positive(config.source_vocab_size, "source_vocab_size");
  positive(config.max_positions, "max_positions");
  positive(config.encoder_layers, "encoder_layers");
  positive(config.decoder_layers, "decoder_layers");
  positive(config.encoder_num_heads, "encoder_num_heads");
  positive(config.decoder_num_heads, "decoder_num_heads");
  positive(config.encoder_head_dim, "encoder_head_dim");
  positive(config.decoder_head_dim, "decoder_head_dim");
  positive(config.encoder_ffn_dim, "encoder_ffn_dim");
  positive(config.decoder_ffn_dim, "decoder_ffn_dim");
  if (config.position_kind == PositionKind::kRelative) {
    if (config.relative_buckets < 4) throw std::invalid_argument("relative_buckets is below 4");
    if (config.relative_max_distance <= config.relative_buckets / 2) {
      throw std::invalid_argument("relative_max_distance is not above half of relative_buckets");
    }
  }
  if (config.position_offset < 0) throw std::invalid_argument("position_offset is negative");
}

}  // namespace pyengine
