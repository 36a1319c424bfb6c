// A few threads and a bounded queue.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/mutex.h"

namespace dolmen {

// Thread-safe. Stop (or the destructor) runs what is queued, then joins.
class WorkerPool {
 public:
  using Task = std::function<void()>;
  WorkerPool(size_t threads, size_t max_queued);
  ~WorkerPool();

  // False when the queue is full or the pool is stopping: the caller answers "busy".
  [[nodiscard]] bool Post(Task task);
  // Not from one of its own threads. Idempotent.
  void Stop();

 private:
  void Run();

  const size_t max_queued_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace dolmen
