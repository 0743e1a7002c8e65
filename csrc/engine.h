// The engine: token ids in, token ids out.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "decode/forward_groups.h"
#include "decode/options.h"
#include "decode/scheduler.h"
#include "decode/token_queue.h"
#include "model/shortlist.h"
#include "model/weights.h"

namespace pyengine {

// Sequences one after another; sequence i is values[offsets[i]] ... values[offsets[i + 1] - 1].
struct Ragged {
  std::span<const std::int32_t> values;
  std::span<const std::int64_t> offsets;  // [sequences + 1]

  int size() const { return static_cast<int>(offsets.size()) - 1; }
  std::span<const std::int32_t> operator[](int index) const {
    return values.subspan(offsets[index], offsets[index + 1] - offsets[index]);
  }
};

// Texts for an encoder alone.
struct TypedTexts {
  Ragged ids;
  std::span<const std::int32_t> types;  // [ids.values.size()] of each token; empty: all are of type 0
};

// One model on one instruction set. Any number of threads may call it at once. A call that its Interrupts end
// throws Interrupted.
class Engine {
 public:
  // `weights` are those of `config`; `kernels` must outlive the engine. Throws std::invalid_argument for a
  // number of threads out of range, or a shortlist of another model's sizes.
  Engine(const ModelConfig& config, Weights weights, const Kernels& kernels, int num_threads,
         std::optional<Shortlist> shortlist = {});

  // The best hypotheses of each input, a source or, of a model without encoder, a prompt that they continue:
  // options.num_return_sequences each (fewer if the vocabulary allows no more), best first; with a shortlist
  // of a source's candidates alone, the end tokens always among them. Throws std::invalid_argument for an
  // empty or overlong input, an id out of range or a max_length beyond the model's positions.
  std::vector<std::vector<Hypothesis>> generate(const Ragged& inputs, const GenerationOptions& options,
                                                int batch_size, const Interrupts& interrupts);

  // The same of one input and num_beams 1, whose tokens without an end token go to `tokens` as they are made.
  void stream(std::span<const std::int32_t> input, const GenerationOptions& options, TokenQueue& tokens,
              int batch_size, const Interrupts& interrupts);

  // Log-probability, over the whole vocabulary, of each target id given its source and the ids before it.
  // log_probs [targets.values.size()]; an empty target has none. Throws as generate() does.
  void score(const Ragged& sources, const Ragged& targets, std::int32_t decoder_start_token_id,
             int batch_size, float* log_probs, const Interrupts& interrupts);

  // The same of texts, of a model without encoder: of each id after the first, given those before it.
  // log_probs [texts.values.size()]; those of first ids are not written.
  void score(const Ragged& texts, int batch_size, float* log_probs, const Interrupts& interrupts);

  // logits [decoder_input_ids.size(), vocab_size]; `source` is empty for a model without encoder. Throws as
  // generate() does.
  void logits(std::span<const std::int32_t> source, std::span<const std::int32_t> decoder_input_ids,
              float* logits, const Interrupts& interrupts);

  // The encoder's last hidden states, hidden [texts.values.size(), hidden_size]. Throws as generate() does,
  // and std::invalid_argument for a token type that the model does not have.
  void encode(const TypedTexts& texts, int batch_size, float* hidden, const Interrupts& interrupts);

  // class_logits [texts.ids.size(), num_labels]. Throws as encode() does, and std::invalid_argument if the
  // model does not classify.
  void classify(const TypedTexts& texts, int batch_size, float* class_logits, const Interrupts& interrupts);

  // Whether the process is a child, forked while the engine was at work: every call throws ForkedAtWork.
  bool is_lost() const { return scheduler_.is_lost(); }

  const ModelConfig& config() const { return config_; }
  const char* isa() const { return kernels_.name; }
  int num_threads() const { return num_threads_; }
  std::size_t weight_bytes() const { return weights_.bytes(); }

 private:
  void check_decodes() const;
  void check_inputs(const Ragged& inputs, const GenerationOptions& options) const;
  void check_source(std::span<const std::int32_t> source) const;
  void check_texts(const TypedTexts& texts) const;
  void check_prompt(std::span<const std::int32_t> prompt, const GenerationOptions& options) const;
  void check_target(std::span<const std::int32_t> target) const;

  ModelConfig config_;
  Weights weights_;
  std::optional<Shortlist> shortlist_;
  const Kernels& kernels_;
  int num_threads_;
  ForwardGroups forward_;
  Scheduler scheduler_;
};

}  // namespace pyengine
