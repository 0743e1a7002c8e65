// Beam search, step by step as transformers 4.57 runs it.
#pragma once

#include "decode/decoding.h"
#include "decode/row_processors.h"

namespace pyengine {

// transformers/generation/utils.py, _beam_search, for one sentence. Where transformers carries a hypothesis
// with a score near -1e9 as a placeholder, there is none here: so the first step runs one row.
class BeamSearch : public Search {
 public:
  explicit BeamSearch(const SearchStart& start);

  int num_slots() const override { return options_.num_beams; }
  int max_positions() const override { return lengths_.max - 1; }
  std::span<const DecodingRow> rows() const override { return rows_; }
  std::span<const int> parents() const override { return parents_; }
  bool advance(std::span<const VocabularyResult> results) override;
  std::span<const Hypothesis> hypotheses() const override { return finished_; }

 private:
  struct Candidate {
    float sum;  // of log-probabilities
    int slot;   // of the hypothesis that it continues
    std::int32_t id;
  };

  std::span<const std::int32_t> tokens_of(int slot) const {
    return {tokens_.data() + static_cast<std::size_t>(slot) * lengths_.max,
            static_cast<std::size_t>(length_)};
  }
  void collect_candidates(std::span<const VocabularyResult> results);
  void keep_running(bool at_limit);
  void finish(const Candidate& candidate, bool with_end_token);
  bool cannot_improve() const;
  DecodingRow predicting_row(int slot);

  const GenerationOptions& options_;
  const Constraints& constraints_;
  const Lengths lengths_;
  int num_candidates_;                          // of one row: with all that end, num_beams that run on
  int length_;                                  // tokens of a running hypothesis, its prompt included
  std::pmr::vector<std::int32_t> tokens_;       // [num_beams][lengths_.max] of the running hypotheses
  std::pmr::vector<std::int32_t> next_tokens_;  // the same, while one step is turned into the next
  std::pmr::vector<float> sums_;                // [running] log-probabilities, best first
  std::pmr::vector<int> parents_;               // [running]
  std::pmr::vector<Candidate> candidates_;      // [running * num_candidates_], more with penalties
  std::pmr::vector<RowProcessors> processors_;  // [num_beams]
  std::pmr::vector<DecodingRow> rows_;          // [running], the prompt's at first
  std::vector<Hypothesis> finished_;            // [num_beams] at most, best first
  std::vector<Hypothesis> spare_;               // memory for those that are not finished yet
};

}  // namespace pyengine
