#include "decode/sampler.h"

#include <algorithm>
#include <cmath>

namespace pyengine {
namespace {

// A strict order, so that sorting has one outcome.
bool is_better(const Sampler::Choice& a, const Sampler::Choice& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

}  // namespace

Sampler::Sampler(const GenerationOptions& options, const Kernels& kernels, std::size_t most)
    : options_(options), kernels_(kernels) {
  choices_.reserve(most);
  values_.reserve(most);
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
  const double sum = total();
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

// The fewest of the best whose probabilities add up to top_p, best first. A heap, because they are few in
// nearly every row of a trained model.
void Sampler::keep_top_p() {
  const double enough = options_.top_p * total();
  const auto is_worse = [](const Choice& a, const Choice& b) { return is_better(b, a); };
  std::make_heap(choices_.begin(), choices_.end(), is_worse);
  auto first = choices_.end();  // of those kept, worst first
  double sum = 0.0;
  do {
    std::pop_heap(choices_.begin(), first, is_worse);
    --first;
    sum += static_cast<double>(first->weight);
  } while (first != choices_.begin() && sum < enough);
  choices_.erase(choices_.begin(), first);
  std::reverse(choices_.begin(), choices_.end());
}

double Sampler::total() const {
  double sum = 0.0;
  for (const Choice& choice : choices_) sum += static_cast<double>(choice.weight);
  return sum;
}

}  // namespace pyengine
