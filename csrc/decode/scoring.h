// Teacher forcing: the log-probabilities, or the logits, of a given target, in one step.
#pragma once

#include <memory_resource>

#include "decode/decoding.h"

namespace pyengine {

class Scoring : public Decoding {
 public:
  // Log-probability of each of target[i] after decoder_start_token_id, target[0], ..., target[i - 1].
  // log_probs [target.size()] is written by advance(); target is not empty.
  Scoring(std::int32_t decoder_start_token_id, std::span<const std::int32_t> target, float* log_probs,
          std::pmr::memory_resource* memory);

  // Writes the logits [decoder_input_ids.size(), vocab_size] that follow each of the ids to `logits`.
  Scoring(std::span<const std::int32_t> decoder_input_ids, int vocab_size, float* logits,
          std::pmr::memory_resource* memory);

  int num_slots() const override { return 1; }
  int max_positions() const override { return static_cast<int>(rows_.size()); }
  std::span<const DecodingRow> rows() const override { return rows_; }
  std::span<const int> parents() const override { return {}; }
  bool advance(std::span<const VocabularyResult> results) override;

 private:
  std::pmr::vector<DecodingRow> rows_;
  float* log_probs_ = nullptr;
};

}  // namespace pyengine
