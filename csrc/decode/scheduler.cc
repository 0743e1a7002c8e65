#include "decode/scheduler.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/float_environment.h"
#include "base/thread_storage.h"

namespace pyengine {
namespace {

// How long a caller sleeps, or drives while it has code of others to run, before it looks for what may end
// it.
constexpr auto kPollInterval = std::chrono::milliseconds(50);

// Rows in a step and source tokens in an encoder pass at most, unless one sentence alone has more. Bounds
// the scratch memory; 2,048 rows are far past the point where more rows make the products faster.
constexpr int kMaxRows = 2048;

// Share of the batch that must be free before waiting sentences enter: the encoder is better run on several.
constexpr int kAdmitShare = 4;

}  // namespace

void Scheduler::run(Job& job, int batch_size, const Interrupts& interrupts) {
  Call call{job, batch_size, interrupts, job.num_sentences()};
  if (call.is_to_end()) throw Interrupted(call.ending());
  if (call.num_left == 0) return;
  const Inside inside(callers_);
  {
    Lock lock(mutex_);
    calls_.push_back(&call);
    interrupts.poll ? attend(lock, call, *interrupts.poll) : work(lock, call);
  }
  if (call.error) std::rethrow_exception(call.error);
  // A stop by its poll counts even if the call was done: nobody will hear of it a second time.
  if (call.dropped || call.stopped) throw Interrupted(call.ending());
}

Scheduler::Inside::Inside(std::atomic<Callers>& callers)
    : callers_(callers), fork_count_(pyengine::fork_count()) {
  const auto now = static_cast<std::uint32_t>(fork_count_);
  Callers seen = callers_.load(), next;
  do {
    if (seen.lost(now)) throw ForkedAtWork();
    next = {now, seen.count + 1};
  } while (!callers_.compare_exchange_weak(seen, next));
}

bool Scheduler::is_lost() const { return callers_.load().lost(static_cast<std::uint32_t>(fork_count())); }

Scheduler::Inside::~Inside() {
  if (fork_count_ != pyengine::fork_count()) return;  // in a child that was forked inside
  Callers seen = callers_.load();
  while (!callers_.compare_exchange_weak(seen, {seen.fork_count, seen.count - 1})) {
  }
}

// Drives, or waits for one that does, until `call` has ended.
void Scheduler::work(Lock& lock, Call& call) {
  while (call.num_left > 0) {
    if (driven_) {
      wait(lock, call, true);
    } else {
      drive(lock, call, false);
    }
  }
}

// The same of a call whose thread has code of others to run.
void Scheduler::attend(Lock& lock, Call& call, Poll poll) {
  std::thread deputy;
  bool briefly = true;
  try {
    while (call.num_left > 0) {
      if (driven_ || deputy.joinable()) {
        wait(lock, call, !deputy.joinable());
      } else {
        drive(lock, call, briefly);
        if (call.num_left == 0) break;
        try {
          ThreadReserve reserve;
          deputy = std::thread([this, &call, reserve = std::move(reserve)]() mutable {
            reserve.use();
            Lock own(mutex_);
            work(own, call);
          });
        } catch (const std::exception&) {  // no thread, or no memory for one: this one goes on step by step
          briefly = false;
        }
      }
      ask(lock, call, poll);
    }
  } catch (const ForkedAtWork&) {
    new (&deputy) std::thread();  // it does not exist here
    throw;
  }
  lock.unlock();
  if (deputy.joinable()) deputy.join();
}

// Until the call has ended, or nobody drives and the caller wants to, or for a moment.
void Scheduler::wait(Lock& lock, Call& call, bool to_drive) {
  changed_.wait_for(lock, kPollInterval, [&] { return call.num_left == 0 || (to_drive && !driven_); });
  if (call.num_left > 0 && call.num_in_flight == 0 && call.is_to_end()) drop(call);
}

// Runs the caller's poll, without the lock. Throws ForkedAtWork in a child that the poll forked: whoever held
// the lock, or drove, is not there.
void Scheduler::ask(Lock& lock, Call& call, Poll poll) {
  if (call.stopped) return;
  const std::uint64_t forks = fork_count();
  lock.unlock();
  bool stop = true;
  std::exception_ptr error;
  try {
    stop = poll();
  } catch (...) {
    error = std::current_exception();
  }
  if (fork_count() != forks) throw ForkedAtWork();
  lock.lock();
  if (!stop) return;
  call.stopped = true;
  call.error = error;
}

// Runs steps until `call` has ended. The lock is released while the model runs. `briefly`: no long step, and
// none after kPollInterval.
void Scheduler::drive(Lock& lock, const Call& call, bool briefly) {
  const ThreadPool::Caller caller(ThreadPool::shared());
  const FloatEnvironment environment;
  const Clock::time_point began = Clock::now();
  driven_ = true;
  while (call.num_left > 0) {
    try {
      admit();
      if (briefly && (next_is_long() || Clock::now() > began + kPollInterval)) break;
      lock.unlock();
      try {
        run_model();
      } catch (const GivenUp&) {  // what was done before is done
      }
      lock.lock();
      retire();
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      fail_in_flight(std::current_exception());
    }
    drop_ending();
  }
  worked_ += Clock::now() - began;
  if (calls_.empty()) forward_.rest(std::exchange(worked_, {}));
  driven_ = false;
  changed_.notify_all();
}

void Scheduler::drop_ending() {
  for (std::size_t i = calls_.size(); i-- > 0;) {
    Call& call = *calls_[i];
    if (!call.is_to_end()) continue;
    std::erase_if(in_flight_, [&](const auto& entry) { return entry->call == &call; });
    drop(call);
  }
}

// Ends a call of which nothing is in flight.
void Scheduler::drop(Call& call) {
  call.dropped = true;
  end(call);
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
    ++call->num_in_flight;
  } catch (...) {  // this call's failure alone
    call->error = std::current_exception();
    call->stopped = true;
  }
  return true;
}

