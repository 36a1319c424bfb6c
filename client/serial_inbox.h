// Gives events to a state machine one at a time, in the order they were posted, on whichever thread posts while nobody
// else is giving. Nobody ever waits: a thread that finds another one at work leaves its event there.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "common/mutex.h"

namespace dolmen::client {

// Thread-safe.
template <typename Event>
class SerialInbox {
 public:
  // `handle` may Post.
  explicit SerialInbox(std::function<void(Event)> handle) : handle_(std::move(handle)) {}

  void Post(Event event) {
    {
      MutexLock lock(&mutex_);
      events_.push_back(std::move(event));
      if (busy_) return;
      busy_ = true;
    }
    std::deque<Event> batch;
    while (true) {
      {
        MutexLock lock(&mutex_);
        batch.clear();
        batch.swap(events_);
        if (batch.empty()) {
          busy_ = false;
          return;
        }
      }
      for (Event& one : batch) handle_(std::move(one));
    }
  }

 private:
  const std::function<void(Event)> handle_;
  Mutex mutex_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dolmen::client
