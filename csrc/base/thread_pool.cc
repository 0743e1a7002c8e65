#include "base/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <system_error>
#include <thread>

#include "base/aligned_buffer.h"
#include "base/float_environment.h"
#include "base/thread_storage.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pyengine {
namespace {

std::atomic<std::uint64_t> g_fork_count{0};

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Waits until `state` is no longer `value`: spins for about 50 microseconds, then sleeps. Longer would burn a
// core that another process could use, shorter would sleep between two products of one step.
void wait_while(const std::atomic<int>& state, int value) {
  constexpr auto kSpin = std::chrono::microseconds(50);
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (state.load(std::memory_order_acquire) != value) return;
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  state.wait(value, std::memory_order_acquire);
}

}  // namespace

// Lies on the stack of its caller, who waits for every worker that took part.
struct ThreadPool::Region {
  const Task& task;
  const int num_tasks;
  alignas(kAlignment) std::atomic<int> next{0};

  // Runs tasks until none is left.
  void drain(int thread) {
    for (int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < num_tasks;) task(i, thread);
  }
};

// A thread and what it waits on: a cache line of its own, so that only the workers that a region wants are
// disturbed.
class alignas(kAlignment) ThreadPool::Worker {
 public:
  Worker() : thread_([this] { work(); }) {}
  ~Worker() {
    call(nullptr, 0);
    thread_.join();
  }

  // Asks the idle worker to take part in `region` as number `thread`; null: to end.
  void call(Region* region, int thread) {
    region_ = region;
    thread_number_ = thread;
    // Sequentially consistent: notify_one() begins with a load of the number of sleepers.
    state_.store(kCalled);
    state_.notify_one();
  }

  // Returns once the worker is idle. One that has not even started, because it slept, is told not to.
  void dismiss() {
    int called = kCalled;
    if (state_.compare_exchange_strong(called, kIdle, std::memory_order_acquire)) return;
    while (state_.load(std::memory_order_acquire) != kIdle) wait_while(state_, kRunning);
  }

  Worker* next = nullptr;  // in a list of idle workers, or of a region's

 private:
  enum State : int { kIdle, kCalled, kRunning };

  void work() {
    reserve_.use();
    const FloatEnvironment environment;  // a new thread has that of the one that made it
    while (true) {
      wait_while(state_, kIdle);
      int called = kCalled;
      if (!state_.compare_exchange_strong(called, kRunning, std::memory_order_acquire)) continue;
      if (region_ == nullptr) return;
      region_->drain(thread_number_);
      state_.store(kIdle);
      state_.notify_one();
    }
  }

  std::atomic<int> state_{kIdle};
  Region* region_ = nullptr;
  int thread_number_ = 0;
  ThreadReserve reserve_;
  std::thread thread_;  // last: it uses the others
};

ThreadPool::ThreadPool() = default;
ThreadPool::~ThreadPool() = default;

ThreadPool& ThreadPool::shared() {
  static ThreadPool* pool = [] {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] {
      g_fork_count.fetch_add(1);
      shared().reset_after_fork();
    });
#endif
    return new ThreadPool;
  }();
  return *pool;
}

void ThreadPool::run(int num_tasks, int num_threads, Task task) {
  if (num_tasks <= 1 || num_threads <= 1) {
    for (int i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  Region region{task, num_tasks};
  Worker* const first = claim(std::min(num_tasks, num_threads) - 1, num_threads);
  int thread = 0;
  for (Worker* worker = first; worker != nullptr; worker = worker->next) worker->call(&region, ++thread);
  region.drain(0);
  Worker* last = nullptr;
  for (Worker* worker = first; worker != nullptr; worker = worker->next) {
    worker->dismiss();
    last = worker;
  }
  if (last != nullptr) give_back(first, last);
}

void ThreadPool::run_throwing(int num_tasks, int num_threads, Task task) {
  std::mutex mutex;
  std::exception_ptr error;
  run(num_tasks, num_threads, [&](int index, int thread) {
    try {
      task(index, thread);
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  });
  if (error) std::rethrow_exception(error);
}

// A list of `num_workers` idle workers, or of as many as there are.
ThreadPool::Worker* ThreadPool::claim(int num_workers, int num_threads) {
  const std::lock_guard lock(mutex_);
  grow(num_threads - 1);
  Worker* const first = idle_;
  Worker** end = &idle_;
  for (int i = 0; i < num_workers && *end != nullptr; ++i) end = &(*end)->next;
  idle_ = *end;
  *end = nullptr;
  return first == idle_ ? nullptr : first;
}

void ThreadPool::give_back(Worker* first, Worker* last) {
  const std::lock_guard lock(mutex_);
  last->next = idle_;
  idle_ = first;
}

void ThreadPool::grow(int num_workers) {
  try {
    while (static_cast<int>(workers_.size()) < num_workers) {
      workers_.push_back(std::make_unique<Worker>());
      workers_.back()->next = idle_;
      idle_ = workers_.back().get();
    }
  } catch (const std::system_error&) {  // a limit on processes: the callers do more of the work
  } catch (const std::bad_alloc&) {
  }
}

// A forked child inherits the pool's memory without its threads, perhaps in the middle of a region or with
// the lock taken. The threads' handles cannot be joined or destroyed here, so all of it is forgotten.
void ThreadPool::reset_after_fork() {
  new (&mutex_) std::mutex();
  new (&workers_) std::vector<std::unique_ptr<Worker>>();
  idle_ = nullptr;
  num_callers_.store(0);
}

ThreadPool::Caller::Caller(ThreadPool& pool) : pool_(pool), fork_count_(fork_count()) {
  pool_.num_callers_.fetch_add(1, std::memory_order_relaxed);
}

ThreadPool::Caller::~Caller() {
  if (fork_count_ == fork_count()) pool_.num_callers_.fetch_sub(1, std::memory_order_relaxed);
}

int ThreadPool::share(int num_threads) const {
  return std::max(1, num_threads / std::max(1, num_callers_.load(std::memory_order_relaxed)));
}

std::uint64_t fork_count() { return g_fork_count.load(std::memory_order_relaxed); }

}  // namespace pyengine
