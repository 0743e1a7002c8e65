// Sampling: every token drawn by its probability.
#pragma once

#include "decode/decoding.h"
#include "decode/random.h"
#include "decode/row_processors.h"
#include "decode/sampler.h"

namespace pyengine {

// transformers' generate with do_sample: num_return_sequences independent samples of one sentence, a row for
// each that has not ended. Number i of a sample's stream draws its token i.
class SamplingSearch : public Search {
 public:
  explicit SamplingSearch(const SearchStart& start);

  int num_slots() const override { return options_.num_return_sequences; }
  int max_positions() const override { return lengths_.max - 1; }
  std::span<const DecodingRow> rows() const override { return rows_; }
  std::span<const int> parents() const override { return parents_; }
  bool advance(std::span<const VocabularyResult> results) override;
  // In the order of their streams; the score is that of the probabilities they were drawn with.
  std::span<const Hypothesis> hypotheses() const override { return hypotheses_; }

 private:
  struct Sample {
    int index;
    RandomStream random;
    std::pmr::vector<std::int32_t> tokens;  // prompt and what was drawn
    float sum = 0.0f;                       // of log-probabilities
  };

  std::span<float> logits_of(int slot) {
    return std::span(logits_).subspan(static_cast<std::size_t>(slot) * row_size_, row_size_);
  }
  DecodingRow predicting_row(int slot);
  void collect_choices(const VocabularyResult& result, int length, int slot);
  bool extend(Sample& sample, const VocabularyResult& result, int slot);
  void finish(const Sample& sample, bool with_end_token);

  const GenerationOptions& options_;
  const Constraints& constraints_;
  const Lengths lengths_;
  const int num_candidates_;    // that a row is asked for; 0: the whole row
  const std::size_t row_size_;  // logits that are kept of a row
  Sampler sampler_;
  std::pmr::vector<RowProcessors> processors_;  // [num_slots]
  std::pmr::vector<float> logits_;              // [num_slots][row_size_]
  std::pmr::vector<Sample> running_;            // in slot order, all in slot 0 at first
  std::pmr::vector<int> parents_;               // [running], empty at first
  std::pmr::vector<DecodingRow> rows_;          // [running], the prompt's at first
  std::vector<Hypothesis> hypotheses_;          // [num_return_sequences]
};

}  // namespace pyengine