// The call whose turn it is, among those with sentences that have not started.
Scheduler::Call* Scheduler::next_call() {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    Call* call = calls_[(turn_ + i) % calls_.size()];
    if (!call->is_to_end() && call->num_started < call->job.num_sentences()) return call;
  }
  return nullptr;
}

// Whether the next pass of what is in flight takes long.
bool Scheduler::next_is_long() const {
  std::size_t num_rows = 0;
  for (const auto& entry : in_flight_) {
    const Sentence& sentence = entry->sentence;
    if (!sentence.entered) num_rows += sentence.source.size();
    if (sentence.decoding) num_rows += sentence.decoding->rows().size();
  }
  return forward_.is_long(num_rows);
}

// Enters the sentences that have not entered, then lets all that are not done make a step.
void Scheduler::run_model() {
  if (in_flight_.empty()) return;
  passengers_.clear();
  for (const auto& entry : in_flight_) {
    const bool is_known = std::ranges::find(passengers_, entry->call) != passengers_.end();
    if (entry->call->may_end() && !is_known) passengers_.push_back(entry->call);
  }
  const auto ask = [&] {
    return std::ranges::any_of(passengers_, [](const Call* call) { return call->is_to_end(); });
  };
  const Runtime::Ask give_up(ask);
  sentences_.clear();
  for (const auto& entry : in_flight_) {
    if (!entry->sentence.entered) sentences_.push_back(&entry->sentence);
  }
  if (!sentences_.empty()) forward_.enter(sentences_, &give_up);
  sentences_.clear();
  for (const auto& entry : in_flight_) {
    if (!entry->sentence.done) sentences_.push_back(&entry->sentence);
  }
  if (!sentences_.empty()) forward_.step(sentences_, &give_up);
}

void Scheduler::retire() {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    if (in_flight_[i]->sentence.done) {
      Call& call = *in_flight_[i]->call;
      Decoding* decoding = in_flight_[i]->sentence.decoding.get();
      if (decoding != nullptr) call.job.finish(in_flight_[i]->index, *decoding);
      --call.num_in_flight;
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
    entry->call->stopped = true;
  }
  in_flight_.clear();
}

}  // namespace pyengine
