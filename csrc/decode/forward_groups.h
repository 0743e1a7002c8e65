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

  // As Forward's. If one throws, the sentences are in no known state.
  void enter(std::span<Sentence* const> sentences);
  void step(std::span<Sentence* const> sentences);

  // Of the sentences' searches.
  std::pmr::memory_resource* memory() { return &pages_.memory(); }

  // To be told that no sentence is in flight any more, and how long there were some. Once that adds up to so
  // much that taking it again costs little, gives memory back to the system.
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

  void run(std::span<Sentence* const> sentences, RowsOf rows_of, Pass pass);
  int split(std::span<Sentence* const> sentences, RowsOf rows_of, int num_threads);

  const int num_threads_;
  const std::size_t min_rows_;          // of a group
  std::chrono::nanoseconds worked_{0};  // since memory was given back
  PagePool pages_;
  std::deque<Group> groups_;  // [num_threads]
};

}  // namespace pyengine
