// The one thread pool of the process: persistent workers and a barrier of about a microsecond.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace pyengine {

// Runs the tasks of one parallel region at a time. A region that finds the pool busy (a second engine, or
// a region inside a region) runs on its caller alone: engines that work at the same time share the workers
// instead of bringing their own. Idle workers spin for about 50 microseconds, then sleep.
class ThreadPool {
 public:
  // Called as task(index, thread): thread numbers the calling threads of the region from 0.
  using Task = FunctionRef<void(int, int)>;

  // Most tasks in a region, and most threads.
  static constexpr int kMaxTasks = 0xffff;
  static constexpr int kMaxThreads = 0xff;

  ThreadPool() = default;
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The pool that every engine of the process shares. Never destroyed: workers may outlive main(). A forked
  // child gets it empty, and workers of its own with its first region.
  static ThreadPool& shared();

  // Calls task(i, thread) once for each i in 0 ... num_tasks - 1, on at most num_threads threads, this one
  // included, and returns when all are done; on fewer where threads cannot be started. Tasks must not throw.
  // Which thread runs which task is not fixed, so a task's result must not depend on it.
  void run(int num_tasks, int num_threads, Task task);

 private:
  void ensure_workers(int num_workers);
  void reset_after_fork();
  void work(int worker);
  void drain(std::uint64_t region, int thread);
  std::uint64_t wait_for_region(std::uint32_t last_epoch);

  std::vector<std::thread> workers_;
  std::atomic<bool> busy_{false};  // a region is running
  std::atomic<bool> stopping_{false};
  std::atomic<const Task*> task_{nullptr};
  // What the workers look at: epoch | threads wanted | tasks | next task, in one word, so that a claim
  // (a compare-and-swap of the last field) fails if the region it was meant for has ended.
  std::atomic<std::uint64_t> region_{0};
  std::atomic<std::uint32_t> epoch_{0};  // of region_; what sleeping workers wait on
  std::atomic<int> unfinished_{0};       // tasks of the region that have not returned
};

// How often the process forked since its first engine, as this process counts: one more in a child than in
// its parent.
std::uint64_t fork_count();

}  // namespace pyengine
