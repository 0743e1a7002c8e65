// The encoder stack, on the concatenated tokens of several sentences: no padding anywhere.
#pragma once

#include <cstdint>
#include <span>

#include "model/operators.h"

namespace pyengine {

// Sentences one after another; sentence i is tokens offsets[i] ... offsets[i + 1] - 1.
struct EncoderBatch {
  std::span<const std::int32_t> tokens;
  std::span<const std::int32_t> offsets;  // [sentences + 1]
  std::span<const std::int32_t> types;    // [tokens] below max(config.token_types, 1)
};

// hidden [tokens, hidden_size]: the last hidden states. Every sentence has at least one token and at most
// config.max_positions.
void encode(const Runtime& runtime, const ModelConfig& config, const Weights& weights,
            const EncoderBatch& batch, float* hidden);

}  // namespace pyengine
