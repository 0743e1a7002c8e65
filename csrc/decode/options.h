// What a caller may ask of a search, in the names and meanings of transformers' GenerationConfig.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace pyengine {

// When a beam search with num_beams finished hypotheses ends.
enum class EarlyStopping {
  kHeuristic,  // False: no running hypothesis beats the worst finished one at its present length
  kImmediate,  // True: at once
  kNever,      // "never": as kHeuristic, but measured at max_length if the length penalty is positive
};

// Lengths count the prompt: of an encoder-decoder the decoder start token, else the caller's. Ids are within
// the vocabulary; the Python layer checks values.
struct GenerationOptions {
  int num_beams = 1;
  int num_return_sequences = 1;  // at most num_beams, except of samples
  int max_length = 0;            // at least 2
  int min_length = 0;
  int max_new_tokens = std::numeric_limits<int>::max();  // beyond the prompt
  int min_new_tokens = 0;
  double max_length_factor = 0.0;  // tokens beyond the prompt at most, for each of the source; 0: any number
  double length_penalty = 1.0;
  EarlyStopping early_stopping = EarlyStopping::kHeuristic;
  bool renormalize_logits = false;
  bool return_scores = true;  // false: a greedy search leaves out its score, and the work for it
  std::int32_t decoder_start_token_id = 0;
  std::vector<std::int32_t> eos_token_ids;         // ascending, each once
  std::int32_t forced_bos_token_id = -1;           // first generated token, or -1
  std::vector<std::int32_t> forced_eos_token_ids;  // last token of a sequence that reaches max_length
  std::vector<std::int32_t> suppress_tokens;
  std::vector<std::int32_t> begin_suppress_tokens;       // suppressed as the first free token
  std::vector<std::vector<std::int32_t>> bad_words_ids;  // each: a sequence that must not be generated
  int no_repeat_ngram_size = 0;          // of sequences that occur once at most, the prompt included; 0: any
  int encoder_no_repeat_ngram_size = 0;  // of sequences of the source that must not be generated; 0: none
  double repetition_penalty = 1.0;       // on tokens that the prompt or the target holds; positive
  double encoder_repetition_penalty = 1.0;  // its inverse is the penalty on tokens of the source; positive
  bool do_sample = false;                   // with num_beams 1; the options below count only then
  double temperature = 1.0;                 // positive
  int top_k = 0;                            // most probable tokens to draw from; 0: all
  double top_p = 1.0;                       // the fewest of them whose probabilities add up to this
  double min_p = 0.0;                       // share of the largest probability that they have at least
  std::uint64_t seed = 0;
};

// How long one sentence may get, its prompt included.
struct Lengths {
  int prompt;
  int min;
  int max;
};

// Args:
//   prompt_size: tokens of the prompt.
//   source_size: tokens of the source, or of the prompt of a model without encoder.
Lengths lengths_of(const GenerationOptions& options, std::size_t prompt_size, std::size_t source_size);

}  // namespace pyengine
