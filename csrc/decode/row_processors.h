// The logits processors at one row of a search: what it asks of the vocabulary, and what the answer comes to.
#pragma once

#include <cstdint>
#include <limits>
#include <memory_resource>
#include <span>
#include <vector>

#include "decode/constraints.h"
#include "kernels/kernels.h"
#include "model/vocabulary.h"

namespace pyengine {

// What a search of one sentence starts from. All of it must outlive the search.
struct SearchStart {
  const GenerationOptions& options;
  const Constraints& constraints;  // of the options
  const Kernels& kernels;
  std::span<const std::int32_t> prompt;  // not empty, shorter than options.max_length
  std::span<const std::int32_t> source;  // what the options of the encoder speak of: the source, or the
                                         // prompt of a model without encoder
  int vocab_size;                        // of the target: a source's ids may lie beyond
  std::pmr::memory_resource* memory;     // of the search's state
};

// Bans are the epilogue's work. A penalty changes a logit by its sign, and in beam search a log-probability,
// which only the whole row gives: such ids are set aside like banned ones, and put back here.
class RowProcessors {
 public:
  // The values that the processors change: greedy search and sampling take the logits, beam search their
  // log-softmax.
  enum class On { kLogits, kLogProbs };

  RowProcessors(const SearchStart& start, const Lengths& lengths, On on);

  // Turns a row's logits [vocab_size] into processed ones.
  void process(const VocabularyResult& result, std::span<float> logits);

  // Ids beside the best that for_each_candidate() visits at most.
  std::size_t max_aside() const { return aside_.capacity(); }

  // Completes `query` for the row that follows `tokens`. What it points to stays as it is until the next
  // call.
  void prepare(std::span<const std::int32_t> tokens, VocabularyQuery& query);

  // Calls visit(id, value, log_prob) for the top_k best ids that no penalty concerns, and for all others that
  // may come next. `value` is the processed logit; `log_prob` the processed log-probability of beam search,
  // else the model's own, or with renormalize_logits that of the processed logits.
  template <class Visit>
  void for_each_candidate(const VocabularyResult& result, int top_k, Visit visit) {
    if (!penalizes_) {
      visit_rest(result, top_k, {result.log_sum_exp, 0.0f}, visit);
      return;
    }
    const Norms norms = put_back(result.log_sum_exp);
    visit_rest(result, top_k, norms, visit);
    for (const Aside& aside : aside_) {
      if (aside.value > -kInfinity) visit(aside.id, aside.value, aside.log_prob);
    }
  }

 private:
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  // An id that a processor concerns.
  struct Aside {
    std::int32_t id;
    bool is_banned = false, is_source = false, is_history = false;
    float value = 0.0f, log_prob = 0.0f;  // set by put_back()
  };
  // What is subtracted from a logit, one after the other, to give its log-probability.
  struct Norms {
    float first, second;
  };

  template <class Visit>
  static void visit_rest(const VocabularyResult& result, int top_k, const Norms& norms, Visit& visit) {
    for (int i = 0; i < top_k && result.ids[i] >= 0; ++i) {
      visit(result.ids[i], result.values[i], (result.values[i] - norms.first) - norms.second);
    }
  }
  void set_aside(std::span<const std::int32_t> tokens);
  Norms put_back(float rest_log_sum_exp);
  float penalized(const Aside& aside, float value) const;
  float log_sum_exp_with(std::span<const float> values, float rest) const;

  const GenerationOptions& options_;
  const Constraints& constraints_;
  const Kernels& kernels_;
  const std::span<const std::int32_t> source_;
  const std::int32_t vocab_size_;
  const Lengths lengths_;
  const On on_;
  const bool penalizes_;
  std::pmr::vector<std::int32_t> banned_;
  // With penalties: all ids that are banned or penalised, ascending.
  std::pmr::vector<Aside> aside_;
  std::pmr::vector<std::int32_t> aside_ids_;
  std::pmr::vector<float> aside_logits_;
  std::pmr::vector<float> aside_values_;  // set by put_back()
};

}  // namespace pyengine
