#include "decode/forward.h"

#include <algorithm>

#include "model/shortlist.h"

namespace pyengine {

Forward::Forward(const ModelConfig& config, const Weights& weights, const Kernels& kernels, PagePool& pages)
    : config_(config),
      weights_(weights),
      pages_(pages),
      runtime_{kernels, ThreadPool::shared(), 1, workspace_} {}

void Forward::encode(std::span<Sentence* const> sentences) {
  workspace_.reset();
  std::size_t num_tokens = 0;
  for (const Sentence* sentence : sentences) num_tokens += sentence->source.size();
  auto* tokens = workspace_.take<std::int32_t>(num_tokens);
  auto* offsets = workspace_.take<std::int32_t>(sentences.size() + 1);
  float* hidden = workspace_.take<float>(num_tokens * config_.hidden_size);
  offsets[0] = 0;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const auto source = sentences[i]->source;
    std::copy(source.begin(), source.end(), tokens + offsets[i]);
    offsets[i + 1] = offsets[i] + static_cast<std::int32_t>(source.size());
  }
  pyengine::encode(runtime_, config_, weights_, {{tokens, num_tokens}, {offsets, sentences.size() + 1}},
                   hidden);

  auto* positions = workspace_.take<std::int32_t>(num_tokens);
  auto* pages = workspace_.take<std::byte*>(num_tokens);
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    open_caches(*sentences[i]);
    for (int row = offsets[i]; row < offsets[i + 1]; ++row) {
      positions[row] = row - offsets[i];
      pages[row] = sentences[i]->source_cache->page_of(positions[row]);
    }
  }
  fill_cross_cache(runtime_, weights_, pages_.layout(), hidden,
                   {static_cast<int>(num_tokens), positions, pages});
  select_candidates(sentences);
}

void Forward::open_caches(Sentence& sentence) {
  sentence.source_cache.emplace(pages_, static_cast<int>(sentence.source.size()));
  const int num_slots = sentence.decoding->num_slots();
  if (config_.decoder_kind == DecoderKind::kSsru) {
    const std::size_t size = static_cast<std::size_t>(config_.decoder_layers) * config_.hidden_size;
    sentence.states.emplace(num_slots, size);
  } else {
    sentence.target_cache.emplace(pages_, num_slots, sentence.decoding->max_positions());
  }
}

void Forward::select_candidates(std::span<Sentence* const> sentences) {
  // Side by side, a thousand columns of 256 take 4 us instead of 9 in every step (EPYC (Zen 4)), and one
  // copy. Those of many sentences would drive each other out of the caches, while the table's are partly the
  // same.
  constexpr std::size_t kFew = 4;
  const bool side_by_side = sentences.size() < kFew;
  runtime_.pool.run(static_cast<int>(sentences.size()), runtime_.num_threads, [&](int index, int) {
    Sentence& sentence = *sentences[index];
    if (sentence.candidates.empty()) return;
    sentence.candidate_head = pyengine::select_candidates(weights_, sentence.candidates, side_by_side);
  });
}

DecoderBatch Forward::build_batch(std::span<Sentence* const> sentences) {
  std::size_t num_rows = 0;
  for (const Sentence* sentence : sentences) num_rows += sentence->decoding->rows().size();
  auto* tokens = workspace_.take<std::int32_t>(num_rows);
  auto* positions = workspace_.take<std::int32_t>(num_rows);
  auto* num_keys = workspace_.take<std::int32_t>(num_rows);
  auto* num_source_keys = workspace_.take<std::int32_t>(num_rows);
  auto* pages = workspace_.take<std::byte*>(num_rows);
  auto* states = workspace_.take<float*>(num_rows);
  auto* groups = workspace_.take<AttentionGroup>(num_rows);  // at most one a row
  auto* source_groups = workspace_.take<AttentionGroup>(sentences.size());
  std::size_t num_groups = 0;
  int row = 0;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    Sentence& sentence = *sentences[i];
    auto& cache = sentence.target_cache;
    auto& recurrent = sentence.states;
    const auto rows = sentence.decoding->rows();
    const auto parents = sentence.decoding->parents();
    source_groups[i] = {row, static_cast<int>(rows.size()), sentence.source_cache->keys()};
    if (cache && !parents.empty()) cache->reorder(parents);
    if (recurrent && !parents.empty()) recurrent->reorder(parents);
    for (std::size_t first = 0, end = 0; first < rows.size(); first = end) {
      // The rows of one slot see the same keys, the last of them all.
      const int slot = rows[first].slot, first_row = row;
      for (end = first; end < rows.size() && rows[end].slot == slot; ++end, ++row) {
        tokens[row] = rows[end].token;
        positions[row] = rows[end].position;
        num_keys[row] = rows[end].position + 1;
        num_source_keys[row] = static_cast<std::int32_t>(sentence.source.size());
        if (cache) pages[row] = cache->append(slot, rows[end].position);
        if (recurrent) states[row] = recurrent->of(slot);
      }
      if (!cache) continue;
      groups[num_groups++] = {first_row, row - first_row, cache->keys(slot, num_keys[row - 1], workspace_)};
    }
  }
  return {row,
          tokens,
          positions,
          num_keys,
          pages,
          states,
          {groups, num_groups},
          num_source_keys,
          {source_groups, sentences.size()}};
}

// Each sentence with candidates has columns of its own; the others share all of them.
std::span<const VocabularyRows> Forward::group_rows(std::span<Sentence* const> sentences) {
  auto* groups = workspace_.take<VocabularyRows>(sentences.size());
  std::size_t count = 0;
  for (const Sentence* sentence : sentences) {
    const Linear& lm_head = sentence->candidate_head ? *sentence->candidate_head : weights_.lm_head;
    const int num_rows = static_cast<int>(sentence->decoding->rows().size());
    if (count > 0 && groups[count - 1].lm_head == &lm_head) {
      groups[count - 1].num_rows += num_rows;
    } else {
      groups[count++] = {&lm_head, sentence->candidates, num_rows};
    }
  }
  return {groups, count};
}

void Forward::step(std::span<Sentence* const> sentences) {
  workspace_.reset();
  const DecoderBatch batch = build_batch(sentences);
  float* hidden = workspace_.take<float>(static_cast<std::size_t>(batch.num_rows) * config_.hidden_size);
  decoder_step(runtime_, config_, weights_, pages_.layout(), batch, hidden);

  auto* queries = workspace_.take<VocabularyQuery>(batch.num_rows);
  auto* results = workspace_.take<VocabularyResult>(batch.num_rows);
  std::size_t row = 0;
  for (const Sentence* sentence : sentences) {
    for (const DecodingRow& decoding_row : sentence->decoding->rows()) queries[row++] = decoding_row.query;
  }
  project_to_vocabulary(runtime_, group_rows(sentences), hidden, {queries, row}, results);

  row = 0;
  for (Sentence* sentence : sentences) {
    const std::size_t num_rows = sentence->decoding->rows().size();
    sentence->done = sentence->decoding->advance({results + row, num_rows});
    row += num_rows;
  }
}

void Forward::encoder_hidden_states(std::span<const std::int32_t> source, float* hidden) {
  workspace_.reset();
  const std::int32_t offsets[] = {0, static_cast<std::int32_t>(source.size())};
  pyengine::encode(runtime_, config_, weights_, {source, offsets}, hidden);
}

}  // namespace pyengine
