// Threads with a queue of work.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"

namespace dolmen::datanode {

// Thread-safe. Work is begun in the order it was posted; with one thread it is also done in that order.
class WorkQueue {
 public:
  using Work = std::function<void()>;

  // `max_queued` bounds TryPost. `clock` is not owned and outlives this.
  WorkQueue(std::string name, size_t threads, size_t max_queued, const Clock* clock);
  ~WorkQueue();  // Stop
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // False when the queue is full or stopped: the work was not taken.
  bool TryPost(Work work);
  // For work that follows from work taken before, so that its amount is bounded there. After Stop it is run at once, on
  // the calling thread.
  void Post(Work work);
  // Runs what is queued and joins the threads. Idempotent. Not from the queue's own threads.
  void Stop();

  // How long the longest piece of work has been running; a disk that hangs shows here (F-070).
  Duration LongestRunning() const;

 private:
  void Run(size_t thread);

  const std::string name_;
  const size_t max_queued_;
  const Clock* const clock_;
  mutable Mutex mutex_;
  CondVar ready_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  std::map<size_t, MonotonicTime> running_since_ ABSL_GUARDED_BY(mutex_);  // by thread
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

// Runs tasks side by side on some helper threads and the calling one. Thread-safe.
class ParallelTasks {
 public:
  ParallelTasks(const std::string& name, size_t helpers, const Clock* clock);
  // Returns when all tasks are done.
  void Run(std::vector<std::function<void()>> tasks);

 private:
  const size_t helpers_;
  WorkQueue queue_;
};

}  // namespace dolmen::datanode
