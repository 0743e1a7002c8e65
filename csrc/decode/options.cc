#include "decode/options.h"

#include <algorithm>

namespace pyengine {

Lengths lengths_of(const GenerationOptions& options, std::size_t prompt_size) {
  const auto prompt = static_cast<std::int64_t>(prompt_size);
  return {
      .prompt = static_cast<int>(prompt),
      .min = static_cast<int>(std::max<std::int64_t>(options.min_length, prompt + options.min_new_tokens)),
      .max = static_cast<int>(std::min<std::int64_t>(options.max_length, prompt + options.max_new_tokens))};
}

}  // namespace pyengine
