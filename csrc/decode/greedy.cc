#include "decode/greedy.h"

#include "decode/search_common.h"

namespace pyengine {

GreedySearch::GreedySearch(const GenerationOptions& options, const Constraints& constraints,
                           std::span<const std::int32_t> prompt)
    : options_(options),
      constraints_(constraints),
      lengths_(lengths_of(options, prompt.size())),
      rows_(prompt_rows(prompt)) {
  tokens_.reserve(lengths_.max);
  tokens_.assign(prompt.begin(), prompt.end());
  banned_.reserve(constraints.max_banned());
  predict_last_row();
}

void GreedySearch::predict_last_row() {
  constraints_.ban(tokens_, lengths_, banned_);
  VocabularyQuery query;
  query.banned = banned_;
  query.renormalize = options_.renormalize_logits;
  query.log_sum_exp = options_.return_scores;
  query.top_k = 1;
  rows_.back() = {tokens_.back(), static_cast<int>(tokens_.size()) - 1, 0, query};
}

bool GreedySearch::advance(std::span<const VocabularyResult> results) {
  const auto forced = constraints_.forced(static_cast<int>(tokens_.size()), lengths_);
  std::int32_t best = -1;
  for_each_candidate(forced, options_, results[0], 1, [&](std::int32_t id, float log_prob) {
    best = id;
    sum_ += log_prob;
  });
  // Every token banned: nothing can follow.
  if (best >= 0) tokens_.push_back(best);
  const bool ended = best < 0 || is_end(options_, best);
  if (!ended && static_cast<int>(tokens_.size()) < lengths_.max) {
    rows_.resize(1);
    predict_last_row();
    return false;
  }
  const int num_generated = std::max(1, static_cast<int>(tokens_.size()) - lengths_.prompt);
  hypothesis_.score = sum_ / length_divisor(options_, num_generated);
  hypothesis_.ids.assign(tokens_.begin() + lengths_.prompt, tokens_.end() - (best >= 0 && ended ? 1 : 0));
  return true;
}

}  // namespace pyengine
