#include "decode/scoring.h"

namespace pyengine {

Scoring::Scoring(std::int32_t decoder_start_token_id, std::span<const std::int32_t> target, float* log_probs,
                 std::pmr::memory_resource* memory)
    : rows_(memory), log_probs_(log_probs) {
  rows_.reserve(target.size());
  for (std::size_t i = 0; i < target.size(); ++i) {
    VocabularyQuery query;
    query.target = target[i];
    rows_.push_back({i == 0 ? decoder_start_token_id : target[i - 1], static_cast<int>(i), 0, query});
  }
}

Scoring::Scoring(std::span<const std::int32_t> decoder_input_ids, int vocab_size, float* logits,
                 std::pmr::memory_resource* memory)
    : rows_(memory) {
  rows_.reserve(decoder_input_ids.size());
  for (std::size_t i = 0; i < decoder_input_ids.size(); ++i) {
    VocabularyQuery query;
    query.logits = logits + i * vocab_size;
    rows_.push_back({decoder_input_ids[i], static_cast<int>(i), 0, query});
  }
}

bool Scoring::advance(std::span<const VocabularyResult> results) {
  if (log_probs_ != nullptr) {
    for (std::size_t i = 0; i < results.size(); ++i) {
      log_probs_[i] = results[i].target_logit - results[i].log_sum_exp;
    }
  }
  return true;
}

}  // namespace pyengine
