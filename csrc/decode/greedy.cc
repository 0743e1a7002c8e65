#include "decode/greedy.h"

#include "decode/search_common.h"

namespace pyengine {

GreedySearch::GreedySearch(const GenerationOptions& options, const Constraints& constraints)
    : options_(options), constraints_(constraints) {
  tokens_.reserve(options.max_length);
  tokens_.push_back(options.decoder_start_token_id);
  banned_.reserve(constraints.max_banned());
  prepare_row();
}

void GreedySearch::prepare_row() {
  constraints_.ban(tokens_, banned_);
  row_ = {tokens_.back(), static_cast<int>(tokens_.size()) - 1, 0, {}};
  row_.query.banned = banned_;
  row_.query.renormalize = options_.renormalize_logits;
  row_.query.log_sum_exp = options_.return_scores;
  row_.query.top_k = 1;
}

bool GreedySearch::advance(std::span<const VocabularyResult> results) {
  const auto forced = constraints_.forced(static_cast<int>(tokens_.size()));
  std::int32_t best = -1;
  for_each_candidate(forced, options_, results[0], 1, [&](std::int32_t id, float log_prob) {
    best = id;
    sum_ += log_prob;
  });
  // Every token banned: nothing can follow.
  if (best >= 0) tokens_.push_back(best);
  const bool ended = best < 0 || is_end(options_, best);
  if (!ended && static_cast<int>(tokens_.size()) < options_.max_length) {
    prepare_row();
    return false;
  }
  const int num_generated = std::max(1, static_cast<int>(tokens_.size()) - 1);
  hypothesis_.score = sum_ / length_divisor(options_, num_generated);
  hypothesis_.ids.assign(tokens_.begin() + 1, tokens_.end() - (best >= 0 && ended ? 1 : 0));
  return true;
}

}  // namespace pyengine
