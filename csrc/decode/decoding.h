// The state of one sentence while it is decoded. It never sees the batch: the scheduler owns the loop.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/vocabulary.h"

namespace pyengine {

// One row to run: feed `token` at `position` of the hypothesis in `slot`, then take `query` from the logits.
struct DecodingRow {
  std::int32_t token;
  int position;
  int slot;
  VocabularyQuery query;
  bool predicts = true;  // false: a token of a prompt, which leaves its key and value and has no result
};

class Decoding {
 public:
  virtual ~Decoding() = default;

  // Hypotheses that live at once at most, and positions that one of them may write.
  virtual int num_slots() const = 0;
  virtual int max_positions() const = 0;

  // Rows of the next step, ordered by slot. Valid until advance().
  virtual std::span<const DecodingRow> rows() const = 0;

  // Slot i of the next step continues slot parents()[i] of the last one; empty if every slot continues
  // itself.
  virtual std::span<const int> parents() const = 0;

  // Takes the results of those of rows() that predict, one each; true if the sentence is done.
  virtual bool advance(std::span<const VocabularyResult> results) = 0;
};

// A result of a search.
struct Hypothesis {
  std::vector<std::int32_t> ids;  // without decoder start token and end token
  float score = 0.0f;             // sum of log-probabilities / (tokens with the end token)^length_penalty;
                                  // NaN of a greedy search without return_scores
};

// A Decoding that looks for the best target.
class Search : public Decoding {
 public:
  // Best first; complete once advance() has returned true.
  virtual std::span<const Hypothesis> hypotheses() const = 0;
};

}  // namespace pyengine
