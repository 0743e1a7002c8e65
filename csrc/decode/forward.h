// Runs the model for a set of sentences: builds the batch of a step from their states and back.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/workspace.h"
#include "decode/decoding.h"
#include "model/classifier.h"
#include "model/decoder.h"
#include "model/encoder.h"

namespace pyengine {

// Where results of the encoder go; those that are null are not wanted.
struct EncoderResults {
  float* hidden = nullptr;        // [source.size(), hidden_size] last hidden states
  float* class_logits = nullptr;  // [num_labels], of a model that classifies
};

// A sentence in flight.
struct Sentence {
  std::span<const std::int32_t> source;       // ids as the encoder sees them; empty without one
  std::span<const std::int32_t> token_types;  // of the source's tokens; empty: all are of type 0
  EncoderResults results;
  std::vector<std::int32_t> candidates;    // ids that its tokens are chosen from, ascending; empty: all
  std::unique_ptr<Decoding> decoding;      // null: done when it is encoded
  std::optional<Linear> candidate_head;    // set by Forward::enter if there are candidates: their columns of
                                           // the output projection
  std::optional<CrossCache> source_cache;  // set by Forward::enter
  std::optional<SelfCache> target_cache;   // set by Forward::enter if the decoder attends to itself,
  std::optional<SsruStates> states;        // or this if it recurs
  bool entered = false;                    // set by Forward::enter
  bool in_step = false;                    // of a step that has begun and was perhaps given up
  bool done = false;                       // set by Forward::enter or Forward::step
};

// The passes of one group of threads, and their scratch memory. One thread calls it at a time; a sentence may
// be another Forward's in the next step.
class Forward {
 public:
  // All arguments must outlive it. `pages` is where the sentences keep their caches.
  Forward(const ModelConfig& config, const Weights& weights, const Kernels& kernels, PagePool& pages);

  // How many threads the following passes use.
  void set_num_threads(int num_threads) { runtime_.num_threads = num_threads; }

  // What the following passes ask between products; they throw GivenUp, after which each sentence enters, or
  // makes its step, in another pass. Null: nothing.
  void set_give_up(const Runtime::Ask* give_up) { runtime_.give_up = give_up; }

  // Runs the encoder, if there is one, on the sentences together, hands out its results and opens the caches
  // of those that are to be decoded.
  void enter(std::span<Sentence* const> sentences);

  // Runs one row for each row of each sentence and lets the sentences advance. Steps of a size seen before
  // allocate no memory.
  void step(std::span<Sentence* const> sentences);

  // Of its scratch memory.
  std::size_t bytes() const { return workspace_.bytes(); }
  void release_memory() { workspace_.release(); }

 private:
  void encode(std::span<Sentence* const> sentences);
  void hand_out(std::span<Sentence* const> sentences, const float* hidden);
  void classify_first_tokens(std::span<Sentence* const> sentences, const float* hidden);
  void fill_source_caches(std::span<Sentence* const> sentences, const float* hidden);
  void open_history(Sentence& sentence);
  void select_candidates(std::span<Sentence* const> sentences);
  DecoderBatch build_batch(std::span<Sentence* const> sentences);
  std::span<const VocabularyRows> group_rows(std::span<Sentence* const> sentences);

  const ModelConfig& config_;
  const Weights& weights_;
  PagePool& pages_;
  Workspace workspace_;
  Runtime runtime_;
};

}  // namespace pyengine
