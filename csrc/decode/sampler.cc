#include "decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace pyengine {
namespace {

// A strict order, so that sorting has one outcome.
bool is_better(const Sampler::Choice& a, const Sampler::Choice& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

double total_of(std::span<const Sampler::Choice> choices) {
  double sum = 0.0;
  for (const Sampler::Choice& choice : choices) sum += static_cast<double>(choice.weight);
  return sum;
}

template <class IsBefore>
Sampler::Choice median(const Sampler::Choice& a, const Sampler::Choice& b, const Sampler::Choice& c,
                       IsBefore is_before) {
  if (is_before(a, b) != is_before(a, c)) return a;
  return is_before(b, a) != is_before(b, c) ? b : c;
}

}  // namespace

Sampler::Sampler(const GenerationOptions& options, const Kernels& kernels, std::size_t most,
                 std::pmr::memory_resource* memory)
    : options_(options), kernels_(kernels), choices_(memory), values_(memory), scratch_(memory) {
  choices_.reserve(most);
  values_.reserve(most);
  if (options.top_p < 1.0 || options.typical_p < 1.0) scratch_.reserve(most);
}

Sampler::Draw Sampler::draw(double uniform) {
  if (choices_.empty()) return {-1, 0.0f};
  const auto temperature = static_cast<float>(options_.temperature);
  for (Choice& choice : choices_) choice.logit /= temperature;
  if (options_.top_k > 0) keep_top_k();
  weigh();
  if (options_.top_p < 1.0) keep_top_p();
  if (options_.min_p > 0.0) {  // the largest weight is 1
    std::erase_if(choices_, [&](const Choice& choice) { return choice.weight < options_.min_p; });
  }
  if (options_.typical_p < 1.0) keep_typical();
  const double sum = total_of(choices_);
  double remaining = uniform * sum;
  auto drawn = choices_.begin();
  for (; drawn + 1 != choices_.end(); ++drawn) {
    remaining -= static_cast<double>(drawn->weight);
    if (remaining < 0.0) break;
  }
  return {drawn->id, static_cast<float>(std::log(static_cast<double>(drawn->weight) / sum))};
}

// The k best, best first.
void Sampler::keep_top_k() {
  const std::size_t kept = std::min<std::size_t>(options_.top_k, choices_.size());
  std::partial_sort(choices_.begin(), choices_.begin() + kept, choices_.end(), is_better);
  choices_.resize(kept);
}

void Sampler::weigh() {
  values_.clear();
  for (const Choice& choice : choices_) values_.push_back(choice.logit);
  const float largest = *std::max_element(values_.begin(), values_.end());
  kernels_.exp_shifted(values_.data(), static_cast<int>(values_.size()), largest, values_.data());
  for (std::size_t i = 0; i < choices_.size(); ++i) choices_[i].weight = values_[i];
  std::erase_if(choices_, [](const Choice& choice) { return choice.weight == 0.0f; });
}

// The fewest of the best whose probabilities add up to top_p, in the order they are in.
void Sampler::keep_top_p() {
  const Choice worst = last_of_share(options_.top_p, is_better);
  std::erase_if(choices_, [&](const Choice& choice) { return is_better(worst, choice); });
}

// Those whose information, -log p, is nearest to the entropy; of equally near ones all or none. Both hold the
// logarithm of the same sum, so that the distance is that of the logit from the mean logit.
void Sampler::keep_typical() {
  double mean = 0.0;
  for (const Choice& choice : choices_) {
    mean += static_cast<double>(choice.weight) * static_cast<double>(choice.logit);
  }
  mean /= total_of(choices_);
  const auto distance = [mean](const Choice& choice) {
    return std::abs(static_cast<double>(choice.logit) - mean);
  };
  const Choice last = last_of_share(options_.typical_p, [&](const Choice& a, const Choice& b) {
    return distance(a) < distance(b) || (distance(a) == distance(b) && a.id < b.id);
  });
  std::erase_if(choices_, [&](const Choice& choice) { return distance(choice) > distance(last); });
}

// The last of the fewest first ones that have this share of all weights. Splits as quickselect does, by sums
// in place of counts: sorting a row would take many times as long.
template <class IsBefore>
Sampler::Choice Sampler::last_of_share(double share, IsBefore is_before) {
  const double enough = share * total_of(choices_);
  scratch_ = choices_;
  auto begin = scratch_.begin(), end = scratch_.end();
  Choice last = *begin;
  double before = 0.0;  // the weights of all that are before those between begin and end
  while (begin != end) {
    const Choice pivot = median(*begin, begin[(end - begin) / 2], end[-1], is_before);
    const auto rest = std::partition(begin, end, [&](const Choice& c) { return is_before(c, pivot); });
    const double sum = total_of({begin, rest});
    if (begin != rest && before + sum >= enough) {
      end = rest;
      continue;
    }
    last = pivot;
    before += sum + static_cast<double>(pivot.weight);
    if (before >= enough) break;
    begin = std::partition(rest, end, [&](const Choice& c) { return c.id == pivot.id; });
  }
  return last;
}

}  // namespace pyengine
