#include "decode/forward_groups.h"

#include <algorithm>
#include <atomic>

#include "base/heap.h"
#include "base/parallel.h"

namespace pyengine {
namespace {

// Fewest rows of a group: below, reading all the weights in every group costs more than the barriers it
// saves. Two groups of one thread against one group of two, float32, on two Zen 4 cores:
// - 2.1 M parameters, which stay in the caches: 2 rows in all 0.92 times as fast, 4: 1.00, 8: 1.17, 10: 1.28,
//   32: 1.19, 160: 1.19;
// - 74 M parameters: 8 rows 0.57 to 0.9, 16: 1.0 to 1.1, 32: 1.02, 64: 1.05, 128: 1.05.
constexpr std::size_t kMinRowsCached = 4, kMinRows = 16;
constexpr std::size_t kCachedBytes = std::size_t{16} << 20;

// What is kept while nothing is in flight, and the work after which more than that is given back. To take a
// byte again costs 0.6 ns in small pages, 0.03 ns in huge ones (EPYC (Zen 4)).
constexpr std::size_t kKept = std::size_t{2} << 20;
constexpr std::chrono::nanoseconds kWorkPerByte{100};

// The work after which the heap is trimmed, where the results of calls, texts and ids were: 14 ms with the
// arenas of 24 threads, 40 ms with a gigabyte of the host's, so under a hundredth again.
constexpr std::chrono::nanoseconds kWorkBeforeTrim = std::chrono::seconds(10);
constexpr int kWorkPerTrim = 200;

PageLayout page_layout(const ModelConfig& config, const Weights& weights) {
  const int head_dim = config.decoder_head_dim;
  const bool rounded = !std::holds_alternative<PanelsF32>(weights.lm_head.panels) && head_dim % 32 == 0;
  return {config.decoder_layers, config.decoder_key_value_heads(), head_dim,
          rounded ? CacheType::kBfloat16 : CacheType::kFloat32};
}

}  // namespace

ForwardGroups::ForwardGroups(const ModelConfig& config, const Weights& weights, const Kernels& kernels,
                             int num_threads)
    : num_threads_(num_threads),
      weight_bytes_(weights.bytes()),
      min_rows_(weight_bytes_ <= kCachedBytes ? kMinRowsCached : kMinRows),
      pages_(page_layout(config, weights)) {
  for (int i = 0; i < num_threads; ++i) groups_.emplace_back(config, weights, kernels, pages_);
}

void ForwardGroups::enter(std::span<Sentence* const> sentences, const Runtime::Ask* give_up) {
  run(
      sentences, give_up, [](const Sentence& sentence) { return sentence.source.size(); },
      [](Forward& forward, std::span<Sentence* const> share) { forward.enter(share); });
}

void ForwardGroups::step(std::span<Sentence* const> sentences, const Runtime::Ask* give_up) {
  run(
      sentences, give_up, [](const Sentence& sentence) { return sentence.decoding->rows().size(); },
      [](Forward& forward, std::span<Sentence* const> share) { forward.step(share); });
}

void ForwardGroups::rest(std::chrono::nanoseconds worked) {
  worked_ += worked;
  untrimmed_ += worked;
  const std::size_t held = bytes();
  if (held > kKept && worked_ >= kWorkPerByte * held) {
    for (Group& group : groups_) group.forward.release_memory();
    pages_.release_all();
    worked_ = {};
  }
  if (untrimmed_ >= std::max(kWorkBeforeTrim, kWorkPerTrim * trim_time_)) {
    const auto began = std::chrono::steady_clock::now();
    trim_heap();
    trim_time_ = std::chrono::steady_clock::now() - began;
    untrimmed_ = {};
  }
}

std::size_t ForwardGroups::bytes() const {
  std::size_t sum = pages_.bytes() + pages_.memory().bytes();
  for (const Group& group : groups_) sum += group.forward.bytes();
  return sum;
}

// Calls `pass` for each group with its share of the sentences.
void ForwardGroups::run(std::span<Sentence* const> sentences, const Runtime::Ask* give_up, RowsOf rows_of,
                        Pass pass) {
  ThreadPool& pool = ThreadPool::shared();
  const int num_threads = pool.share(num_threads_);
  const int num_groups = split(sentences, rows_of, num_threads);
  std::atomic<bool> given_up{false};
  pool.run_throwing(num_groups, num_threads, [&](int index, int) {
    Group& group = groups_[index];
    group.forward.set_num_threads(num_threads / num_groups);
    group.forward.set_give_up(give_up);
    try {
      pass(group.forward, group.sentences);
    } catch (const GivenUp&) {  // another group's error counts more
      given_up = true;
    }
  });
  if (given_up) throw GivenUp();
}

// Gives each group a share of about equally many rows; returns the number of groups. Sentences come in the
// order in which they were admitted: each goes to the group that has least, so the older ones, whose rows see
// more keys, are spread too.
int ForwardGroups::split(std::span<Sentence* const> sentences, RowsOf rows_of, int num_threads) {
  std::size_t num_rows = 0;
  for (const Sentence* sentence : sentences) num_rows += rows_of(*sentence);
  const auto most = static_cast<int>(std::min(sentences.size(), num_rows / min_rows_));
  const int num_groups = equal_groups(num_threads, most);
  for (Group& group : groups_) {
    group.sentences.clear();
    group.num_rows = 0;
  }
  for (Sentence* sentence : sentences) {
    Group& least = *std::min_element(groups_.begin(), groups_.begin() + num_groups,
                                     [](const Group& a, const Group& b) { return a.num_rows < b.num_rows; });
    least.sentences.push_back(sentence);
    least.num_rows += rows_of(*sentence);
  }
  return num_groups;
}

}  // namespace pyengine
