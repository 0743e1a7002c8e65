#include "decode/sampling.h"

#include "decode/search_common.h"

namespace pyengine {
namespace {

// Candidates that a row keeps sorted at most; to pick more, the whole row is taken.
constexpr int kMaxCandidates = 256;

}  // namespace

SamplingSearch::SamplingSearch(const SearchStart& start)
    : options_(start.options),
      constraints_(start.constraints),
      lengths_(lengths_of(options_, start.prompt.size(), start.source.size())),
      num_candidates_(options_.top_k <= kMaxCandidates ? options_.top_k : 0),
      row_size_(num_candidates_ > 0 ? 0 : start.vocab_size),
      sampler_(options_, start.kernels, row_size_ + num_candidates_ + lengths_.max + start.source.size(),
               start.memory),
      processors_(start.memory),
      logits_(row_size_ * options_.num_return_sequences, start.memory),
      running_(start.memory),
      parents_(start.memory),
      rows_(prompt_rows(start)),
      hypotheses_(options_.num_return_sequences) {
  processors_.reserve(options_.num_return_sequences);
  running_.reserve(options_.num_return_sequences);
  for (int i = 0; i < options_.num_return_sequences; ++i) {
    processors_.emplace_back(start, lengths_, RowProcessors::On::kLogits);
    Sample sample{i, RandomStream(options_.seed, start.source, i),
                  std::pmr::vector<std::int32_t>(start.memory)};
    sample.tokens.reserve(lengths_.max);
    sample.tokens.assign(start.prompt.begin(), start.prompt.end());
    running_.push_back(std::move(sample));
  }
  parents_.reserve(running_.size());
  rows_.reserve(std::max(rows_.size(), running_.size()));
  rows_.back() = predicting_row(0);
}

DecodingRow SamplingSearch::predicting_row(int slot) {
  const std::span<const std::int32_t> tokens = running_[slot].tokens;
  DecodingRow row{tokens.back(), static_cast<int>(tokens.size()) - 1, slot, {}};
  processors_[slot].prepare(tokens, row.query);
  row.query.log_sum_exp = false;
  row.query.top_k = num_candidates_;
  if (row_size_ > 0) {
    std::ranges::fill(logits_of(slot), -std::numeric_limits<float>::infinity());
    row.query.logits = logits_of(slot).data();
  }
  return row;
}

bool SamplingSearch::advance(std::span<const VocabularyResult> results) {
  const bool is_first = parents_.empty();  // all draw from the prompt's row
  parents_.clear();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < running_.size(); ++i) {
    const int slot = is_first ? 0 : static_cast<int>(i);
    if (extend(running_[i], results[slot], slot)) continue;
    parents_.push_back(slot);
    std::swap(running_[kept++], running_[i]);
  }
  running_.erase(running_.begin() + kept, running_.end());
  rows_.clear();
  for (int slot = 0; slot < static_cast<int>(kept); ++slot) rows_.push_back(predicting_row(slot));
  return running_.empty();
}

// Draws the next token of a sample from the row of `slot`; true if it is complete.
bool SamplingSearch::extend(Sample& sample, const VocabularyResult& result, int slot) {
  const int length = static_cast<int>(sample.tokens.size());
  collect_choices(result, length, slot);
  const auto [id, log_prob] = sampler_.draw(sample.random.uniform(length - lengths_.prompt));
  sample.sum += log_prob;
  if (id >= 0) sample.tokens.push_back(id);
  const bool ends = id < 0 || is_end(options_, id);
  if (!ends && length + 1 < lengths_.max) return false;
  finish(sample, ends && id >= 0);
  return true;
}

void SamplingSearch::collect_choices(const VocabularyResult& result, int length, int slot) {
  std::pmr::vector<Sampler::Choice>& choices = sampler_.choices();
  choices.clear();
  const auto add = [&](std::int32_t id, float value) {
    if (value > -std::numeric_limits<float>::infinity()) choices.push_back({id, value});
  };
  const auto forced = constraints_.forced(length, lengths_);
  if (!forced.empty()) {
    for (const std::int32_t id : forced) add(id, 0.0f);
  } else if (row_size_ == 0) {
    processors_[slot].for_each_candidate(result, num_candidates_,
                                         [&](std::int32_t id, float value, float) { add(id, value); });
  } else {
    const std::span<float> logits = logits_of(slot);
    processors_[slot].process(result, logits);
    for (std::size_t id = 0; id < logits.size(); ++id) add(static_cast<std::int32_t>(id), logits[id]);
  }
}

void SamplingSearch::finish(const Sample& sample, bool with_end_token) {
  Hypothesis& hypothesis = hypotheses_[sample.index];
  const int num_generated = std::max(1, static_cast<int>(sample.tokens.size()) - lengths_.prompt);
  hypothesis.score = sample.sum / length_divisor(options_, num_generated);
  hypothesis.ids.assign(sample.tokens.begin() + lengths_.prompt,
                        sample.tokens.end() - (with_end_token ? 1 : 0));
}

}  // namespace pyengine
