#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <thread>
#include <vector>

#include "base/thread_pool.h"
#include "base/workspace.h"

using pyengine::ThreadPool;
using pyengine::Workspace;

namespace {

// True if one region runs each of `num_tasks` tasks once, on thread numbers below num_threads.
bool runs_each_once(ThreadPool& pool, int num_tasks, int num_threads) {
  std::vector<int> runs(num_tasks);
  std::atomic<bool> in_range{true};
  pool.run(num_tasks, num_threads, [&](int task, int thread) {
    ++runs[task];  // not atomic: two runs of one task are a race that TSan reports
    if (thread < 0 || thread >= num_threads) in_range = false;
  });
  for (const int count : runs) {
    if (count != 1) return false;
  }
  return in_range;
}

}  // namespace

TEST_CASE("every task runs once, whatever the numbers of tasks and threads") {
  ThreadPool pool;
  for (const int num_threads : {1, 2, 3, 5, 2}) {
    for (const int num_tasks : {0, 1, 2, 7, 64, 1000}) CHECK(runs_each_once(pool, num_tasks, num_threads));
  }
}

TEST_CASE("many short regions, some after the workers fell asleep") {
  ThreadPool pool;
  for (int i = 0; i < 3000; ++i) {
    REQUIRE(runs_each_once(pool, 1 + i % 9, 2 + i % 3));
    if (i % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST_CASE("a region inside a region, and regions of several threads, run to their end") {
  ThreadPool pool;
  std::atomic<int> inner{0};
  for (int i = 0; i < 200; ++i) {
    pool.run(4, 16, [&](int, int) { pool.run(3, 4, [&](int, int) { ++inner; }); });
  }
  CHECK(inner == 200 * 12);

  std::vector<std::thread> callers;
  std::atomic<int> failures{0};
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 200; ++j) failures += !runs_each_once(pool, 5, 2);
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(failures == 0);
}

TEST_CASE("regions that run at the same time each take the workers that are idle") {
  ThreadPool pool;
  // Every task waits for all others of its region: with fewer threads than tasks, it would wait for ever.
  const auto meet = [&](std::atomic<int>& arrived, int count) {
    pool.run(count, 4, [&](int, int) {
      ++arrived;
      while (arrived < count) std::this_thread::yield();
    });
  };
  for (int i = 0; i < 100; ++i) {
    std::atomic<int> outer{0}, inner[2] = {};
    pool.run(2, 4, [&](int index, int) {
      ++outer;
      while (outer < 2) std::this_thread::yield();
      meet(inner[index], 2);  // one worker of the three for each, beside the one that runs the other task
    });
    CHECK(inner[0] == 2);
    CHECK(inner[1] == 2);
  }
}

TEST_CASE("threads that compute at the same time share the cores") {
  ThreadPool pool;
  CHECK(pool.share(4) == 4);
  {
    const ThreadPool::Caller one(pool);
    CHECK(pool.share(4) == 4);
    const ThreadPool::Caller two(pool);
    CHECK(pool.share(4) == 2);
    CHECK(pool.share(1) == 1);
  }
  CHECK(pool.share(4) == 4);
}

TEST_CASE("what a task throws reaches the caller once all tasks are done") {
  ThreadPool pool;
  for (const int thrower : {0, 7, 49}) {
    std::atomic<int> others{0};
    const auto task = [&](int index, int) {
      if (index == thrower) throw std::bad_alloc();
      ++others;
    };
    CHECK_THROWS_AS(pool.run_throwing(50, 3, task), std::bad_alloc);
    CHECK(others == 49);
    CHECK(runs_each_once(pool, 50, 3));
  }
}

#if !defined(__SANITIZE_THREAD__)  // TSan does not follow threads that start after a fork
TEST_CASE("a forked child starts workers of its own") {
  ThreadPool& pool = ThreadPool::shared();
  REQUIRE(runs_each_once(pool, 50, 2));
  const pid_t child = fork();
  if (child == 0) _exit(runs_each_once(pool, 50, 3) && runs_each_once(pool, 50, 3) ? 0 : 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(runs_each_once(pool, 50, 2));
}

TEST_CASE("a forked child forgets the region that its parent was in") {
  ThreadPool& pool = ThreadPool::shared();
  std::atomic<int> children_failed{0};
  pool.run(8, 2, [&](int task, int) {
    if (task != 3) return;
    const pid_t child = fork();
    if (child == 0) _exit(runs_each_once(pool, 50, 3) && runs_each_once(pool, 50, 2) ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    children_failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  });
  CHECK(children_failed == 0);
}
#endif

TEST_CASE("a workspace hands out aligned pieces that do not overlap") {
  Workspace workspace;
  for (int round = 0; round < 3; ++round) {
    workspace.reset();
    float* a = workspace.take<float>(5);
    double* b = workspace.take<double>(1000);
    char* c = workspace.take<char>(1);
    for (void* piece : {static_cast<void*>(a), static_cast<void*>(b), static_cast<void*>(c)}) {
      CHECK(reinterpret_cast<std::uintptr_t>(piece) % 64 == 0);
    }
    a[4] = 1.0f;
    b[0] = 2.0;
    b[999] = 3.0;
    *c = 'x';
    CHECK(a[4] == 1.0f);
    CHECK(b[999] == 3.0);
    CHECK(workspace.bytes() == (round == 0 ? 0 : 64 + 8000 + 64));
  }
}

TEST_CASE("a workspace takes the pieces of a scope back") {
  Workspace workspace;
  const auto pass = [&] {
    workspace.reset();
    int* kept = workspace.take<int>(16);
    kept[0] = 7;
    for (int round = 0; round < 10; ++round) {
      const Workspace::Scope outer(workspace);
      char* first = workspace.take<char>(64);
      first[0] = 'a';
      {
        const Workspace::Scope inner(workspace);
        workspace.take<char>(1000)[999] = 'b';
      }
      workspace.take<char>(100)[0] = 'c';
      CHECK(first[0] == 'a');
    }
    CHECK(kept[0] == 7);
  };
  pass();
  pass();
  CHECK(workspace.bytes() == 64 + 64 + 1024);
}
