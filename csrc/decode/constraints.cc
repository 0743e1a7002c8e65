#include "decode/constraints.h"

#include <algorithm>

namespace pyengine {
namespace {

bool contains(std::span<const std::int32_t> ids, std::int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

template <class Ids>
void sort_unique(Ids& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

// Appends what followed the last size - 1 of `tokens` wherever `text` holds them.
void ban_ngrams(std::span<const std::int32_t> text, std::span<const std::int32_t> tokens, int size,
                std::pmr::vector<std::int32_t>& banned) {
  const std::size_t prefix = size - 1;
  if (tokens.size() < prefix) return;
  const auto last = tokens.last(prefix);
  for (std::size_t i = 0; i + prefix < text.size(); ++i) {
    if (std::equal(last.begin(), last.end(), text.begin() + i)) banned.push_back(text[i + prefix]);
  }
}

}  // namespace

Constraints::Constraints(const GenerationOptions& options)
    : forces_first_(options.forced_bos_token_id >= 0),
      eos_token_ids_(options.eos_token_ids),
      forced_eos_(options.forced_eos_token_ids),
      always_banned_(options.suppress_tokens),
      begin_suppress_tokens_(options.begin_suppress_tokens),
      no_repeat_ngram_size_(options.no_repeat_ngram_size),
      encoder_no_repeat_ngram_size_(options.encoder_no_repeat_ngram_size) {
  if (options.forced_bos_token_id >= 0) forced_bos_.push_back(options.forced_bos_token_id);
  for (const std::vector<std::int32_t>& word : options.bad_words_ids) {
    if (word.size() > 1) {
      bad_words_.push_back(word);
    } else if (!word.empty() && !contains(eos_token_ids_, word[0])) {
      always_banned_.push_back(word[0]);  // transformers lets the end token through
    }
  }
  sort_unique(always_banned_);
  sort_unique(begin_suppress_tokens_);
  sort_unique(bad_words_);
  // transformers suppresses after it forces; its bad words and minimum length come before.
  sort_unique(forced_eos_);
  for (std::vector<std::int32_t>* forced : {&forced_bos_, &forced_eos_}) {
    std::erase_if(*forced, [&](std::int32_t id) { return contains(options.suppress_tokens, id); });
  }
}

std::size_t Constraints::max_banned(std::size_t length, std::size_t source_length) const {
  return always_banned_.size() + eos_token_ids_.size() + begin_suppress_tokens_.size() + bad_words_.size() +
         (no_repeat_ngram_size_ > 0 ? length : 0) + (encoder_no_repeat_ngram_size_ > 0 ? source_length : 0);
}

std::span<const std::int32_t> Constraints::forced(int length, const Lengths& lengths) const {
  if (length == lengths.max - 1 && !forced_eos_.empty()) return forced_eos_;
  if (length == 1) return forced_bos_;
  return {};
}

void Constraints::ban(std::span<const std::int32_t> tokens, std::span<const std::int32_t> source,
                      const Lengths& lengths, std::pmr::vector<std::int32_t>& banned) const {
  const int length = static_cast<int>(tokens.size());
  // A forced first token takes the place that begin_suppress_tokens would hold for.
  const int begin = lengths.prompt == 1 && forces_first_ ? 2 : lengths.prompt;
  banned.assign(always_banned_.begin(), always_banned_.end());
  const std::size_t sorted = banned.size();
  if (length < lengths.min) banned.insert(banned.end(), eos_token_ids_.begin(), eos_token_ids_.end());
  if (length == begin) {
    banned.insert(banned.end(), begin_suppress_tokens_.begin(), begin_suppress_tokens_.end());
  }
  for (const std::vector<std::int32_t>& word : bad_words_) {
    const std::size_t prefix = word.size() - 1;
    if (word.size() <= tokens.size() && std::equal(word.begin(), word.end() - 1, tokens.end() - prefix)) {
      banned.push_back(word.back());
    }
  }
  if (no_repeat_ngram_size_ > 0) ban_ngrams(tokens, tokens, no_repeat_ngram_size_, banned);
  if (encoder_no_repeat_ngram_size_ > 0) ban_ngrams(source, tokens, encoder_no_repeat_ngram_size_, banned);
  if (banned.size() > sorted) sort_unique(banned);
}

}  // namespace pyengine
