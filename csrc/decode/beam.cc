#include "decode/beam.h"

#include <tuple>

#include "decode/search_common.h"

namespace pyengine {

BeamSearch::BeamSearch(const SearchStart& start)
    : options_(start.options),
      constraints_(start.constraints),
      lengths_(lengths_of(options_, start.prompt.size(), start.source.size())),
      num_candidates_(
          std::min(start.vocab_size, options_.num_beams + static_cast<int>(options_.eos_token_ids.size()))),
      length_(lengths_.prompt),
      tokens_(static_cast<std::size_t>(options_.num_beams) * lengths_.max, start.memory),
      next_tokens_(tokens_.size(), start.memory),
      sums_(start.memory),
      parents_(start.memory),
      candidates_(start.memory),
      processors_(start.memory),
      rows_(prompt_rows(start)) {
  const std::size_t num_beams = options_.num_beams;
  // All that a step writes to, so that none allocates.
  processors_.reserve(num_beams);
  for (std::size_t slot = 0; slot < num_beams; ++slot) {
    processors_.emplace_back(start, lengths_, RowProcessors::On::kLogProbs);
  }
  sums_.reserve(num_beams);
  parents_.reserve(num_beams);
  rows_.reserve(num_beams);
  candidates_.reserve(num_beams * (num_candidates_ + processors_[0].max_aside()));
  finished_.reserve(num_beams);
  spare_.resize(num_beams);
  for (Hypothesis& hypothesis : spare_) hypothesis.ids.reserve(lengths_.max - lengths_.prompt);
  std::copy(start.prompt.begin(), start.prompt.end(), tokens_.begin());
  sums_.push_back(0.0f);
  rows_.back() = predicting_row(0);
}

DecodingRow BeamSearch::predicting_row(int slot) {
  const auto tokens = tokens_of(slot);
  DecodingRow row{tokens.back(), length_ - 1, slot, {}};
  processors_[slot].prepare(tokens, row.query);
  row.query.top_k = num_candidates_;
  return row;
}

bool BeamSearch::advance(std::span<const VocabularyResult> results) {
  collect_candidates(results);
  const bool at_limit = length_ + 1 >= lengths_.max;
  // A hypothesis that ends counts only if it is among the num_beams best; those below are there so that
  // num_beams hypotheses can run on.
  const std::size_t num_eligible = std::min<std::size_t>(candidates_.size(), options_.num_beams);
  for (std::size_t i = 0; i < num_eligible; ++i) {
    const bool with_end_token = is_end(options_, candidates_[i].id);
    if (with_end_token || at_limit) finish(candidates_[i], with_end_token);
  }
  keep_running(at_limit);
  ++length_;
  if (sums_.empty() || cannot_improve()) return true;
  rows_.clear();
  for (int slot = 0; slot < static_cast<int>(sums_.size()); ++slot) rows_.push_back(predicting_row(slot));
  return false;
}

void BeamSearch::collect_candidates(std::span<const VocabularyResult> results) {
  candidates_.clear();
  const auto forced = constraints_.forced(length_, lengths_);
  for (int slot = 0; slot < static_cast<int>(sums_.size()); ++slot) {
    for_each_candidate(forced, options_, processors_[slot], results[slot], num_candidates_,
                       [&](std::int32_t id, float, float log_prob) {
                         candidates_.push_back({sums_[slot] + log_prob, slot, id});
                       });
  }
  // Enough that num_beams are left when every row's end tokens are among them.
  const std::size_t num_ends = options_.eos_token_ids.size();
  const std::size_t kept = std::min((1 + num_ends) * options_.num_beams, candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + kept, candidates_.end(),
                    [](const Candidate& a, const Candidate& b) {
                      return std::tie(b.sum, a.slot, a.id) < std::tie(a.sum, b.slot, b.id);
                    });
  candidates_.resize(kept);
}

// The best num_beams candidates that do not end become the running hypotheses.
void BeamSearch::keep_running(bool at_limit) {
  parents_.clear();
  sums_.clear();
  if (at_limit) return;
  for (const Candidate& candidate : candidates_) {
    if (is_end(options_, candidate.id)) continue;
    const auto tokens = tokens_of(candidate.slot);
    std::int32_t* next = next_tokens_.data() + sums_.size() * lengths_.max;
    std::copy(tokens.begin(), tokens.end(), next);
    next[length_] = candidate.id;
    parents_.push_back(candidate.slot);
    sums_.push_back(candidate.sum);
    if (static_cast<int>(sums_.size()) == options_.num_beams) break;
  }
  std::swap(tokens_, next_tokens_);
}

// Enters a hypothesis among the num_beams best finished ones; of equal scores the earlier stays ahead.
void BeamSearch::finish(const Candidate& candidate, bool with_end_token) {
  const float score = candidate.sum / length_divisor(options_, length_ + 1 - lengths_.prompt);
  if (static_cast<int>(finished_.size()) == options_.num_beams) {
    if (score <= finished_.back().score) return;
    spare_.push_back(std::move(finished_.back()));
    finished_.pop_back();
  }
  Hypothesis hypothesis = std::move(spare_.back());
  spare_.pop_back();
  const auto tokens = tokens_of(candidate.slot).subspan(lengths_.prompt);
  hypothesis.ids.assign(tokens.begin(), tokens.end());
  if (!with_end_token) hypothesis.ids.push_back(candidate.id);
  hypothesis.score = score;
  const auto place =
      std::upper_bound(finished_.begin(), finished_.end(), score,
                       [](float value, const Hypothesis& other) { return value > other.score; });
  finished_.insert(place, std::move(hypothesis));
}

bool BeamSearch::cannot_improve() const {
  if (static_cast<int>(finished_.size()) < options_.num_beams) return false;
  if (options_.early_stopping == EarlyStopping::kImmediate) return true;
  const bool at_max_length =
      options_.early_stopping == EarlyStopping::kNever && options_.length_penalty > 0.0;
  const int num_generated = (at_max_length ? lengths_.max : length_) - lengths_.prompt;
  return !(sums_[0] / length_divisor(options_, num_generated) > finished_.back().score);
}

}  // namespace pyengine
