// The architecture of one encoder-decoder Transformer: the fields of pyengine.models.ModelConfig.
#pragma once

#include "kernels/kernels.h"

namespace pyengine {

// How a decoder position sees those before it.
enum class DecoderKind { kSelfAttention, kSsru };

enum class NormKind { kLayerNorm, kRmsNorm };

// How tokens know their positions.
enum class PositionKind {
  kNone,
  kTable,     // a row of a table is added to each token's embedding
  kRelative,  // a number for each distance is added to each score of self-attention
};

struct ModelConfig {
  int hidden_size = 0;
  int vocab_size = 0;         // of the decoder and the output projection
  int source_vocab_size = 0;  // of the encoder
  int max_positions = 0;      // the longest sequence in tokens
  int position_offset = 0;    // rows of the position tables before that of the first token
  int encoder_layers = 0;
  int decoder_layers = 0;
  int encoder_num_heads = 0;
  int decoder_num_heads = 0;
  int encoder_head_dim = 0;
  int decoder_head_dim = 0;
  int encoder_ffn_dim = 0;
  int decoder_ffn_dim = 0;
  Activation activation = Activation::kRelu;
  bool gated_ffn = false;  // activation(x Wg) * (x Wv) stands in place of activation(x W)
  NormKind norm_kind = NormKind::kLayerNorm;
  bool normalize_before = false;  // pre-norm, with a last norm after each stack
  bool normalize_embeddings = false;
  PositionKind position_kind = PositionKind::kTable;
  float embed_scale = 1.0f;       // token embeddings are multiplied by it, sqrt(hidden_size) in the paper
  int relative_buckets = 0;       // rows of the tables of distances
  int relative_max_distance = 0;  // from it on, all distances are one bucket
  bool scale_attention = true;    // scores are divided by sqrt(head_dim)
  float logit_scale = 1.0f;       // of pre-norm models: the last hidden states are multiplied by it
  float norm_eps = 1e-5f;
  DecoderKind decoder_kind = DecoderKind::kSelfAttention;

  // Widths of all heads together.
  int encoder_attention_size() const { return encoder_num_heads * encoder_head_dim; }
  int decoder_attention_size() const { return decoder_num_heads * decoder_head_dim; }
};

// Throws std::invalid_argument naming a size that is not positive.
void check_config(const ModelConfig& config);

}  // namespace pyengine
