#include "engine.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "decode/beam.h"
#include "decode/constraints.h"
#include "decode/greedy.h"
#include "decode/sampling.h"
#include "decode/scoring.h"

namespace pyengine {
namespace {

GenerationOptions with_sorted_ends(GenerationOptions options) {
  std::vector<std::int32_t>& ends = options.eos_token_ids;
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return options;
}

class GenerateJob : public Job {
 public:
  // Of a model without encoder, `inputs` are prompts, else sources. `shortlist` may be null.
  GenerateJob(const Ragged& inputs, const GenerationOptions& options, const ModelConfig& config,
              const Shortlist* shortlist, const Kernels& kernels)
      : inputs_(inputs),
        options_(with_sorted_ends(options)),
        has_encoder_(config.encoder_layers > 0),
        vocab_size_(config.vocab_size),
        shortlist_(shortlist),
        kernels_(kernels),
        constraints_(options_),
        results_(inputs.size()) {}

  int num_sentences() const override { return inputs_.size(); }
  std::span<const std::int32_t> source(int index) const override {
    return has_encoder_ ? inputs_[index] : std::span<const std::int32_t>();
  }
  std::vector<std::int32_t> candidates(int index) const override {
    if (shortlist_ == nullptr) return {};
    return pyengine::candidates(*shortlist_, inputs_[index], options_.eos_token_ids, vocab_size_);
  }
  int max_rows(int index) const override {
    const int num_slots = options_.do_sample ? options_.num_return_sequences : options_.num_beams;
    return std::max(num_slots, static_cast<int>(prompt(index).size()));
  }

  std::unique_ptr<Decoding> start(int index, std::pmr::memory_resource* memory) override {
    return start_search(index, memory);
  }

  void finish(int index, Decoding& decoding) override {
    const auto hypotheses = static_cast<Search&>(decoding).hypotheses();
    const std::size_t count = std::min<std::size_t>(hypotheses.size(), options_.num_return_sequences);
    results_[index].assign(hypotheses.begin(), hypotheses.begin() + count);
  }

  std::vector<std::vector<Hypothesis>> take_results() { return std::move(results_); }

 protected:
  std::unique_ptr<Search> start_search(int index, std::pmr::memory_resource* memory) const {
    const SearchStart start{options_,       constraints_, kernels_, prompt(index),
                            inputs_[index], vocab_size_,  memory};
    if (options_.do_sample) return std::make_unique<SamplingSearch>(start);
    if (options_.num_beams == 1) return std::make_unique<GreedySearch>(start);
    return std::make_unique<BeamSearch>(start);
  }

 private:
  std::span<const std::int32_t> prompt(int index) const {
    return has_encoder_ ? std::span(&options_.decoder_start_token_id, 1) : inputs_[index];
  }

  const Ragged& inputs_;
  const GenerationOptions options_;
  bool has_encoder_;
  int vocab_size_;
  const Shortlist* shortlist_;
  const Kernels& kernels_;
  Constraints constraints_;
  std::vector<std::vector<Hypothesis>> results_;
};

// Generates for one input, and hands out each token as it is made.
class StreamJob : public GenerateJob {
 public:
  StreamJob(const Ragged& inputs, const GenerationOptions& options, const ModelConfig& config,
            const Shortlist* shortlist, const Kernels& kernels, TokenQueue& tokens)
      : GenerateJob(inputs, options, config, shortlist, kernels), tokens_(tokens) {}

  std::unique_ptr<Decoding> start(int index, std::pmr::memory_resource* memory) override {
    return std::make_unique<StreamedSearch>(start_search(index, memory), tokens_);
  }

 private:
  TokenQueue& tokens_;
};

// Scores the ids after the first of texts that have any, of a model without encoder.
class ScoreTextsJob : public Job {
 public:
  // log_probs [texts.values.size()]; those of first ids are left as they are.
  ScoreTextsJob(const Ragged& texts, float* log_probs) : texts_(texts), log_probs_(log_probs) {
    for (int i = 0; i < texts.size(); ++i) {
      if (texts[i].size() > 1) scored_.push_back(i);
    }
  }

  int num_sentences() const override { return static_cast<int>(scored_.size()); }
  std::span<const std::int32_t> source(int) const override { return {}; }
  int max_rows(int index) const override { return static_cast<int>(texts_[scored_[index]].size()) - 1; }
  std::unique_ptr<Decoding> start(int index, std::pmr::memory_resource* memory) override {
    const int text = scored_[index];
    return std::make_unique<Scoring>(texts_[text][0], texts_[text].subspan(1),
                                     log_probs_ + texts_.offsets[text] + 1, memory);
  }
  void finish(int, Decoding&) override {}

 private:
  const Ragged& texts_;
  float* log_probs_;
  std::vector<int> scored_;  // indices of the texts to score
};

// Scores the pairs whose target is not empty.
class ScoreJob : public Job {
 public:
  ScoreJob(const Ragged& sources, const Ragged& targets, std::int32_t decoder_start_token_id,
           float* log_probs)
      : sources_(sources), targets_(targets), start_(decoder_start_token_id), log_probs_(log_probs) {
    for (int i = 0; i < targets.size(); ++i) {
      if (!targets[i].empty()) pairs_.push_back(i);
    }
  }

