// The one thread that decides. Everything that changes the namespace or the picture of the datanodes is handed to it
// and answered by callback; nobody waits for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "namenode/core/namenode_core.h"

namespace dolmen::namenode {

// The heartbeat board and its lock: heartbeats are answered from it without waiting for the core thread.
struct GuardedBoard {
  explicit GuardedBoard(protocol::NamenodeIdentity identity) : board(std::move(identity)) {}
  Mutex mutex;
  HeartbeatBoard board ABSL_GUARDED_BY(mutex);
};

// Thread-safe. Owns the thread; Stop joins it.
// Lock order: mutex_ and board->mutex are never held together, and neither during a commit or a callback.
class CoreThread {
 public:
  using Done = std::function<void(Answer answer, CommitNumber commit)>;
  using Task = std::function<void(NamenodeCore& core, MonotonicTime now)>;

  // All borrowed things outlive this. `on_stop` is called once, from the core thread, when mutations stop for good (a
  // failed commit) or another namenode was found to serve this namespace. It must not call Stop.
  CoreThread(std::unique_ptr<NamenodeCore> core, MetaStore* store, const Clock* clock, GuardedBoard* board,
             std::function<void(absl::Status why)> on_stop);
  ~CoreThread();

  void Start();
  // Decides and commits what was submitted before, answers what waits for replicas with an error, joins. Idempotent;
  // not from the core thread, and by one thread at a time.
  void Stop();

  // After Start. `done` is called exactly once, from the core thread (or at once, when refused). It must not block.
  void Submit(ClientMutation operation, Done done);
  // Runs `task` on the core thread before the next batch. False when too many wait or the thread has stopped.
  bool Post(Task task);
  // What queries see. Never waits for the core thread.
  PublishedState published() const;

  // Group commit histogram: batches by number of operations (power of two).
  std::map<uint32_t, uint64_t> batch_size_histogram() const;

  static constexpr size_t kMaxQueuedTasks = 50'000;
  static constexpr std::chrono::milliseconds kTickInterval{20};
  static constexpr std::chrono::seconds kSpaceCheckInterval{1};

 private:
  void Run();
  void Turn(MonotonicTime now);
  void Publish();
  void AnswerAll(std::vector<Finished> finished);
  void CheckSpace(MonotonicTime now);

  const Clock* const clock_;
  MetaStore* const store_;
  GuardedBoard* const board_;
  const std::function<void(absl::Status)> on_stop_;

  // Core thread only (after Start).
  std::unique_ptr<NamenodeCore> core_;
  std::map<uint64_t, Done> waiting_;
  uint64_t next_ticket_ = 1;
  MonotonicTime next_tick_{};
  MonotonicTime next_space_check_{};
  bool reported_stop_ = false;

  mutable Mutex mutex_;
  CondVar wake_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  PublishedState published_ ABSL_GUARDED_BY(mutex_);
  std::map<uint32_t, uint64_t> histogram_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace dolmen::namenode
