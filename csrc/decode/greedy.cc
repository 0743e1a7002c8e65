#include "decode/greedy.h"

#include "decode/search_common.h"

namespace pyengine {

GreedySearch::GreedySearch(const SearchStart& start)
    : options_(start.options),
      constraints_(start.constraints),
      lengths_(lengths_of(options_, start.prompt.size(), start.source.size())),
      tokens_(start.memory),
      processors_(start, lengths_, RowProcessors::On::kLogits),
      rows_(prompt_rows(start)) {
  tokens_.reserve(lengths_.max);
  tokens_.assign(start.prompt.begin(), start.prompt.end());
  predict_last_row();
}

void GreedySearch::predict_last_row() {
  VocabularyQuery query;
  processors_.prepare(tokens_, query);
  query.log_sum_exp = options_.return_scores;
  query.top_k = 1;
  rows_.back() = {tokens_.back(), static_cast<int>(tokens_.size()) - 1, 0, query};
}

bool GreedySearch::advance(std::span<const VocabularyResult> results) {
  const auto forced = constraints_.forced(static_cast<int>(tokens_.size()), lengths_);
  std::int32_t best = -1;
  float best_value = 0.0f, best_log_prob = 0.0f;
  for_each_candidate(forced, options_, processors_, results[0], 1,
                     [&](std::int32_t id, float value, float log_prob) {
                       if (best >= 0 && (value < best_value || (value == best_value && id > best))) return;
                       best = id;
                       best_value = value;
                       best_log_prob = log_prob;
                     });
  // Every token banned: nothing can follow.
  if (best >= 0) tokens_.push_back(best);
  sum_ += best_log_prob;
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
