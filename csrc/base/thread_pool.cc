#include "base/thread_pool.h"

#include <chrono>
#include <new>
#include <system_error>

#include "base/check.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pyengine {
namespace {

// Fields of ThreadPool::region_, from the highest bit: epoch 24, threads 8, tasks 16, next task 16.
std::uint32_t epoch_of(std::uint64_t region) { return static_cast<std::uint32_t>(region >> 40); }
int threads_of(std::uint64_t region) { return static_cast<int>(region >> 32 & 0xff); }
int tasks_of(std::uint64_t region) { return static_cast<int>(region >> 16 & 0xffff); }
int next_of(std::uint64_t region) { return static_cast<int>(region & 0xffff); }

std::uint64_t make_region(std::uint32_t epoch, int threads, int tasks) {
  return static_cast<std::uint64_t>(epoch) << 40 | static_cast<std::uint64_t>(threads) << 32 |
         static_cast<std::uint64_t>(tasks) << 16;
}

std::atomic<std::uint64_t> g_fork_count{0};

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Spins while `blocked()` holds, for about 50 microseconds at most; true if it stopped holding. Longer would
// burn a core that another process could use, shorter would sleep between two products of one step.
template <class Blocked>
bool spin_while(Blocked blocked) {
  constexpr auto kSpin = std::chrono::microseconds(50);
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (!blocked()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return !blocked();
}

}  // namespace

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

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int num_tasks, int num_threads, Task task) {
  PE_DCHECK(num_tasks <= kMaxTasks && num_threads <= kMaxThreads);
  if (num_tasks <= 1 || num_threads <= 1 || busy_.exchange(true, std::memory_order_acquire)) {
    for (int i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  ensure_workers(num_threads - 1);
  task_.store(&task, std::memory_order_relaxed);
  unfinished_.store(num_tasks, std::memory_order_relaxed);
  const std::uint32_t epoch = (epoch_.load(std::memory_order_relaxed) + 1) & 0xffffff;
  const std::uint64_t region = make_region(epoch, num_threads, num_tasks);
  region_.store(region, std::memory_order_release);
  // Sequentially consistent: notify_all() begins with a load of the number of sleepers.
  epoch_.store(epoch);
  epoch_.notify_all();

  drain(region, 0);
  const auto running = [this] { return unfinished_.load(std::memory_order_acquire) != 0; };
  while (!spin_while(running)) {
    if (const int left = unfinished_.load(std::memory_order_acquire)) unfinished_.wait(left);
  }
  busy_.store(false, std::memory_order_release);
}

void ThreadPool::ensure_workers(int num_workers) {
  try {
    while (static_cast<int>(workers_.size()) < num_workers) {
      const int worker = static_cast<int>(workers_.size());
      workers_.emplace_back([this, worker] { work(worker); });
    }
  } catch (const std::system_error&) {  // a limit on processes: the caller does more of the work
  } catch (const std::bad_alloc&) {
  }
}

// A forked child inherits the pool's memory without its threads, perhaps in the middle of a region. The
// threads' handles cannot be joined or destroyed here, so they are forgotten, and so is the region: its
// tasks lie on a stack that is gone.
void ThreadPool::reset_after_fork() {
  new (&workers_) std::vector<std::thread>();
  region_.store(make_region(epoch_.load(), 0, 0));
  busy_.store(false);
}

// Claims and runs tasks of `region` until none is left. Once region_ shows another epoch, or all tasks
// claimed, task_ may already belong to the next region: it is only used after a claim that succeeded.
void ThreadPool::drain(std::uint64_t region, int thread) {
  const std::uint32_t epoch = epoch_of(region);
  while (epoch_of(region) == epoch && next_of(region) < tasks_of(region)) {
    if (!region_.compare_exchange_weak(region, region + 1, std::memory_order_acq_rel)) continue;
    (*task_.load(std::memory_order_relaxed))(next_of(region), thread);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    region = region_.load(std::memory_order_acquire);
  }
}

std::uint64_t ThreadPool::wait_for_region(std::uint32_t last_epoch) {
  const auto unchanged = [&] { return epoch_.load(std::memory_order_acquire) == last_epoch; };
  if (!spin_while(unchanged)) epoch_.wait(last_epoch, std::memory_order_acquire);
  return region_.load(std::memory_order_acquire);
}

void ThreadPool::work(int worker) {
  std::uint32_t last_epoch = 0;
  while (!stopping_.load(std::memory_order_acquire)) {
    const std::uint64_t region = wait_for_region(last_epoch);
    last_epoch = epoch_of(region);
    const int thread = worker + 1;
    if (thread < threads_of(region)) drain(region, thread);
  }
}

std::uint64_t fork_count() { return g_fork_count.load(std::memory_order_relaxed); }

}  // namespace pyengine
