#include "decode/options.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pyengine {

namespace {

// The first number of tokens that is not below factor * source_size, in float32 as Marian has it.
std::int64_t most_new_tokens(double factor, std::size_t source_size) {
  if (factor <= 0.0) return std::numeric_limits<int>::max();
  const float limit = std::ceil(static_cast<float>(factor) * static_cast<float>(source_size));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::min(limit, 1e9f)));
}

}  // namespace

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
