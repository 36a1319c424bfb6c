// The client's own threads: one takes completions of block streams from gRPC, one runs timers. Both start with their
// first use, so that a client that only asks the namenode something has neither.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "common/clock.h"
#include "common/mutex.h"
#include "grpcpp/completion_queue.h"

namespace dolmen::client {

// Thread-safe. What it runs must not block.
class EventLoop {
 public:
  // What gRPC is given as a tag. Done runs on the loop's thread.
  class Tag {
   public:
    virtual void Done(bool ok) = 0;

   protected:
    ~Tag() = default;
  };
  // A call with tags on the queue. Between Enter and Leave it may start operations on queue().
  class Call {
   public:
    virtual ~Call() = default;
    // End soon, and Leave.
    virtual void CancelForShutdown() = 0;
  };

  explicit EventLoop(const Clock* clock) : clock_(clock) {}
  ~EventLoop() { Shutdown(); }
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // False when shutting down: nothing may be started then.
  bool Enter(std::shared_ptr<Call> call);
  // The call has no tag on the queue any more.
  void Leave(const std::shared_ptr<Call>& call);
  grpc::CompletionQueue* queue() { return &queue_; }

  // Runs `run` at `at` on the timer thread. Returns a handle (never 0); 0 when shutting down: it never runs.
  uint64_t RunAt(MonotonicTime at, std::function<void()> run);
  // It does not run, unless it is running already. No effect for 0 and for handles of the past.
  void CancelTimer(uint64_t timer);

  const Clock* clock() const { return clock_; }

  // Cancels calls and waits until all have left, drops timers, joins the threads. Idempotent. Not from its threads.
  void Shutdown();

 private:
  void RunCompletions();
  void RunTimers();

  const Clock* const clock_;
  grpc::CompletionQueue queue_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<Call>> calls_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_timer_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::pair<MonotonicTime, uint64_t>, std::function<void()>> timers_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, MonotonicTime> timer_times_ ABSL_GUARDED_BY(mutex_);
  std::thread completions_ ABSL_GUARDED_BY(mutex_);
  std::thread timer_thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::client
