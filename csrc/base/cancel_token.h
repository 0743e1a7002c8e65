// Ends work from outside: by hand, from any thread, or at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace pyengine {

// Why work ends before it is done.
enum class Ending { kNone, kCancelled, kTimeUp };

// Any thread may ask and cancel at any time. What is cancelled stays so.
class CancelToken {
 public:
  // Cancels itself `timeout` seconds from now, and with its parent; either may be missing.
  explicit CancelToken(std::optional<double> timeout = {},
                       std::shared_ptr<const CancelToken> parent = nullptr)
      : parent_(std::move(parent)) {
    constexpr double kLongest = 1e9;  // further than the clock's numbers reach is never
    if (timeout && *timeout < kLongest) {
      deadline_ =
          Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*timeout));
    }
  }

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }

  Ending ending() const {
    if (cancelled_.load(std::memory_order_relaxed)) return Ending::kCancelled;
    const Ending above = parent_ ? parent_->ending() : Ending::kNone;
    if (above != Ending::kNone || !deadline_) return above;
    return Clock::now() < *deadline_ ? Ending::kNone : Ending::kTimeUp;
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::atomic<bool> cancelled_{false};
  std::optional<Clock::time_point> deadline_;
  const std::shared_ptr<const CancelToken> parent_;
};

}  // namespace pyengine
