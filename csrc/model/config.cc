#include "model/config.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace pyengine {
namespace {

// No size of a real model comes near it. Products of three such sizes, in bytes, fit 64 bits with a tenth of
// them left, and those of two below it are checked: no size of an array can overflow.
constexpr int kMaxSize = 1 << 24;

void check_size(std::int64_t size, const std::string& name, std::int64_t smallest) {
  if (smallest <= size && size <= kMaxSize) return;
  const std::string range = "a number from " + std::to_string(smallest) + " to " + std::to_string(kMaxSize);
  throw std::invalid_argument(name + " is " + std::to_string(size) + ", expected " + range);
}

void check_heads(std::int64_t num_heads, std::int64_t head_dim, const std::string& stack) {
  check_size(num_heads, stack + "_num_heads", 1);
  check_size(head_dim, stack + "_head_dim", 1);
  check_size(num_heads * head_dim, "the width of the " + stack + "'s heads together", 1);
}

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
  check_size(config.relative_max_distance, "relative_max_distance", 1);
  if (config.relative_buckets < 4) throw std::invalid_argument("relative_buckets is below 4");
  if (config.relative_max_distance <= config.relative_buckets / 2) {
    throw std::invalid_argument("relative_max_distance is not above half of relative_buckets");
  }
}

}  // namespace

void check_config(const ModelConfig& config) {
  check_size(config.hidden_size, "hidden_size", 1);
  check_size(config.max_positions, "max_positions", 1);
  if (config.encoder_layers != 0) {
    check_size(config.encoder_layers, "encoder_layers", 1);
    check_size(config.source_vocab_size, "source_vocab_size", 1);
    check_heads(config.encoder_num_heads, config.encoder_head_dim, "encoder");
    check_size(config.encoder_ffn_dim, "encoder_ffn_dim", 1);
  }
  if (config.decoder_layers != 0 || config.encoder_layers == 0) {
    check_size(config.decoder_layers, "decoder_layers", 1);
    check_size(config.vocab_size, "vocab_size", 1);
    check_heads(config.decoder_num_heads, config.decoder_head_dim, "decoder");
    check_size(config.decoder_ffn_dim, "decoder_ffn_dim", 1);
  }
  check_size(config.decoder_num_key_value_heads, "decoder_num_key_value_heads", 0);
  check_key_value_heads(config);
  check_relative_positions(config);
  check_size(config.position_offset, "position_offset", 0);
  check_size(config.token_types, "token_types", 0);
  check_size(config.num_labels, "num_labels", 0);
  const std::int64_t num_rows = std::int64_t{config.position_offset} + config.max_positions;
  check_size(num_rows * std::max(config.token_types, 1), "the number of positions of all token types", 1);
  if (config.position_padding_id >= 0 && config.position_offset == 0) {
    throw std::invalid_argument(
        "padding has no position: expected a row of the table before the first token's");
  }
}

}  // namespace pyengine
