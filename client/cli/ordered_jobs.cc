#include "client/cli/ordered_jobs.h"

#include <utility>

namespace dolmen::cli {

OrderedJobs::OrderedJobs(size_t threads, std::function<void(const absl::Status&)> report)
    : max_threads_(threads), report_(std::move(report)) {}

OrderedJobs::~OrderedJobs() {
  Drain();
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  work_added_.SignalAll();
  for (std::thread& thread : threads_) thread.join();
}

void OrderedJobs::Add(Job job) {
  if (max_threads_ <= 1) {
    report_(job());
    return;
  }
  ReportUntil(kMaxPending - 1);
  auto slot = std::make_shared<Slot>();
  slot->job = std::move(job);
  bool start_thread = false;
  {
    MutexLock lock(&mutex_);
    slots_.push_back(slot);
    waiting_.push_back(std::move(slot));
    start_thread = waiting_.size() > idle_threads_ && threads_.size() < max_threads_;
  }
  if (start_thread) threads_.emplace_back([this] { Work(); });
  work_added_.SignalOne();
}

void OrderedJobs::AddResult(absl::Status result) {
  ReportUntil(kMaxPending - 1);
  {
    MutexLock lock(&mutex_);
    if (!slots_.empty()) {
      auto slot = std::make_shared<Slot>();
      slot->result = std::move(result);
      slot->done = true;
      slots_.push_back(std::move(slot));
      return;
    }
  }
  report_(result);
}

void OrderedJobs::Drain() { ReportUntil(0); }

void OrderedJobs::ReportUntil(size_t most_left) {
  while (true) {
    std::shared_ptr<Slot> front;
    {
      MutexLock lock(&mutex_);
      while (slots_.size() > most_left && !slots_.front()->done) slot_done_.Wait(&mutex_);
      if (slots_.empty() || !slots_.front()->done) return;
      front = std::move(slots_.front());
      slots_.pop_front();
    }
    report_(front->result);
  }
}

void OrderedJobs::Work() {
  while (true) {
    std::shared_ptr<Slot> slot;
    {
      MutexLock lock(&mutex_);
      ++idle_threads_;
      while (waiting_.empty() && !stopping_) work_added_.Wait(&mutex_);
      --idle_threads_;
      if (waiting_.empty()) return;
      slot = std::move(waiting_.front());
      waiting_.pop_front();
    }
    absl::Status result = slot->job();
    slot->job = nullptr;
    {
      MutexLock lock(&mutex_);
      slot->result = std::move(result);
      slot->done = true;
    }
    slot_done_.SignalAll();
  }
}

}  // namespace dolmen::cli
