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
void residual_block(const Rows& rows, const Norm& norm, Sublayer sublayer) {
  if constexpr (order == NormOrder::kPre) {
    normalize(rows.runtime, norm, rows.config, rows.hidden, rows.num_rows, rows.normed);
    sublayer(rows.normed);
  } else {
    sublayer(rows.hidden);
    normalize(rows.runtime, norm, rows.config, rows.hidden, rows.num_rows, rows.hidden);
  }
}

// inner [num_rows, ffn_dim] = activation(input W + b).
inline void expand(const Rows& rows, const Linear& up, const float* input, float* inner) {
  linear(rows.runtime, up, input, rows.num_rows, rows.config.activation, nullptr, inner);
}

// inner [num_rows, ffn_dim] = activation(input Wg) * (input Wv).
inline void expand(const Rows& rows, const GatedLinear& up, const float* input, float* inner) {
  const Workspace::Scope scope(rows.runtime.workspace);
  const int size = up.gate_and_value.out_features;  // 2 * ffn_dim
  float* gate_and_value = rows.runtime.workspace.take<float>(static_cast<std::size_t>(rows.num_rows) * size);
  linear(rows.runtime, up.gate_and_value, input, rows.num_rows, Activation::kNone, nullptr, gate_and_value);
  gate(rows.runtime, gate_and_value, rows.num_rows, size / 2, rows.config.activation, inner);
}

// Position-wise feed-forward network, "Attention Is All You Need" 3.3: activation(x W1 + b1) W2 + b2, or its
// gated form. inner is scratch of [num_rows, ffn_dim].
template <NormOrder order>
void feed_forward_block(const Rows& rows, const FeedForwardWeights& weights, float* inner) {
  residual_block<order>(rows, weights.norm, [&](const float* input) {
    std::visit([&](const auto& up) { expand(rows, up, input, inner); }, weights.up);
    linear(rows.runtime, weights.down, inner, rows.num_rows, Activation::kNone, rows.hidden, rows.hidden);
  });
}

}  // namespace pyengine
