#include "decode/forward.h"

#include <algorithm>
#include <utility>

#include "model/shortlist.h"

namespace pyengine {
namespace {

// Tokens that are encoded together, unless one sentence has more. Bounds the scratch: 7 MB for the shape of
// OPUS-MT base, where 32 long sentences at once took 36 MB.
constexpr std::size_t kMaxTokens = 256;

int num_predicting(const Decoding& decoding) {
  const auto rows = decoding.rows();
  return static_cast<int>(
      std::count_if(rows.begin(), rows.end(), [](const DecodingRow& row) { return row.predicts; }));
}

}  // namespace

Forward::Forward(const ModelConfig& config, const Weights& weights, const Kernels& kernels, PagePool& pages)
    : config_(config),
      weights_(weights),
      pages_(pages),
      runtime_{kernels, ThreadPool::shared(), 1, workspace_} {}

void Forward::enter(std::span<Sentence* const> sentences) {
  workspace_.reset();
  for (std::size_t first = 0, end = 0; config_.encoder_layers > 0 && end < sentences.size(); first = end) {
    const Workspace::Scope scope(workspace_);
    std::size_t num_tokens = 0;
    do {
      num_tokens += sentences[end++]->source.size();
    } while (end < sentences.size() && num_tokens + sentences[end]->source.size() <= kMaxTokens);
    encode(sentences.subspan(first, end - first));
  }
  select_candidates(sentences);
  for (Sentence* sentence : sentences) {
    sentence->done = sentence->decoding == nullptr;
    if (!sentence->done) open_history(*sentence);
    sentence->entered = true;
  }
}

void Forward::encode(std::span<Sentence* const> sentences) {
  std::size_t num_tokens = 0;
  for (const Sentence* sentence : sentences) num_tokens += sentence->source.size();
  auto* tokens = workspace_.take<std::int32_t>(num_tokens);
  auto* types = workspace_.take<std::int32_t>(num_tokens);
  auto* offsets = workspace_.take<std::int32_t>(sentences.size() + 1);
  float* hidden = workspace_.take<float>(num_tokens * config_.hidden_size);
  offsets[0] = 0;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const auto source = sentences[i]->source, token_types = sentences[i]->token_types;
    std::copy(source.begin(), source.end(), tokens + offsets[i]);
    std::fill_n(types + offsets[i], source.size(), 0);
    std::copy(token_types.begin(), token_types.end(), types + offsets[i]);
    offsets[i + 1] = offsets[i] + static_cast<std::int32_t>(source.size());
  }
  const EncoderBatch batch{{tokens, num_tokens}, {offsets, sentences.size() + 1}, {types, num_tokens}};
  pyengine::encode(runtime_, config_, weights_, batch, hidden);
  hand_out(sentences, hidden);
  if (config_.num_labels > 0) classify_first_tokens(sentences, hidden);
  if (config_.decoder_layers > 0) fill_source_caches(sentences, hidden);
}

// Copies what each sentence wants of the last hidden states [tokens, hidden_size].
void Forward::hand_out(std::span<Sentence* const> sentences, const float* hidden) {
  for (const Sentence* sentence : sentences) {
    const std::size_t count = sentence->source.size() * config_.hidden_size;
    if (sentence->results.hidden != nullptr) std::copy_n(hidden, count, sentence->results.hidden);
    hidden += count;
  }
}

void Forward::classify_first_tokens(std::span<Sentence* const> sentences, const float* hidden) {
  const std::size_t size = config_.hidden_size, num_labels = config_.num_labels;
  float* first = workspace_.take<float>(sentences.size() * size);
  float* logits = workspace_.take<float>(sentences.size() * num_labels);
  int num_rows = 0;
  for (const Sentence* sentence : sentences) {
    if (sentence->results.class_logits != nullptr) std::copy_n(hidden, size, first + num_rows++ * size);
    hidden += sentence->source.size() * size;
  }
  if (num_rows > 0) classify(runtime_, config_, weights_.classifier, first, num_rows, logits);
  for (const Sentence* sentence : sentences) {
    if (sentence->results.class_logits == nullptr) continue;
    std::copy_n(logits, num_labels, sentence->results.class_logits);
    logits += num_labels;
  }
}

// Gives each sentence the cache of its source, filled.
void Forward::fill_source_caches(std::span<Sentence* const> sentences, const float* hidden) {
  std::size_t num_tokens = 0;
  for (const Sentence* sentence : sentences) num_tokens += sentence->source.size();
  auto* positions = workspace_.take<std::int32_t>(num_tokens);
  auto* pages = workspace_.take<std::byte*>(num_tokens);
  std::size_t row = 0;
  for (Sentence* sentence : sentences) {
    const int length = static_cast<int>(sentence->source.size());
    sentence->source_cache.emplace(pages_, length);
    for (int position = 0; position < length; ++position, ++row) {
      positions[row] = position;
      pages[row] = sentence->source_cache->page_of(position);
    }
  }
  fill_cross_cache(runtime_, weights_, pages_.layout(), hidden,
                   {static_cast<int>(num_tokens), positions, pages});
}

void Forward::select_candidates(std::span<Sentence* const> sentences) {
  // Side by side, a thousand columns of 256 take 4 us instead of 9 in every step (EPYC (Zen 4)), and one
  // copy. Those of many sentences would drive each other out of the caches, while the table's are partly the
  // same.
  constexpr std::size_t kFew = 4;
  const bool side_by_side = sentences.size() < kFew;
  const auto select = [&](int index, int) {  // takes memory, so may throw
    Sentence& sentence = *sentences[index];
    if (sentence.candidates.empty()) return;
    sentence.candidate_head = pyengine::select_candidates(weights_, sentence.candidates, side_by_side);
  };
  runtime_.pool.run_throwing(static_cast<int>(sentences.size()), runtime_.num_threads, select);
}

void Forward::open_history(Sentence& sentence) {
  const int num_slots = sentence.decoding->num_slots();
  if (config_.decoder_kind == DecoderKind::kSsru) {
    const std::size_t size = static_cast<std::size_t>(config_.decoder_layers) * config_.hidden_size;
    sentence.states.emplace(num_slots, size, &pages_.memory());
  } else {
    sentence.target_cache.emplace(pages_, num_slots, sentence.decoding->max_positions());
  }
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
    if (sentence.source_cache) {
      source_groups[i] = {row, static_cast<int>(rows.size()), sentence.source_cache->keys()};
    }
    const bool again = std::exchange(sentence.in_step, true);
    if (cache && !again && !parents.empty()) cache->reorder(parents);
    if (recurrent) again ? recurrent->begin_again(parents) : recurrent->begin_step(parents);
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
    const int num_rows = num_predicting(*sentence->decoding);
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
  std::size_t row = 0, num_queries = 0;
  for (const Sentence* sentence : sentences) {
    for (const DecodingRow& decoding_row : sentence->decoding->rows()) {
      if (decoding_row.predicts) {
        // Moves up what is projected, over rows that are not.
        float* target = hidden + num_queries * config_.hidden_size;
        if (row != num_queries) std::copy_n(hidden + row * config_.hidden_size, config_.hidden_size, target);
        queries[num_queries++] = decoding_row.query;
      }
      ++row;
    }
  }
  project_to_vocabulary(runtime_, group_rows(sentences), hidden, {queries, num_queries}, results);

  for (Sentence* sentence : sentences) {
    const auto count = static_cast<std::size_t>(num_predicting(*sentence->decoding));
    sentence->in_step = false;
    sentence->done = sentence->decoding->advance({results, count});
    results += count;
  }
}

}  // namespace pyengine
