// What greedy and beam search share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include "decode/decoding.h"
#include "decode/row_processors.h"

namespace pyengine {

inline bool is_end(const GenerationOptions& options, std::int32_t id) {
  return std::ranges::binary_search(options.eos_token_ids, id);
}

// What a sum of log-probabilities is divided by, rounded to float32 as transformers' tensors round it.
inline float length_divisor(const GenerationOptions& options, int num_generated) {
  return static_cast<float>(std::pow(static_cast<double>(num_generated), options.length_penalty));
}

// The rows of a prompt in slot 0; none of them predicts yet.
inline std::pmr::vector<DecodingRow> prompt_rows(const SearchStart& start) {
  std::pmr::vector<DecodingRow> rows(start.memory);
  for (const std::int32_t token : start.prompt) {
    rows.push_back({token, static_cast<int>(rows.size()), 0, {}, false});
  }
  return rows;
}

// Calls visit(id, value, log_prob) for the top_k best tokens that may come next, and perhaps for others: of
// the forced ones if there are any, which are equally good, else of the row. See
// RowProcessors::for_each_candidate.
template <class Visit>
void for_each_candidate(std::span<const std::int32_t> forced, const GenerationOptions& options,
                        RowProcessors& processors, const VocabularyResult& result, int top_k, Visit visit) {
  if (forced.empty()) {
    processors.for_each_candidate(result, top_k, visit);
    return;
  }
  // Forced tokens have logit 0 and all others none, which renormalising leaves at -log(their number).
  const double count = static_cast<double>(forced.size());
  const float log_prob = options.renormalize_logits ? static_cast<float>(-std::log(count)) : 0.0f;
  for (const std::int32_t id : forced.first(std::min<std::size_t>(top_k, forced.size()))) {
    visit(id, 0.0f, log_prob);
  }
}

}  // namespace pyengine
