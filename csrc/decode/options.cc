#include "decode/options.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace pyengine {

namespace {

// The first number of tokens that is not below factor * source_size, in float32 as Marian has it.
std::int64_t most_new_tokens(double factor, std::size_t source_size) {
  if (factor <= 0.0) return std::numeric_limits<int>::max();
  const float limit = std::ceil(static_cast<float>(factor) * static_cast<float>(source_size));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::min(limit, 1e9f)));
}

void check(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

// check_field(name, value, limits, vocab_size) of each kind of limits.
template <class T>
void check_field(const char*, const T&, NoLimits, int) {}

template <class Number>
void check_field(const char* name, Number value, Range range, int) {
  check_range(name, static_cast<double>(value), range);
}

void check_field(const char* name, std::int32_t id, TokenIds, int vocab_size) {
  check(id >= 0 && id < vocab_size, std::string(name) + ": the id " + std::to_string(id) +
                                        " is outside the vocabulary of " + std::to_string(vocab_size));
}

void check_field(const char* name, std::int32_t id, OptionalTokenId, int vocab_size) {
  if (id != -1) check_field(name, id, TokenIds(), vocab_size);
}

template <class T>
void check_field(const char* name, const std::vector<T>& values, TokenIds limits, int vocab_size) {
  for (const T& value : values) check_field(name, value, limits, vocab_size);
}

}  // namespace

void check_options(const GenerationOptions& options, const ModelConfig& config) {
  GenerationOptions::visit_fields([&](const char* name, auto field, auto limits) {
    check_field(name, options.*field, limits, config.vocab_size);
  });
  check(!options.do_sample || options.num_beams == 1, "num_beams must be 1 to sample");
  check(options.do_sample || options.num_return_sequences <= options.num_beams,
        "num_return_sequences is " + std::to_string(options.num_return_sequences) + ", above num_beams");
  check(options.max_length <= config.max_positions + 1,
        "max_length is " + std::to_string(options.max_length) + ", expected at most " +
            std::to_string(config.max_positions + 1));
}

Lengths lengths_of(const GenerationOptions& options, std::size_t prompt_size, std::size_t source_size) {
  constexpr int kMost = std::numeric_limits<int>::max();
  const auto prompt = static_cast<std::int64_t>(prompt_size);
  const std::int64_t added =
      std::min<std::int64_t>(options.max_new_tokens, most_new_tokens(options.max_length_factor, source_size));
  return {.prompt = static_cast<int>(prompt),
          .min = static_cast<int>(std::min<std::int64_t>(
              std::max<std::int64_t>(options.min_length, prompt + options.min_new_tokens), kMost)),
          .max = static_cast<int>(std::min<std::int64_t>(options.max_length, prompt + added))};
}

}  // namespace pyengine
