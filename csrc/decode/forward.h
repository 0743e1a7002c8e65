// Runs the model for a set of sentences: builds the batch of a step from their states and back.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/workspace.h"
#include "decode/decoding.h"
#include "model/decoder.h"
#include "model/encoder.h"

namespace pyengine {

// A sentence in flight.
struct Sentence {
  std::span<const std::int32_t> source;  // ids as the encoder sees them, never empty
  std::unique_ptr<Decoding> decoding;
  std::optional<CrossCache> source_cache;  // set by Forward::encode
  std::optional<SelfCache> target_cache;   // set by Forward::encode if the decoder attends to itself,
  std::optional<SsruStates> states;        // or this if it recurs
};

// Owns the caches and the scratch memory of an engine. One thread at a time.
class Forward {
 public:
  // All arguments must outlive it.
  Forward(const ModelConfig& config, const Weights& weights, const Kernels& kernels, int num_threads);

  // Runs the encoder on the sentences together and opens their caches.
  void encode(std::span<Sentence* const> sentences);

  // Runs one row for each row of each sentence and lets the sentences advance; done[i] tells if sentence i
  // is finished. Steps of a size seen before allocate no memory.
  void step(std::span<Sentence* const> sentences, std::vector<bool>& done);

  // hidden [source.size(), hidden_size]: last hidden states of the encoder.
  void encoder_hidden_states(std::span<const std::int32_t> source, float* hidden);

 private:
  DecoderBatch build_batch(std::span<Sentence* const> sentences);

  const ModelConfig& config_;
  const Weights& weights_;
  Workspace workspace_;
  PagePool pages_;
  Runtime runtime_;
};

}  // namespace pyengine
