#include "decode/scheduler.h"

#include <algorithm>
#include <utility>

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

void Scheduler::run(Job& job, int batch_size, Poll interrupted) {
  if (job.num_sentences() == 0) return;
  const Inside inside(callers_);
  Call call{job, batch_size, job.num_sentences()};
  Lock lock(mutex_);
  calls_.push_back(&call);
  while (call.num_left > 0) {
    if (!driven_) {
      drive(lock, call, interrupted);
    } else {
      changed_.wait_for(lock, kPollInterval, [&] { return !driven_ || call.num_left == 0; });
      poll(lock, call, interrupted);
    }
  }
  lock.unlock();
  if (call.error) std::rethrow_exception(call.error);
  if (call.cancelled) throw Interrupted();
}

Scheduler::Inside::Inside(std::atomic<Callers>& callers) : callers_(callers) {
  const auto now = static_cast<std::uint32_t>(fork_count());
  Callers seen = callers_.load(), next;
  do {
    if (seen.lost(now)) throw ForkedAtWork();
    next = {now, seen.count + 1};
  } while (!callers_.compare_exchange_weak(seen, next));
}

bool Scheduler::is_lost() const { return callers_.load().lost(static_cast<std::uint32_t>(fork_count())); }

Scheduler::Inside::~Inside() {
  Callers seen = callers_.load();
  while (!callers_.compare_exchange_weak(seen, {seen.fork_count, seen.count - 1})) {
  }
}

// Asks the caller whether to stop, without the lock. Whoever drives drops its sentences before the next step.
// A stop counts even if the call has just ended: it may be a signal, which nobody will see a second time.
void Scheduler::poll(Lock& lock, Call& call, Poll interrupted) {
  lock.unlock();
  bool stop = true;
  std::exception_ptr error;
  try {
    stop = interrupted();
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  if (!stop) return;
  call.cancelled = true;
  call.error = error;
}

// Runs steps until `call` has ended. The lock is released while the model runs.
void Scheduler::drive(Lock& lock, Call& call, Poll interrupted) {
  driven_ = true;
  const auto began = std::chrono::steady_clock::now();
  const ThreadPool::Caller caller(ThreadPool::shared());
  while (call.num_left > 0) {
    try {
      const std::size_t num_running = in_flight_.size();
      admit();
      lock.unlock();
      run_model(num_running);
      lock.lock();
      retire();
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      fail_in_flight(std::current_exception());
    }
    poll(lock, call, interrupted);
    drop_cancelled();
  }
  worked_ += std::chrono::steady_clock::now() - began;
  stop_driving();
}

void Scheduler::stop_driving() {
  if (calls_.empty()) forward_.rest(std::exchange(worked_, {}));
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
  while (static_cast<int>(in_flight_.size()) < batch_size && enter_next(num_rows, num_tokens)) {
  }
}

// Enters one sentence and counts its rows and tokens; false if none waits or it would be too much at once.
bool Scheduler::enter_next(int& num_rows, int& num_tokens) {
  Call* call = next_call();
  if (call == nullptr) return false;
  const int index = call->num_started;
  num_rows += call->job.max_rows(index);
  num_tokens += static_cast<int>(call->job.source(index).size());
  if (!in_flight_.empty() && (num_rows > kMaxRows || num_tokens > kMaxRows)) return false;
  ++call->num_started;
  ++turn_;
  try {
    auto entry = std::make_unique<InFlight>();
    entry->call = call;
    entry->index = index;
    entry->sentence.source = call->job.source(index);
    entry->sentence.token_types = call->job.token_types(index);
    entry->sentence.results = call->job.encoder_results(index);
    entry->sentence.candidates = call->job.candidates(index);
    entry->sentence.decoding = call->job.start(index, forward_.memory());
    in_flight_.push_back(std::move(entry));
  } catch (...) {  // this call's failure alone
    call->error = std::current_exception();
    call->cancelled = true;
  }
  return true;
}

// The call whose turn it is, among those with sentences that have not started.
Scheduler::Call* Scheduler::next_call() {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    Call* call = calls_[(turn_ + i) % calls_.size()];
    if (!call->cancelled && call->num_started < call->job.num_sentences()) return call;
  }
  return nullptr;
}

// Enters the sentences that were just admitted, then lets all that are not done make a step.
void Scheduler::run_model(std::size_t num_running) {
  sentences_.clear();
  for (const auto& entry : in_flight_) sentences_.push_back(&entry->sentence);
  const std::span<Sentence* const> all(sentences_);
  if (all.empty()) return;
  if (num_running < all.size()) forward_.enter(all.subspan(num_running));
  std::erase_if(sentences_, [](const Sentence* sentence) { return sentence->done; });
  if (!sentences_.empty()) forward_.step(sentences_);
}

void Scheduler::retire() {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    if (in_flight_[i]->sentence.done) {
      Call& call = *in_flight_[i]->call;
      Decoding* decoding = in_flight_[i]->sentence.decoding.get();
      if (decoding != nullptr) call.job.finish(in_flight_[i]->index, *decoding);
      if (--call.num_left == 0) end(call);
    } else {
      std::swap(in_flight_[kept++], in_flight_[i]);
    }
  }
  in_flight_.resize(kept);
}

void Scheduler::end(Call& call) {
  call.num_left = 0;
  std::erase(calls_, &call);
  changed_.notify_all();
}

// A step that failed leaves the sentences it ran in no known state: their calls fail. They are dropped before
// the lock is given up, since a call among them may have ended and its owner be about to return.
void Scheduler::fail_in_flight(std::exception_ptr error) {
  for (const auto& entry : in_flight_) {
    entry->call->error = error;
    entry->call->cancelled = true;
  }
  in_flight_.clear();
}

}  // namespace pyengine
