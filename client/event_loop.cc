#include "client/event_loop.h"

#include <pthread.h>

#include <algorithm>
#include <vector>

#include "common/rpc/handoff.h"

namespace dolmen::client {

bool EventLoop::Enter(std::shared_ptr<Call> call) {
  MutexLock lock(&mutex_);
  if (stopping_) return false;
  if (!completions_.joinable()) {
    completions_ = std::thread([this] { RunCompletions(); });
    pthread_setname_np(completions_.native_handle(), "dolmen-streams");
  }
  calls_.insert(std::move(call));
  return true;
}

void EventLoop::Leave(const std::shared_ptr<Call>& call) {
  MutexLock lock(&mutex_);
  calls_.erase(call);
  if (calls_.empty()) changed_.SignalAll();
}

void EventLoop::RunCompletions() {
  void* tag;
  bool ok;
  while (queue_.Next(&tag, &ok)) {
    rpc::TakeFromGrpc(tag);
    static_cast<Tag*>(tag)->Done(ok);
  }
}

uint64_t EventLoop::RunAt(MonotonicTime at, std::function<void()> run) {
  MutexLock lock(&mutex_);
  if (stopping_) return 0;
  if (!timer_thread_.joinable()) {
    timer_thread_ = std::thread([this] { RunTimers(); });
    pthread_setname_np(timer_thread_.native_handle(), "dolmen-timers");
  }
  const uint64_t timer = next_timer_++;
  const auto place = timers_.emplace(std::pair(at, timer), std::move(run)).first;
  timer_times_.emplace(timer, at);
  if (place == timers_.begin()) changed_.SignalAll();
  return timer;
}

void EventLoop::CancelTimer(uint64_t timer) {
  std::function<void()> dropped;  // let go outside of the lock: it may own much
  MutexLock lock(&mutex_);
  const auto time = timer_times_.find(timer);
  if (time == timer_times_.end()) return;
  const auto place = timers_.find({time->second, timer});
  dropped = std::move(place->second);
  timers_.erase(place);
  timer_times_.erase(time);
}

void EventLoop::RunTimers() {
  mutex_.Lock();
  while (!stopping_) {
    if (timers_.empty()) {
      changed_.Wait(&mutex_);
      continue;
    }
    const auto first = timers_.begin();
    const Duration left = first->first.first - clock_->Now();
    if (left > Duration::zero()) {
      changed_.WaitFor(&mutex_, left);
      continue;
    }
    std::function<void()> run = std::move(first->second);
    timer_times_.erase(first->first.second);
    timers_.erase(first);
    mutex_.Unlock();
    run();
    run = nullptr;
    mutex_.Lock();
  }
  mutex_.Unlock();
}

void EventLoop::Shutdown() {
  std::map<std::pair<MonotonicTime, uint64_t>, std::function<void()>> dropped;
  std::vector<std::shared_ptr<Call>> calls;
  std::thread timers;
  std::thread completions;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    stopping_ = true;
    dropped.swap(timers_);
    timer_times_.clear();
    calls.assign(calls_.begin(), calls_.end());
    timers.swap(timer_thread_);
    completions.swap(completions_);
    changed_.SignalAll();
  }
  if (timers.joinable()) timers.join();
  for (const std::shared_ptr<Call>& call : calls) call->CancelForShutdown();
  {
    MutexLock lock(&mutex_);
    // Nothing may be started on a queue after its shutdown.
    while (!calls_.empty()) changed_.Wait(&mutex_);
  }
  queue_.Shutdown();
  if (completions.joinable()) {
    completions.join();
    return;
  }
  void* tag;
  bool ok;
  while (queue_.Next(&tag, &ok)) {  // a queue must be drained before it goes away
  }
}

}  // namespace dolmen::client
