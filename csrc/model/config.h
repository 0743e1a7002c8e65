// The architecture of one encoder-decoder Transformer: the fields of pyengine.models.ModelConfig.
#pragma once

#include "kernels/kernels.h"

namespace pyengine {

// How a decoder position sees those before it.
enum class DecoderKind { kSelfAttention, kSsru };

struct ModelConfig {
  int hidden_size = 0;
  int vocab_size = 0;         // of the decoder and the output projection
  int source_vocab_size = 0;  // of the encoder
  int max_positions = 0;      // rows of the position tables
  int encoder_layers = 0;
  int decoder_layers = 0;
  int encoder_num_heads = 0;
  int decoder_num_heads = 0;
  int encoder_ffn_dim = 0;
  int decoder_ffn_dim = 0;
  Activation activation = Activation::kRelu;
  bool normalize_before = false;  // pre-norm, with a last norm after each stack
  float embed_scale = 1.0f;       // token embeddings are multiplied by it, sqrt(hidden_size) in the paper
  float layer_norm_eps = 1e-5f;
  DecoderKind decoder_kind = DecoderKind::kSelfAttention;
};

// Throws std::invalid_argument naming a size that is not positive, or that the heads do not divide.
void check_config(const ModelConfig& config);

}  // namespace pyengine