  int num_sentences() const override { return static_cast<int>(pairs_.size()); }
  std::span<const std::int32_t> source(int index) const override { return sources_[pairs_[index]]; }
  int max_rows(int index) const override { return static_cast<int>(targets_[pairs_[index]].size()); }
  std::unique_ptr<Decoding> start(int index, std::pmr::memory_resource* memory) override {
    const int pair = pairs_[index];
    return std::make_unique<Scoring>(start_, targets_[pair], log_probs_ + targets_.offsets[pair], memory);
  }
  void finish(int, Decoding&) override {}

 private:
  const Ragged& sources_;
  const Ragged& targets_;
  std::int32_t start_;
  float* log_probs_;
  std::vector<int> pairs_;  // indices of the pairs to score
};

class LogitsJob : public Job {
 public:
  LogitsJob(std::span<const std::int32_t> source, std::span<const std::int32_t> decoder_input_ids,
            int vocab_size, float* logits)
      : source_(source), decoder_input_ids_(decoder_input_ids), vocab_size_(vocab_size), logits_(logits) {}

  int num_sentences() const override { return decoder_input_ids_.empty() ? 0 : 1; }
  std::span<const std::int32_t> source(int) const override { return source_; }
  int max_rows(int) const override { return static_cast<int>(decoder_input_ids_.size()); }
  std::unique_ptr<Decoding> start(int, std::pmr::memory_resource* memory) override {
    return std::make_unique<Scoring>(decoder_input_ids_, vocab_size_, logits_, memory);
  }
  void finish(int, Decoding&) override {}

 private:
  std::span<const std::int32_t> source_;
  std::span<const std::int32_t> decoder_input_ids_;
  int vocab_size_;
  float* logits_;
};

// Takes results of the encoder alone.
class EncodeJob : public Job {
 public:
  using ResultsOf = FunctionRef<EncoderResults(int index)>;

  EncodeJob(const TypedTexts& texts, ResultsOf results_of) : texts_(texts), results_of_(results_of) {}

  int num_sentences() const override { return texts_.ids.size(); }
  std::span<const std::int32_t> source(int index) const override { return texts_.ids[index]; }
  std::span<const std::int32_t> token_types(int index) const override {
    if (texts_.types.empty()) return {};
    return Ragged{texts_.types, texts_.ids.offsets}[index];
  }
  EncoderResults encoder_results(int index) override { return results_of_(index); }
  int max_rows(int) const override { return 0; }
  std::unique_ptr<Decoding> start(int, std::pmr::memory_resource*) override { return nullptr; }
  void finish(int, Decoding&) override {}

