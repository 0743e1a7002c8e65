#include "decode/row_processors.h"

#include <algorithm>

namespace pyengine {

RowProcessors::RowProcessors(const SearchStart& start, const Lengths& lengths, On on)
    : options_(start.options),
      constraints_(start.constraints),
      kernels_(start.kernels),
      source_(start.source),
      vocab_size_(start.vocab_size),
      lengths_(lengths),
      on_(on),
      penalizes_(options_.repetition_penalty != 1.0 || options_.encoder_repetition_penalty != 1.0),
      banned_(start.memory),
      aside_(start.memory),
      aside_ids_(start.memory),
      aside_logits_(start.memory),
      aside_values_(start.memory) {
  // All that a step writes to, so that none allocates.
  const std::size_t most = constraints_.max_banned(lengths.max, source_.size());
  banned_.reserve(most);
  if (!penalizes_) return;
  aside_.reserve(most + lengths.max + source_.size());
  aside_ids_.reserve(aside_.capacity());
  aside_logits_.reserve(aside_.capacity());
  aside_values_.reserve(aside_.capacity());
}

void RowProcessors::prepare(std::span<const std::int32_t> tokens, VocabularyQuery& query) {
  constraints_.ban(tokens, source_, lengths_, banned_);
  // Of a source with a vocabulary of its own, ids that no target has.
  while (!banned_.empty() && banned_.back() >= vocab_size_) banned_.pop_back();
  query.banned = banned_;
  query.renormalize = options_.renormalize_logits;
  if (!penalizes_) return;
  set_aside(tokens);
  query.banned = aside_ids_;
  query.renormalize = true;  // the sum is that of the rest
  query.banned_logits = aside_logits_.data();
}

void RowProcessors::process(const VocabularyResult& result, std::span<float> logits) {
  for (const std::int32_t id : banned_) logits[id] = -kInfinity;
  if (!penalizes_) return;
  put_back(result.log_sum_exp);
  for (const Aside& aside : aside_) logits[aside.id] = aside.value;
}

void RowProcessors::set_aside(std::span<const std::int32_t> tokens) {
  aside_.clear();
  for (const std::int32_t id : banned_) aside_.push_back({.id = id, .is_banned = true});
  if (options_.encoder_repetition_penalty != 1.0) {
    for (const std::int32_t id : source_) {
      if (id < vocab_size_) aside_.push_back({.id = id, .is_source = true});
    }
  }
  if (options_.repetition_penalty != 1.0) {
    for (const std::int32_t id : tokens) aside_.push_back({.id = id, .is_history = true});
  }
  std::sort(aside_.begin(), aside_.end(), [](const Aside& a, const Aside& b) { return a.id < b.id; });
  std::size_t count = 0;
  for (const Aside& entry : aside_) {
    if (count > 0 && aside_[count - 1].id == entry.id) {
      Aside& same = aside_[count - 1];
      same.is_banned |= entry.is_banned;
      same.is_source |= entry.is_source;
      same.is_history |= entry.is_history;
    } else {
      aside_[count++] = entry;
    }
  }
  aside_.resize(count);
  aside_ids_.clear();
  for (const Aside& entry : aside_) aside_ids_.push_back(entry.id);
  aside_logits_.resize(count);
  aside_values_.resize(count);
}

// Gives every id that is set aside its value and log-probability; returns how the rest get theirs.
RowProcessors::Norms RowProcessors::put_back(float rest_log_sum_exp) {
  const float whole = log_sum_exp_with(aside_logits_, rest_log_sum_exp);
  const float shift = on_ == On::kLogProbs ? whole : 0.0f;
  for (std::size_t i = 0; i < aside_.size(); ++i) {
    aside_[i].log_prob = aside_logits_[i] - whole;
    aside_[i].value = penalized(aside_[i], aside_logits_[i] - shift);
    aside_values_[i] = aside_[i].value;
  }
  const bool renormalize = options_.renormalize_logits;
  const float norm = renormalize ? log_sum_exp_with(aside_values_, rest_log_sum_exp - shift) : 0.0f;
  if (renormalize || on_ == On::kLogProbs) {
    for (Aside& entry : aside_) entry.log_prob = entry.value - norm;
  }
  if (on_ == On::kLogProbs) return {whole, norm};
  return {renormalize ? norm : whole, 0.0f};
}

float RowProcessors::penalized(const Aside& aside, float value) const {
  const auto penalize = [&](bool applies, double penalty) {
    const auto rounded = static_cast<float>(penalty);
    if (applies) value = value < 0.0f ? value * rounded : value / rounded;
  };
  if (aside.is_banned) return -kInfinity;
  penalize(aside.is_source, 1.0 / options_.encoder_repetition_penalty);
  penalize(aside.is_history, options_.repetition_penalty);
  return value;
}

// The log of the sum of exponentials of `values` and of others whose own is `rest`.
float RowProcessors::log_sum_exp_with(std::span<const float> values, float rest) const {
  const MaxSum runs[] = {{rest, 1.0f}, kernels_.max_sum_exp(values.data(), static_cast<int>(values.size()))};
  return kernels_.log_sum_exp(runs, 2);
}

}  // namespace pyengine
