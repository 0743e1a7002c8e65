// What a caller may ask of a search, in the names and meanings of transformers' GenerationConfig.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "base/fields.h"
#include "model/config.h"

namespace pyengine {

// When a beam search with num_beams finished hypotheses ends.
enum class EarlyStopping {
  kHeuristic,  // False: no running hypothesis beats the worst finished one at its present length
  kImmediate,  // True: at once
  kNever,      // "never": as kHeuristic, but measured at max_length if the length penalty is positive
};

// Limits of a field that holds ids of the vocabulary: one, lists or lists of lists of them.
struct TokenIds {};
// Of one that holds an id or -1.
struct OptionalTokenId {};

// Far past any use; bounds what one sentence may take of memory.
inline constexpr int kMaxBeams = 1024;

// Lengths count the prompt: of an encoder-decoder the decoder start token, else the caller's.
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
  double typical_p = 1.0;                   // the most typical whose probabilities add up to this; 1: all
  std::uint64_t seed = 0;

  // Python's names, which are those of pyengine.GenerationOptions.
  template <class Visit>
  static constexpr void visit_fields(const Visit& visit) {
    using Self = GenerationOptions;
    constexpr double kIntMax = std::numeric_limits<int>::max();
    constexpr Range kBeams{1, kMaxBeams}, kCount{0, kIntMax}, kFactor{1e-6, 1e6}, kShare{0, 1};
    visit("num_beams", &Self::num_beams, kBeams);
    visit("num_return_sequences", &Self::num_return_sequences, kBeams);
    visit("max_length", &Self::max_length, Range{2, kIntMax});
    visit("min_length", &Self::min_length, kCount);
    visit("max_added_tokens", &Self::max_new_tokens, Range{1, kIntMax});
    visit("min_added_tokens", &Self::min_new_tokens, kCount);
    visit("max_length_factor", &Self::max_length_factor, Range{0.0, 1e6});
    visit("length_penalty", &Self::length_penalty, kFinite);
    visit("early_stopping", &Self::early_stopping, NoLimits());
    visit("renormalize_logits", &Self::renormalize_logits, NoLimits());
    visit("return_scores", &Self::return_scores, NoLimits());
    visit("decoder_start_token_id", &Self::decoder_start_token_id, TokenIds());
    visit("eos_token_id", &Self::eos_token_ids, TokenIds());
    visit("forced_bos_token_id", &Self::forced_bos_token_id, OptionalTokenId());
    visit("forced_eos_token_id", &Self::forced_eos_token_ids, TokenIds());
    visit("suppress_tokens", &Self::suppress_tokens, TokenIds());
    visit("begin_suppress_tokens", &Self::begin_suppress_tokens, TokenIds());
    visit("bad_words_ids", &Self::bad_words_ids, TokenIds());
    visit("no_repeat_ngram_size", &Self::no_repeat_ngram_size, kCount);
    visit("encoder_no_repeat_ngram_size", &Self::encoder_no_repeat_ngram_size, kCount);
    visit("repetition_penalty", &Self::repetition_penalty, kFactor);
    visit("encoder_repetition_penalty", &Self::encoder_repetition_penalty, kFactor);
    visit("do_sample", &Self::do_sample, NoLimits());
    visit("temperature", &Self::temperature, kFactor);
    visit("top_k", &Self::top_k, kCount);
    visit("top_p", &Self::top_p, kShare);
    visit("min_p", &Self::min_p, kShare);
    visit("typical_p", &Self::typical_p, kShare);
    visit("seed", &Self::seed, NoLimits());
  }
};
static_assert(num_declared<GenerationOptions>() == num_members<GenerationOptions>());

// Throws std::invalid_argument naming a value that is out of its limits, of the vocabulary or of the model's
// positions, or that does not go with another.
void check_options(const GenerationOptions& options, const ModelConfig& config);

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