 private:
  const TypedTexts& texts_;
  ResultsOf results_of_;
};

void check(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

void check_ids(std::span<const std::int32_t> ids, int vocab_size, const char* what) {
  for (const std::int32_t id : ids) {
    check(id >= 0 && id < vocab_size, std::string(what) + " id " + std::to_string(id) +
                                          " is outside the vocabulary of " + std::to_string(vocab_size));
  }
}

void check_positions(std::size_t count, int max_positions, const char* what) {
  check(count <= static_cast<std::size_t>(max_positions),
        std::string(what) + " has " + std::to_string(count) + " tokens, the model takes at most " +
            std::to_string(max_positions));
}

// Before anything is made for each of them.
int checked_threads(int num_threads) {
  check(num_threads >= 1 && num_threads <= ThreadPool::kMaxThreads,
        "num_threads is " + std::to_string(num_threads) + ", expected 1 to " +
            std::to_string(ThreadPool::kMaxThreads));
  return num_threads;
}

}  // namespace

Engine::Engine(const ModelConfig& config, Weights weights, const Kernels& kernels, int num_threads,
               std::optional<Shortlist> shortlist)
    : config_(config),
      weights_(std::move(weights)),
      shortlist_(std::move(shortlist)),
      kernels_(kernels),
      num_threads_(checked_threads(num_threads)),
      forward_(config_, weights_, kernels_, num_threads_),
      scheduler_(forward_) {
  if (!shortlist_) return;
  check_shortlist(*shortlist_, config_);
  if (weights_.lm_head_table.size() == 0) add_candidate_table(weights_);
  embed_by_candidate_table(weights_);
}

void Engine::check_decodes() const { check(config_.decoder_layers > 0, "the model has no decoder"); }

void Engine::check_source(std::span<const std::int32_t> source) const {
  check(!source.empty(), "a source is empty");
  check_positions(source.size(), config_.max_positions, "a source");
  check_ids(source, config_.source_vocab_size, "source");
}

void Engine::check_prompt(std::span<const std::int32_t> prompt, const GenerationOptions& options) const {
  check(!prompt.empty(), "a prompt is empty");
  check(static_cast<std::int64_t>(prompt.size()) < options.max_length,
        "a prompt has " + std::to_string(prompt.size()) + " tokens, which leaves none of max_length " +
            std::to_string(options.max_length));
  check_ids(prompt, config_.vocab_size, "prompt");
}

void Engine::check_target(std::span<const std::int32_t> target) const {
  check_positions(target.size(), config_.max_positions, "a target");
  check_ids(target, config_.vocab_size, "target");
}

void Engine::check_inputs(const Ragged& inputs, const GenerationOptions& options) const {
  check_decodes();
  check_options(options, config_);
  const bool has_encoder = config_.encoder_layers > 0;
  for (int i = 0; i < inputs.size(); ++i) {
    has_encoder ? check_source(inputs[i]) : check_prompt(inputs[i], options);
  }
}

std::vector<std::vector<Hypothesis>> Engine::generate(const Ragged& inputs, const GenerationOptions& options,
                                                      int batch_size, const Interrupts& interrupts) {
  check_inputs(inputs, options);
  GenerateJob job(inputs, options, config_, shortlist_ ? &*shortlist_ : nullptr, kernels_);
  scheduler_.run(job, batch_size, interrupts);
  return job.take_results();
}

void Engine::stream(std::span<const std::int32_t> input, const GenerationOptions& options, TokenQueue& tokens,
                    int batch_size, const Interrupts& interrupts) {
  const std::int64_t offsets[] = {0, static_cast<std::int64_t>(input.size())};
  const Ragged inputs{input, offsets};
  check_inputs(inputs, options);
  check(options.num_beams == 1 && options.num_return_sequences == 1, "a stream has one hypothesis");
  StreamJob job(inputs, options, config_, shortlist_ ? &*shortlist_ : nullptr, kernels_, tokens);
  scheduler_.run(job, batch_size, interrupts);
}

void Engine::score(const Ragged& sources, const Ragged& targets, std::int32_t decoder_start_token_id,
                   int batch_size, float* log_probs, const Interrupts& interrupts) {
  check_decodes();
  check(sources.size() == targets.size(), "there are " + std::to_string(sources.size()) + " sources and " +
                                              std::to_string(targets.size()) + " targets");
  const std::int32_t start[] = {decoder_start_token_id};
  check_ids(start, config_.vocab_size, "decoder start token");
  for (int i = 0; i < sources.size(); ++i) {
    check_source(sources[i]);
    check_target(targets[i]);
  }
  ScoreJob job(sources, targets, decoder_start_token_id, log_probs);
  scheduler_.run(job, batch_size, interrupts);
}

void Engine::score(const Ragged& texts, int batch_size, float* log_probs, const Interrupts& interrupts) {
  check_decodes();
  check(config_.encoder_layers == 0, "the model has an encoder: its targets are scored with their sources");
  for (int i = 0; i < texts.size(); ++i) check_target(texts[i]);
  ScoreTextsJob job(texts, log_probs);
  scheduler_.run(job, batch_size, interrupts);
}

void Engine::logits(std::span<const std::int32_t> source, std::span<const std::int32_t> decoder_input_ids,
                    float* logits, const Interrupts& interrupts) {
  check_decodes();
  if (config_.encoder_layers > 0) check_source(source);
  check_target(decoder_input_ids);
  LogitsJob job(source, decoder_input_ids, config_.vocab_size, logits);
  scheduler_.run(job, 1, interrupts);
}

void Engine::check_texts(const TypedTexts& texts) const {
  check(config_.encoder_layers > 0, "the model has no encoder");
  for (int i = 0; i < texts.ids.size(); ++i) check_source(texts.ids[i]);
  if (texts.types.empty()) return;
  check(texts.types.size() == texts.ids.values.size(),
        "there are " + std::to_string(texts.ids.values.size()) + " tokens and " +
            std::to_string(texts.types.size()) + " token types");
  for (const std::int32_t type : texts.types) {
    check(type >= 0 && type < std::max(config_.token_types, 1), "token type " + std::to_string(type) +
                                                                    " is none of the model's " +
                                                                    std::to_string(config_.token_types));
  }
}

void Engine::encode(const TypedTexts& texts, int batch_size, float* hidden, const Interrupts& interrupts) {
  check_texts(texts);
  const auto results_of = [&](int index) {
    return EncoderResults{.hidden = hidden + texts.ids.offsets[index] * config_.hidden_size};
  };
  EncodeJob job(texts, results_of);
  scheduler_.run(job, batch_size, interrupts);
}

void Engine::classify(const TypedTexts& texts, int batch_size, float* class_logits,
                      const Interrupts& interrupts) {
  check(config_.num_labels > 0, "the model does not classify");
  check_texts(texts);
  const auto results_of = [&](int index) {
    return EncoderResults{.class_logits = class_logits + std::int64_t{index} * config_.num_labels};
  };
  EncodeJob job(texts, results_of);
  scheduler_.run(job, batch_size, interrupts);
}

}  // namespace pyengine
