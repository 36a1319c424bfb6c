// One value that a thread waits for and another one sets.
#pragma once

#include <optional>
#include <utility>

#include "common/mutex.h"

namespace dolmen::client {

// Thread-safe. Set once.
template <typename T>
class Waiter {
 public:
  void Set(T value) {
    MutexLock lock(&mutex_);
    value_.emplace(std::move(value));
    is_set_.SignalAll();
  }
  // Waits without a limit: whoever sets it has the deadline.
  T Get() {
    MutexLock lock(&mutex_);
    while (!value_.has_value()) is_set_.Wait(&mutex_);
    return *std::move(value_);
  }

 private:
  Mutex mutex_;
  CondVar is_set_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::client
