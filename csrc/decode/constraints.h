// The logits processors that allow or forbid: which tokens may not, and which must, come next.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include "decode/options.h"

namespace pyengine {

// Bans and forced tokens as sparse sets, so that the vocabulary epilogue never needs the whole row.
class Constraints {
 public:
  explicit Constraints(const GenerationOptions& options);

  // Tokens of which one must come next when a sequence has `length` tokens, its prompt included; empty if any
  // may. Ascending. A forced token has log-probability 0.
  std::span<const std::int32_t> forced(int length, const Lengths& lengths) const;

  // Writes to `banned`, ascending, the ids that must not follow `tokens` (the prompt included). `source` is
  // what the options of the encoder speak of.
  void ban(std::span<const std::int32_t> tokens, std::span<const std::int32_t> source, const Lengths& lengths,
           std::pmr::vector<std::int32_t>& banned) const;

  // Most ids that ban() writes, repeats included, for `length` tokens.
  std::size_t max_banned(std::size_t length, std::size_t source_length) const;

 private:
  bool forces_first_;  // also if that token is suppressed and so not forced
  std::vector<std::int32_t> eos_token_ids_;
  std::vector<std::int32_t> forced_bos_;
  std::vector<std::int32_t> forced_eos_;
  std::vector<std::int32_t> always_banned_;  // ascending: suppress_tokens and bad words of one token
  std::vector<std::int32_t> begin_suppress_tokens_;
  std::vector<std::vector<std::int32_t>> bad_words_;  // of two tokens and more
  int no_repeat_ngram_size_;
  int encoder_no_repeat_ngram_size_;
};

}  // namespace pyengine
