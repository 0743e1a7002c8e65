#include "decode/scheduler.h"

#include <algorithm>
#include <chrono>

namespace pyengine {
namespace {

// How long a caller sleeps before it asks again whether it was interrupted.
constexpr auto kPollInterval = std::chrono::milliseconds(50);

// Rows in a step and source tokens in an encoder pass at most, unless one sentence alone has more. Bounds
// the scratch memory; 2,048 rows are far past the point where more rows make the products faster.
constexpr int kMaxRows = 2048;

// Share of the batch that must be free before waiting sentences enter: the encoder is better run on several.
constexpr int kAdmitShare = 4;

}  // namespace

void Scheduler::run(Job& job, int batch_size, FunctionRef<bool()> interrupted) {
  if (job.num_sentences() == 0) return;
  Call call{job, batch_size, job.num_sentences()};
  Lock lock(mutex_);
  calls_.push_back(&call);
  while (call.num_left > 0) {
    if (!driven_) {
      drive(lock, call, interrupted);
      break;
    }
    changed_.wait_for(lock, kPollInterval, [&] { return !driven_ || call.num_left == 0; });
    lock.unlock();
    const bool stop = interrupted();
    lock.lock();
    call.cancelled |= stop;  // whoever drives drops its sentences before the next step
  }
  lock.unlock();
  if (call.error) std::rethrow_exception(call.error);
  if (call.cancelled) throw Interrupted();
}

void Scheduler::exclusively(FunctionRef<void()> work) {
  Lock lock(mutex_);
  changed_.wait(lock, [&] { return !driven_; });
  driven_ = true;
  lock.unlock();
  std::exception_ptr error;
  try {
    work();
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  stop_driving();
  lock.unlock();
  if (error) std::rethrow_exception(error);
}

// Runs steps until `call` has ended. The lock is released while the model runs.
void Scheduler::drive(Lock& lock, Call& call, FunctionRef<bool()> interrupted) {
  driven_ = true;
  while (call.num_left > 0) {
    drop_cancelled();
    if (call.num_left == 0) break;
    std::exception_ptr error;
    bool stop = false;
    try {
      const std::size_t num_running = in_flight_.size();
      admit();
      lock.unlock();
      run_model(num_running);
      stop = interrupted();
      lock.lock();
      retire();
    } catch (...) {
      error = std::current_exception();
    }
    if (!lock.owns_lock()) lock.lock();
    if (error) fail_all(error);
    call.cancelled |= stop && call.num_left > 0;
  }
  stop_driving();
}

void Scheduler::stop_driving() {
  driven_ = false;
  changed_.notify_all();
}

void Scheduler::drop_cancelled() {
  std::erase_if(in_flight_, [](const auto& entry) { return entry->call->cancelled; });
  for (std::size_t i = calls_.size(); i-- > 0;) {
    if (calls_[i]->cancelled) end(*calls_[i]);
  }
}

// Enters waiting sentences, one of each call in turn.
void Scheduler::admit() {
  int num_waiting = 0, batch_size = 1;
  for (const Call* call : calls_) {
    num_waiting += call->job.num_sentences() - call->num_started;
    batch_size = std::max(batch_size, call->batch_size);
  }
  const int num_free = batch_size - static_cast<int>(in_flight_.size());
  if (num_free < std::min(num_waiting, (batch_size + kAdmitShare - 1) / kAdmitShare)) return;

  int num_rows = 0, num_tokens = 0;
  for (const auto& entry : in_flight_) num_rows += entry->call->job.max_rows(entry->index);
  while (static_cast<int>(in_flight_.size()) < batch_size) {
    Call* call = next_call();
    if (call == nullptr) return;
    const int index = call->num_started;
    num_rows += call->job.max_rows(index);
    num_tokens += static_cast<int>(call->job.source(index).size());
    if (!in_flight_.empty() && (num_rows > kMaxRows || num_tokens > kMaxRows)) return;
    auto entry = std::make_unique<InFlight>();
    entry->call = call;
    entry->index = index;
    entry->sentence.source = call->job.source(index);
    entry->sentence.decoding = call->job.start(index);
    in_flight_.push_back(std::move(entry));
    ++call->num_started;
    ++turn_;
  }
}

// The call whose turn it is, among those with sentences that have not started.
Scheduler::Call* Scheduler::next_call() {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    Call* call = calls_[(turn_ + i) % calls_.size()];
    if (call->num_started < call->job.num_sentences()) return call;
  }
  return nullptr;
}

// Encodes the sentences that were just admitted, then lets all of them make a step.
void Scheduler::run_model(std::size_t num_running) {
  sentences_.clear();
  for (const auto& entry : in_flight_) sentences_.push_back(&entry->sentence);
  const std::span<Sentence* const> all(sentences_);
  if (num_running < all.size()) forward_.encode(all.subspan(num_running));
  forward_.step(all, done_);
}

void Scheduler::retire() {
  bool any_ended = false;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    if (done_[i]) {
      Call& call = *in_flight_[i]->call;
      call.job.finish(in_flight_[i]->index, *in_flight_[i]->sentence.decoding);
      if (--call.num_left == 0) {
        end(call);
        any_ended = true;
      }
    } else {
      std::swap(in_flight_[kept++], in_flight_[i]);
    }
  }
  in_flight_.resize(kept);
  if (any_ended) changed_.notify_all();
}

void Scheduler::end(Call& call) {
  call.num_left = 0;
  std::erase(calls_, &call);
}

void Scheduler::fail_all(std::exception_ptr error) {
  in_flight_.clear();
  for (Call* call : calls_) {
    call->error = error;
    call->num_left = 0;
  }
  calls_.clear();
}

}  // namespace pyengine
