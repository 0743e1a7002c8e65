// The output projection, reduced panel by panel: the full row of logits is never stored unless asked for.
#pragma once

#include <cstdint>
#include <span>

#include "model/operators.h"

namespace pyengine {

// What to take from the logits of one row.
struct VocabularyQuery {
  std::span<const std::int32_t>
      banned;                      // ascending ids whose logit becomes -inf, so that they are never best
  bool renormalize = false;        // banned ids count nothing in the sum of exponentials either
  float* banned_logits = nullptr;  // with renormalize: where to write what their logits were, or null
                                   // [banned.size()]; -inf of an id that the row cannot choose
  int top_k = 0;                   // how many of the best to return
  bool log_sum_exp = true;         // whether it is wanted
  std::int32_t target = -1;        // an id whose logit is wanted, or -1
  float* logits = nullptr;         // where to write the whole row [vocab_size] before bans, or null; ids that
                                   // the row cannot choose are left as they are
};

struct VocabularyResult {
  float log_sum_exp;   // log of the sum of exponentials of the row; a log-probability is logit - this; NaN if
                       // not wanted
  float target_logit;  // logit of query.target
  const float* values;  // [top_k] best logits, descending, ties by lower id; fewer are filled up with -inf
  const std::int32_t* ids;  // [top_k] theirs, -1 where filled up
};

// Rows that choose from the same ids.
struct VocabularyRows {
  const Linear* lm_head;  // [hidden_size, number of ids]; one weight type in all that are projected
  std::span<const std::int32_t> ids;  // id of each column, ascending; empty: the column itself
  int num_rows;
};

// The rows of `groups` one after another: hidden [queries.size(), hidden_size] -> results [queries.size()],
// whose arrays lie in the workspace.
void project_to_vocabulary(const Runtime& runtime, std::span<const VocabularyRows> groups,
                           const float* hidden, std::span<const VocabularyQuery> queries,
                           VocabularyResult* results);

}  // namespace pyengine
