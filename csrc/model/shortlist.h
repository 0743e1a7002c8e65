// A lexical shortlist: which target ids a translation is chosen from, given the ids of its source.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/array.h"
#include "model/config.h"
#include "model/weights.h"

namespace pyengine {

// Made from the alignments of a training text: of each source id the target ids that translate it best.
struct Shortlist {
  std::int32_t num_first = 0;      // the ids below are candidates of every sentence: the frequent ones
  Array<std::uint64_t> offsets;    // [source ids + 1] of each source id in `entries`; later ids have none
  Array<std::uint32_t> entries;    // target ids
  bool shared_vocabulary = false;  // of source and target: the ids of a source are its candidates too
};

// Throws std::invalid_argument if the sizes and ids of `shortlist` are not those of a model of `config`.
void check_shortlist(const Shortlist& shortlist, const ModelConfig& config);

// The candidates of a sentence, ascending: the first ids, the entries of all its source ids, these ids too if
// the vocabulary is shared, and `always`. They depend on the sentence alone.
std::vector<std::int32_t> candidates(const Shortlist& shortlist, std::span<const std::int32_t> source,
                                     std::span<const std::int32_t> always, int vocab_size);

// Entries of the table of candidates, 0 unless the output projection is int8: its columns as the rows of a
// table, which select_candidates() needs.
std::size_t candidate_table_size(const Linear& lm_head);
Array<std::int8_t> make_candidate_table(const Linear& lm_head);

// Makes that table of weights that were packed without it.
void add_candidate_table(Weights& weights);

// Makes that table the token table of a model that ties the two, so that the panels are left alone: of mapped
// weights they then take no memory.
void embed_by_candidate_table(Weights& weights);

// The output projection with the columns of those ids only. Of floats they are copied; of int8, exact in
// whatever order, they stay in the table of add_candidate_table(), unless they are wanted `side_by_side`.
Linear select_candidates(const Weights& weights, std::span<const std::int32_t> ids, bool side_by_side);

}  // namespace pyengine
