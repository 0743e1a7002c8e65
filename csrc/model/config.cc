#include "model/config.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace pyengine {
namespace {

template <class T>
void check_field(const char*, T, NoLimits) {}

template <class Number>
void check_field(const char* name, Number value, Range range) {
  check_range(name, value, range);
}

// Of what a stack has.
void check_positive(const std::string& name, std::int64_t size) {
  check_range(name.c_str(), static_cast<double>(size), {1, kMaxSize});
}

void check_heads(std::int64_t num_heads, std::int64_t head_dim, const std::string& stack) {
  check_positive(stack + "_num_heads", num_heads);
  check_positive(stack + "_head_dim", head_dim);
  check_positive("the width of the " + stack + "'s heads together", num_heads * head_dim);
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
  check_positive("relative_max_distance", config.relative_max_distance);
  if (config.relative_buckets < 4) throw std::invalid_argument("relative_buckets is below 4");
  if (config.relative_max_distance <= config.relative_buckets / 2) {
    throw std::invalid_argument("relative_max_distance is not above half of relative_buckets");
  }
}

}  // namespace

void check_config(const ModelConfig& config) {
  ModelConfig::visit_fields(
      [&](const char* name, auto field, auto limits) { check_field(name, config.*field, limits); });
  if (config.encoder_layers != 0) {
    check_positive("encoder_layers", config.encoder_layers);
    check_positive("source_vocab_size", config.source_vocab_size);
    check_heads(config.encoder_num_heads, config.encoder_head_dim, "encoder");
    check_positive("encoder_ffn_dim", config.encoder_ffn_dim);
  }
  if (config.decoder_layers != 0 || config.encoder_layers == 0) {
    check_positive("decoder_layers", config.decoder_layers);
    check_positive("vocab_size", config.vocab_size);
    check_heads(config.decoder_num_heads, config.decoder_head_dim, "decoder");
    check_positive("decoder_ffn_dim", config.decoder_ffn_dim);
  }
  check_key_value_heads(config);
  check_relative_positions(config);
  const std::int64_t num_rows = std::int64_t{config.position_offset} + config.max_positions;
  check_positive("the number of positions of all token types", num_rows * std::max(config.token_types, 1));
  if (config.position_padding_id >= 0 && config.position_offset == 0) {
    throw std::invalid_argument(
        "padding has no position: expected a row of the table before the first token's");
  }
}

}  // namespace pyengine
