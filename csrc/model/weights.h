// The parameters of an encoder-decoder Transformer, packed once at load for the kernels.
#pragma once

#include <memory>
#include <vector>

#include "base/aligned_buffer.h"
#include "model/config.h"
#include "model/tensor_source.h"

namespace pyengine {

// y = x W + b. W [in_features, out_features] is held in panels of kPanelWidth columns.
struct Linear {
  int in_features = 0;
  int out_features = 0;
  AlignedBuffer<float> panels;  // [ceil(out_features / kPanelWidth)][in_features][kPanelWidth]
  AlignedBuffer<float> bias;    // [out_features], zeros where the model has none
};

struct LayerNorm {
  AlignedBuffer<float> gamma;  // [hidden_size]
  AlignedBuffer<float> beta;   // [hidden_size]
};

// Token embeddings and the table of positions, one row each.
struct Embedding {
  std::shared_ptr<const AlignedBuffer<float>> tokens;  // [vocab, hidden_size], shared if the model ties them
  AlignedBuffer<float> positions;                      // [max_positions, hidden_size]
};

struct SelfAttentionWeights {
  Linear query_key_value;  // [hidden_size, 3 * hidden_size], one product for the three projections
  Linear output;           // [hidden_size, hidden_size]
  LayerNorm norm;
};

struct CrossAttentionWeights {
  Linear query;      // [hidden_size, hidden_size]
  Linear key_value;  // [hidden_size, 2 * hidden_size], applied once to each source token
  Linear output;     // [hidden_size, hidden_size]
  LayerNorm norm;
};

struct FeedForwardWeights {
  Linear up;    // [hidden_size, ffn_dim]
  Linear down;  // [ffn_dim, hidden_size]
  LayerNorm norm;
};

struct EncoderLayerWeights {
  SelfAttentionWeights self_attention;
  FeedForwardWeights feed_forward;
};

struct DecoderLayerWeights {
  SelfAttentionWeights self_attention;
  CrossAttentionWeights cross_attention;
  FeedForwardWeights feed_forward;
};

struct Weights {
  Embedding encoder_embedding;
  std::vector<EncoderLayerWeights> encoder_layers;
  LayerNorm encoder_norm;  // pre-norm models only: after the last layer
  Embedding decoder_embedding;
  std::vector<DecoderLayerWeights> decoder_layers;
  LayerNorm decoder_norm;  // pre-norm models only
  Linear lm_head;          // [hidden_size, vocab_size]

  // Bytes held, shared tables counted once.
  std::size_t bytes() const;
};

// Packs the tensors of `source`. Throws std::invalid_argument if one is missing, has another shape than
// `config` asks for, or is left over.
Weights load_weights(const ModelConfig& config, TensorSource& source);

}  // namespace pyengine
