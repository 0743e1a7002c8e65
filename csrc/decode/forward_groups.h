// Splits the sentences in flight over groups of threads: each runs a forward pass of its own on its share.
#pragma once

#include <chrono>
#include <deque>
#include <memory_resource>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "decode/forward.h"

namespace pyengine {

// Owns the caches and the scratch memory of an engine. One thread calls it at a time.
//
// Threads of one group meet at a barrier after every product; threads of different groups only at the end of
// a pass, but each group reads all the weights. A sentence's results depend on neither.
class ForwardGroups {
 public:
  // All arguments must outlive it.
  ForwardGroups(const ModelConfig& config, const Weights& weights, const Kernels& kernels, int num_threads);

  // As Forward's. If one throws something other than GivenUp, the sentences are in no known state.
  void enter(std::span<Sentence* const> sentences, const Runtime::Ask* give_up);
  void step(std::span<Sentence* const> sentences, const Runtime::Ask* give_up);

  // Whether a pass of so many rows may take long enough that somebody waits for its end.
  bool is_long(std::size_t num_rows) const { return num_rows * weight_bytes_ > kLongPass; }

  // Of the sentences' searches.
  std::pmr::memory_resource* memory() { return &pages_.memory(); }

  // To be told that no sentence is in flight any more, and how long there were some. Once that adds up to so
  // much that taking it again costs little, gives memory back to the system, and what the process's heap has
  // free.
  void rest(std::chrono::nanoseconds worked);

  // Of caches and scratch memory.
  std::size_t bytes() const;

 private:
  struct Group {
    Group(const ModelConfig& config, const Weights& weights, const Kernels& kernels, PagePool& pages)
        : forward(config, weights, kernels, pages) {}

    Forward forward;
    std::vector<Sentence*> sentences;  // its share of the pass
    std::size_t num_rows = 0;          // theirs
  };
  using RowsOf = FunctionRef<std::size_t(const Sentence& sentence)>;
  using Pass = FunctionRef<void(Forward& forward, std::span<Sentence* const> sentences)>;

  // Multiply-adds, or a few times as many: 10 to 40 ms on two cores with SIMD, below a second without.
  static constexpr std::size_t kLongPass = std::size_t{1} << 30;

  void run(std::span<Sentence* const> sentences, const Runtime::Ask* give_up, RowsOf rows_of, Pass pass);
  int split(std::span<Sentence* const> sentences, RowsOf rows_of, int num_threads);

  const int num_threads_;
  const std::size_t weight_bytes_;
  const std::size_t min_rows_;             // of a group
  std::chrono::nanoseconds worked_{0};     // since memory was given back
  std::chrono::nanoseconds untrimmed_{0};  // work since the heap was trimmed
  std::chrono::nanoseconds trim_time_{0};  // that it took
  PagePool pages_;
  std::deque<Group> groups_;  // [num_threads]
};

}  // namespace pyengine
