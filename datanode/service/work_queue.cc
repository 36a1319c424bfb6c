#include "datanode/service/work_queue.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>

namespace dolmen::datanode {

WorkQueue::WorkQueue(std::string name, size_t threads, size_t max_queued, const Clock* clock)
    : name_(std::move(name)), max_queued_(max_queued), clock_(clock) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this, i] { Run(i); });
}

WorkQueue::~WorkQueue() { Stop(); }

bool WorkQueue::TryPost(Work work) {
  MutexLock lock(&mutex_);
  if (stopping_ || queue_.size() >= max_queued_) return false;
  queue_.push_back(std::move(work));
  ready_.SignalOne();
  return true;
}

void WorkQueue::Post(Work work) {
  {
    MutexLock lock(&mutex_);
    if (!stopped_) {
      queue_.push_back(std::move(work));
      ready_.SignalOne();
      return;
    }
  }
  work();
}

void WorkQueue::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    ready_.SignalAll();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  // What was posted while the threads ended.
  for (;;) {
    Work work;
    {
      MutexLock lock(&mutex_);
      if (queue_.empty()) {
        stopped_ = true;
        return;
      }
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

Duration WorkQueue::LongestRunning() const {
  const MonotonicTime now = clock_->Now();
  Duration longest{};
  MutexLock lock(&mutex_);
  for (const auto& [thread, since] : running_since_) longest = std::max(longest, now - since);
  return longest;
}

void WorkQueue::Run(size_t thread) {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  for (;;) {
    Work work;
    {
      MutexLock lock(&mutex_);
      running_since_.erase(thread);
      while (queue_.empty()) {
        if (stopping_) return;
        ready_.Wait(&mutex_);
      }
      work = std::move(queue_.front());
      queue_.pop_front();
      running_since_[thread] = clock_->Now();
    }
    work();
  }
}

ParallelTasks::ParallelTasks(const std::string& name, size_t helpers, const Clock* clock)
    : helpers_(helpers), queue_(name, helpers, SIZE_MAX, clock) {}

void ParallelTasks::Run(std::vector<std::function<void()>> tasks) {
  struct Shared {
    std::vector<std::function<void()>> tasks;
    std::atomic<size_t> next{0};
    Mutex mutex;
    CondVar all_done;
    size_t done ABSL_GUARDED_BY(mutex) = 0;

    void Work() {
      size_t finished = 0;
      for (size_t i = next.fetch_add(1); i < tasks.size(); i = next.fetch_add(1)) {
        tasks[i]();
        ++finished;
      }
      if (finished == 0) return;
      MutexLock lock(&mutex);
      done += finished;
      if (done == tasks.size()) all_done.SignalAll();
    }
  };
  if (tasks.empty()) return;
  auto shared = std::make_shared<Shared>();
  shared->tasks = std::move(tasks);
  const size_t help = std::min(helpers_, shared->tasks.size() - 1);
  for (size_t i = 0; i < help; ++i) queue_.Post([shared] { shared->Work(); });
  shared->Work();
  MutexLock lock(&shared->mutex);
  while (shared->done < shared->tasks.size()) shared->all_done.Wait(&shared->mutex);
}

}  // namespace dolmen::datanode
