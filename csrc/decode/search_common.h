// What greedy and beam search share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "decode/options.h"
#include "model/vocabulary.h"

namespace pyengine {

inline bool is_end(const GenerationOptions& options, std::int32_t id) {
  return std::find(options.eos_token_ids.begin(), options.eos_token_ids.end(), id) !=
         options.eos_token_ids.end();
}

// What a sum of log-probabilities is divided by, rounded to float32 as transformers' tensors round it.
inline float length_divisor(const GenerationOptions& options, int num_generated) {
  return static_cast<float>(std::pow(static_cast<double>(num_generated), options.length_penalty));
}

// Calls visit(id, log_prob) for the tokens that may come next, best first: the forced ones if there are any,
// else the best of the row.
template <class Visit>
void for_each_candidate(std::span<const std::int32_t> forced, const GenerationOptions& options,
                        const VocabularyResult& result, int top_k, Visit visit) {
  // Forced tokens have logit 0 and all others none, which renormalising leaves at -log(their number).
  const float forced_log_prob = options.renormalize_logits
                                    ? -std::log(static_cast<float>(std::max<std::size_t>(forced.size(), 1)))
                                    : 0.0f;
  for (const std::int32_t id : forced) visit(id, forced_log_prob);
  if (!forced.empty()) return;
  for (int i = 0; i < top_k && result.ids[i] >= 0; ++i)
    visit(result.ids[i], result.values[i] - result.log_sum_exp);
}

}  // namespace pyengine
