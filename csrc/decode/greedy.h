// Greedy search: the most probable token at every step.
#pragma once

#include "decode/constraints.h"
#include "decode/decoding.h"

namespace pyengine {

// transformers' generate with num_beams=1. The score, which transformers leaves out, is the beam search's.
class GreedySearch : public Search {
 public:
  // Both must outlive the search.
  GreedySearch(const GenerationOptions& options, const Constraints& constraints);

  int num_slots() const override { return 1; }
  int max_positions() const override { return options_.max_length - 1; }
  std::span<const DecodingRow> rows() const override { return {&row_, 1}; }
  std::span<const int> parents() const override { return {}; }
  bool advance(std::span<const VocabularyResult> results) override;
  std::span<const Hypothesis> hypotheses() const override { return {&hypothesis_, 1}; }

 private:
  void prepare_row();

  const GenerationOptions& options_;
  const Constraints& constraints_;
  std::vector<std::int32_t> tokens_;  // decoder start token and what was generated
  std::vector<std::int32_t> banned_;
  DecodingRow row_;
  float sum_ = 0.0f;  // of log-probabilities
  Hypothesis hypothesis_;
};

}  // namespace pyengine
