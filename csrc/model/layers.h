// What encoder and decoder layers share: residual blocks in either norm order, and the feed-forward block.
#pragma once

#include "model/operators.h"

namespace pyengine {

// Where the layer norm of a residual block stands; a template argument, so chosen once at load.
enum class NormOrder {
  kPost,  // x = norm(x + f(x)), the paper's
  kPre,   // x = x + f(norm(x)), and one more norm after the last layer
};

// The rows a stack works on.
struct Rows {
  const Runtime& runtime;
  const ModelConfig& config;
  int num_rows;
  float* hidden;  // [num_rows, hidden_size], the residual stream
  float* normed;  // [num_rows, hidden_size], scratch of pre-norm
};

// Calls sublayer(input), which adds f(input) to rows.hidden.
template <NormOrder order, class Sublayer>
void residual_block(const Rows& rows, const LayerNorm& norm, Sublayer sublayer) {
  const float epsilon = rows.config.layer_norm_eps;
  const int size = rows.config.hidden_size;
  if constexpr (order == NormOrder::kPre) {
    layer_norm(rows.runtime, norm, epsilon, rows.hidden, rows.num_rows, size, rows.normed);
    sublayer(rows.normed);
  } else {
    sublayer(rows.hidden);
    layer_norm(rows.runtime, norm, epsilon, rows.hidden, rows.num_rows, size, rows.hidden);
  }
}

// Position-wise feed-forward network, "Attention Is All You Need" 3.3: activation(x W1 + b1) W2 + b2.
// inner is scratch of [num_rows, ffn_dim].
template <NormOrder order>
void feed_forward_block(const Rows& rows, const FeedForwardWeights& weights, float* inner) {
  residual_block<order>(rows, weights.norm, [&](const float* input) {
    linear(rows.runtime, weights.up, input, rows.num_rows, rows.config.activation, nullptr, inner);
    linear(rows.runtime, weights.down, inner, rows.num_rows, Activation::kNone, rows.hidden, rows.hidden);
  });
}

}  // namespace pyengine
