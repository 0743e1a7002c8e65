// The only decode loop: sentences of all callers, in flight together.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/cancel_token.h"
#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "decode/forward_groups.h"

namespace pyengine {

// The sentences of one call.
class Job {
 public:
  virtual ~Job() = default;
  virtual int num_sentences() const = 0;
  virtual std::span<const std::int32_t> source(int index) const = 0;
  // Of the source's tokens; empty: all are of type 0.
  virtual std::span<const std::int32_t> token_types(int) const { return {}; }
  // Where results of the encoder go that the caller wants.
  virtual EncoderResults encoder_results(int) { return {}; }
  // Ids that the sentence's tokens are chosen from, ascending; empty: all. May be called as start() is.
  virtual std::vector<std::int32_t> candidates(int) const { return {}; }
  // Rows that the sentence runs at once at most.
  virtual int max_rows(int index) const = 0;
  // The state of a sentence, made when it enters the batch, in `memory`; null if it is only to be encoded.
  // May be called on the thread of another caller.
  virtual std::unique_ptr<Decoding> start(int index, std::pmr::memory_resource* memory) = 0;
  // Takes the results of a decoded sentence. May be called on the thread of another caller.
  virtual void finish(int index, Decoding& decoding) = 0;
};

// Thrown in a child that was forked while the scheduler was at work: its threads do not exist there.
struct ForkedAtWork : std::exception {
  const char* what() const noexcept override {
    return "this model was at work when the process forked; load it again in the child";
  }
};

// What may end a call before it is done.
struct Interrupts {
  // Asked by any thread at any time; may be null.
  const CancelToken* token = nullptr;
  // Code of others that the calling thread has to run now and then, as Python does the handlers of signals;
  // it may do anything, so meanwhile the thread holds up nobody. True ends the call; what it throws is
  // rethrown.
  std::optional<FunctionRef<bool()>> poll = {};
};

// Thrown by Scheduler::run when the call was ended.
struct Interrupted : std::exception {
  explicit Interrupted(Ending why) : ending(why) {}
  const char* what() const noexcept override { return "interrupted"; }

  Ending ending;  // kNone: by its poll
};

// Callers bring jobs from any number of threads. One of the callers drives at a time: it admits sentences of
// all jobs in turn, runs the steps and retires what is done, until its own job is; then the next caller
// drives. A finished sentence leaves at once and a waiting one takes its place.
//
// A call that is to end gives up the pass that runs, if it has sentences in it, at the next product; the
// other sentences' part of it is run again. A caller with code of others to run drives for a moment at most:
// then a thread that is made for it does, and the caller waits.
class Scheduler {
 public:
  explicit Scheduler(ForwardGroups& forward) : forward_(forward) {}

  // Returns when every sentence of `job` is finished. At most batch_size sentences are in flight (the largest
  // of the present jobs'). If `interrupts` say so the job's sentences are dropped and Interrupted is thrown.
  // Rethrows what a step with sentences of the job threw, std::bad_alloc at most, and what job.start() threw.
  // Throws ForkedAtWork in such a child.
  void run(Job& job, int batch_size, const Interrupts& interrupts);

  // Whether every call throws ForkedAtWork.
  bool is_lost() const;

 private:
  struct Call {
    Job& job;
    int batch_size;
    const Interrupts& interrupts;
    int num_left;  // sentences not finished
    int num_started = 0;
    int num_in_flight = 0;
    std::atomic<bool> stopped{false};  // by its poll, or because a sentence could not start
    bool dropped = false;              // ended before it was done
    std::exception_ptr error = nullptr;

    bool is_to_end() const { return stopped.load(std::memory_order_relaxed) || ending() != Ending::kNone; }
    Ending ending() const { return interrupts.token ? interrupts.token->ending() : Ending::kNone; }
    bool may_end() const { return interrupts.token != nullptr || interrupts.poll; }
  };
  struct InFlight {
    Sentence sentence;
    Call* call;
    int index;  // in the call
  };
  using Lock = std::unique_lock<std::mutex>;
  using Clock = std::chrono::steady_clock;
  using Poll = FunctionRef<bool()>;

  // The threads inside run(), and the fork_count() of the process that they are in.
  struct Callers {
    std::uint32_t fork_count;
    std::uint32_t count;

    // Whether they were inside when this process was forked from theirs.
    bool lost(std::uint32_t now) const { return fork_count != now && count > 0; }
  };

  // Its thread counts as inside while it exists. Throws ForkedAtWork where the process forked while others
  // were: they do not exist here, and whoever waited for them, or for the lock, would wait for ever.
  class Inside {
   public:
    explicit Inside(std::atomic<Callers>& callers);
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    std::atomic<Callers>& callers_;
    const std::uint64_t fork_count_;
  };

  void work(Lock& lock, Call& call);
  void attend(Lock& lock, Call& call, Poll poll);
  void wait(Lock& lock, Call& call, bool to_drive);
  void ask(Lock& lock, Call& call, Poll poll);
  void drive(Lock& lock, const Call& call, bool briefly);
  void drop_ending();
  void drop(Call& call);
  void admit();
  bool enter_next(int& num_rows, int& num_tokens);
  Call* next_call();
  bool next_is_long() const;
  void run_model();
  void retire();
  void end(Call& call);
  void fail_in_flight(std::exception_ptr error);

  ForwardGroups& forward_;
  std::atomic<Callers> callers_{};
  std::mutex mutex_;                 // guards what follows
  std::condition_variable changed_;  // a call has ended, or nobody drives any more
  bool driven_ = false;
  std::vector<Call*> calls_;  // that have not ended
  std::size_t turn_ = 0;      // of calls_: whose sentence is admitted next
  // Only the driver uses these.
  std::vector<std::unique_ptr<InFlight>> in_flight_;
  std::vector<Sentence*> sentences_;              // of in_flight_, in a pass
  std::vector<const Call*> passengers_;           // calls in flight that may end before they are done
  std::chrono::steady_clock::duration worked_{};  // by drivers since the last rest
};

}  // namespace pyengine
