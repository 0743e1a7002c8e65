// Tokens on their way from the thread that decodes to the one that reads them as they are made.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "decode/decoding.h"

namespace pyengine {

// Any thread may call it.
class TokenQueue {
 public:
  void put(std::span<const std::int32_t> tokens) {
    const std::lock_guard lock(mutex_);
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    changed_.notify_all();
  }

  // No more tokens will come.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  // Removes all tokens that are there; waits for some until `timeout` has passed or the queue is closed.
  std::vector<std::int32_t> take(std::chrono::duration<double> timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return closed_ || !tokens_.empty(); });
    return std::exchange(tokens_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::int32_t> tokens_;
  bool closed_ = false;
};

// A search that extends one hypothesis token by token, and puts each into a queue as soon as it is made:
// those of its result, without an end token.
class StreamedSearch : public Search {
 public:
  // `search` has one slot. The queue must outlive it.
  StreamedSearch(std::unique_ptr<Search> search, TokenQueue& tokens)
      : search_(std::move(search)), tokens_(tokens) {}

  int num_slots() const override { return search_->num_slots(); }
  int max_positions() const override { return search_->max_positions(); }
  std::span<const DecodingRow> rows() const override { return search_->rows(); }
  std::span<const int> parents() const override { return search_->parents(); }
  std::span<const Hypothesis> hypotheses() const override { return search_->hypotheses(); }

  bool advance(std::span<const VocabularyResult> results) override {
    const bool done = search_->advance(results);
    if (done) {
      tokens_.put(std::span(search_->hypotheses()[0].ids).subspan(num_put_));
    } else {
      tokens_.put({&search_->rows().back().token, 1});  // what the next step starts from
      ++num_put_;
    }
    return done;
  }

 private:
  std::unique_ptr<Search> search_;
  TokenQueue& tokens_;
  std::size_t num_put_ = 0;
};

}  // namespace pyengine
