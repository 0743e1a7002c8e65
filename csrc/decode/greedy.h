// Greedy search: the most probable token at every step.
#pragma once

#include "decode/decoding.h"
#include "decode/row_processors.h"

namespace pyengine {

// transformers' generate with num_beams=1. The score, which transformers leaves out, is the beam search's.
class GreedySearch : public Search {
 public:
  explicit GreedySearch(const SearchStart& start);

  int num_slots() const override { return 1; }
  int max_positions() const override { return lengths_.max - 1; }
  std::span<const DecodingRow> rows() const override { return rows_; }
  std::span<const int> parents() const override { return {}; }
  bool advance(std::span<const VocabularyResult> results) override;
  std::span<const Hypothesis> hypotheses() const override { return {&hypothesis_, 1}; }

 private:
  void predict_last_row();

  const GenerationOptions& options_;
  const Constraints& constraints_;
  const Lengths lengths_;
  std::pmr::vector<std::int32_t> tokens_;  // prompt and what was generated
  RowProcessors processors_;
  std::pmr::vector<DecodingRow> rows_;  // of the prompt at first, then one
  float sum_ = 0.0f;                    // of log-probabilities
  Hypothesis hypothesis_;
};

}  // namespace pyengine
