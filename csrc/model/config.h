// The architecture of one Transformer: the fields of pyengine.models.ModelConfig.
#pragma once

#include "base/fields.h"
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
  kRotary,    // queries and keys are turned by angles that grow with the position, Su et al. 2021
};

// What Python calls each value; null after the last.
constexpr const char* name_of(DecoderKind kind) {
  switch (kind) {
    case DecoderKind::kSelfAttention:
      return "self_attention";
    case DecoderKind::kSsru:
      return "ssru";
  }
  return nullptr;
}
constexpr const char* name_of(NormKind kind) {
  switch (kind) {
    case NormKind::kLayerNorm:
      return "layer_norm";
    case NormKind::kRmsNorm:
      return "rms_norm";
  }
  return nullptr;
}
constexpr const char* name_of(PositionKind kind) {
  switch (kind) {
    case PositionKind::kNone:
      return "none";
    case PositionKind::kTable:
      return "table";
    case PositionKind::kRelative:
      return "relative";
    case PositionKind::kRotary:
      return "rotary";
  }
  return nullptr;
}
constexpr const char* name_of(Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return "none";
    case Activation::kRelu:
      return "relu";
    case Activation::kSilu:
      return "silu";
    case Activation::kGelu:
      return "gelu";
    case Activation::kGeluTanh:
      return "gelu_tanh";
    case Activation::kTanh:
      return "tanh";
  }
  return nullptr;
}

// No size of a real model comes near it. Products of three such sizes, in bytes, fit 64 bits with a tenth of
// them left, and those of two below it are checked: no size of an array can overflow.
inline constexpr int kMaxSize = 1 << 24;

struct ModelConfig {
  int hidden_size = 0;
  int vocab_size = 0;            // of the decoder and the output projection
  int source_vocab_size = 0;     // of the encoder
  int max_positions = 0;         // the longest sequence in tokens
  int position_offset = 0;       // rows of the position tables before that of the first token
  int position_padding_id = -1;  // source tokens that count for no position and get the row before the first
                                 // token's; -1: there are none
  int encoder_layers = 0;        // 0: the model has no such stack
  int decoder_layers = 0;
  int encoder_num_heads = 0;
  int decoder_num_heads = 0;
  int decoder_num_key_value_heads = 0;  // of self-attention: each shared by equally many heads; 0: all differ
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
  int token_types = 0;  // rows of the encoder's table of token types, one of which is added to each token
  int num_labels = 0;   // classes that the encoder's head tells apart; 0 without one
  Activation classifier_activation = Activation::kNone;

  // Those of pyengine.models.ModelConfig. Sizes of a stack that the model has are positive too.
  template <class Visit>
  static constexpr void visit_fields(const Visit& visit) {
    using Self = ModelConfig;
    constexpr Range kSize{0, kMaxSize}, kPositive{1, kMaxSize};
    visit("hidden_size", &Self::hidden_size, kPositive);
    visit("vocab_size", &Self::vocab_size, kSize);
    visit("source_vocab_size", &Self::source_vocab_size, kSize);
    visit("max_positions", &Self::max_positions, kPositive);
    visit("position_offset", &Self::position_offset, kSize);
    visit("position_padding_id", &Self::position_padding_id, Range{-1, kMaxSize});
    visit("encoder_layers", &Self::encoder_layers, kSize);
    visit("decoder_layers", &Self::decoder_layers, kSize);
    visit("encoder_num_heads", &Self::encoder_num_heads, kSize);
    visit("decoder_num_heads", &Self::decoder_num_heads, kSize);
    visit("decoder_num_key_value_heads", &Self::decoder_num_key_value_heads, kSize);
    visit("encoder_head_dim", &Self::encoder_head_dim, kSize);
    visit("decoder_head_dim", &Self::decoder_head_dim, kSize);
    visit("encoder_ffn_dim", &Self::encoder_ffn_dim, kSize);
    visit("decoder_ffn_dim", &Self::decoder_ffn_dim, kSize);
    visit("activation", &Self::activation, NoLimits());
    visit("gated_ffn", &Self::gated_ffn, NoLimits());
    visit("norm_kind", &Self::norm_kind, NoLimits());
    visit("normalize_before", &Self::normalize_before, NoLimits());
    visit("normalize_embeddings", &Self::normalize_embeddings, NoLimits());
    visit("position_kind", &Self::position_kind, NoLimits());
    visit("embed_scale", &Self::embed_scale, kFinite);
    visit("relative_buckets", &Self::relative_buckets, kSize);
    visit("relative_max_distance", &Self::relative_max_distance, kSize);
    visit("scale_attention", &Self::scale_attention, NoLimits());
    visit("logit_scale", &Self::logit_scale, kFinite);
    visit("norm_eps", &Self::norm_eps, kFinite);
    visit("decoder_kind", &Self::decoder_kind, NoLimits());
    visit("token_types", &Self::token_types, kSize);
    visit("num_labels", &Self::num_labels, kSize);
    visit("classifier_activation", &Self::classifier_activation, NoLimits());
  }

  // Widths of all heads together.
  int encoder_attention_size() const { return encoder_num_heads * encoder_head_dim; }
  int decoder_attention_size() const { return decoder_num_heads * decoder_head_dim; }
  int decoder_key_value_heads() const {
    return decoder_num_key_value_heads > 0 ? decoder_num_key_value_heads : decoder_num_heads;
  }
  // Rows of the table of positions.
  int position_rows() const { return position_offset + max_positions; }
  int decoder_key_value_size() const { return decoder_key_value_heads() * decoder_head_dim; }
};
static_assert(num_declared<ModelConfig>() == num_members<ModelConfig>());

// Throws std::invalid_argument naming a size of a stack that is there and not positive, or one so large that
// sizes made of it might overflow: each fits an int, and that of an array 64 bits, its bytes too.
void check_config(const ModelConfig& config);

}  // namespace pyengine
