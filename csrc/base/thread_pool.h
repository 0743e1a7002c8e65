// The one thread pool of the process: persistent workers and a barrier of about a microsecond.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/function_ref.h"

namespace pyengine {

// Runs parallel regions: any number at once, from any thread, also inside one another. A region takes as many
// idle workers as it wants and finds, so regions that run at the same time share the workers instead of
// bringing their own. Idle workers spin for about 50 microseconds, then sleep.
class ThreadPool {
 public:
  // Called as task(index, thread): thread numbers the threads of the region from 0, its caller.
  using Task = FunctionRef<void(int, int)>;

  // Most threads of a region.
  static constexpr int kMaxThreads = 0xff;

  ThreadPool();
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The pool that every engine of the process shares. Never destroyed: workers may outlive main(). A forked
  // child gets it empty, and workers of its own with its first region.
  static ThreadPool& shared();

  // Calls task(i, thread) once for each i in 0 ... num_tasks - 1, on at most num_threads threads, this one
  // included, and returns when all are done; on fewer where no worker is idle or can be started. The pool
  // grows to num_threads - 1 workers. Tasks must not throw. Which thread runs which task is not fixed, so a
  // task's result must not depend on it.
  void run(int num_tasks, int num_threads, Task task);

  // The same of tasks that may throw: once all are done, rethrows what one of them threw.
  void run_throwing(int num_tasks, int num_threads, Task task);

  // While it exists, its thread counts as one that computes.
  class Caller {
   public:
    explicit Caller(ThreadPool& pool);
    ~Caller();
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;

   private:
    ThreadPool& pool_;
    std::uint64_t fork_count_;  // a child does not count its parent's callers
  };

  // What each of the threads that compute may use of num_threads, so that together they use no more.
  int share(int num_threads) const;

 private:
  struct Region;
  class Worker;

  Worker* claim(int num_workers, int num_threads);
  void give_back(Worker* first, Worker* last);
  void grow(int num_workers);
  void reset_after_fork();

  std::atomic<int> num_callers_{0};
  std::mutex mutex_;  // guards what follows
  std::vector<std::unique_ptr<Worker>> workers_;
  Worker* idle_ = nullptr;  // first of a list
};

// How often the process forked since its first engine, as this process counts: one more in a child than in
// its parent.
std::uint64_t fork_count();

}  // namespace pyengine
