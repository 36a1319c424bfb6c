// Runs jobs on a few threads and reports their results in the order in which they were added.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/mutex.h"

namespace dolmen::cli {

// Used from one thread; only the jobs run on others. The destructor waits for all jobs.
class OrderedJobs {
 public:
  using Job = std::function<absl::Status()>;
  // `report` is called on the caller's thread, once per job, from Add, AddResult and Drain.
  // With one thread, jobs run inside Add.
  OrderedJobs(size_t threads, std::function<void(const absl::Status&)> report);
  ~OrderedJobs();
  OrderedJobs(const OrderedJobs&) = delete;
  OrderedJobs& operator=(const OrderedJobs&) = delete;

  // Waits while kMaxPending jobs are unfinished.
  void Add(Job job);
  // A result that is known already, in its place among the others.
  void AddResult(absl::Status result);
  // Waits until everything added has been reported.
  void Drain();

  static constexpr size_t kMaxPending = 1024;

 private:
  struct Slot {
    Job job;
    absl::Status result;
    bool done = false;
  };
  void Work();
  // Reports finished slots at the front; waits until at most `most_left` are left.
  void ReportUntil(size_t most_left);

  const size_t max_threads_;
  const std::function<void(const absl::Status&)> report_;

  Mutex mutex_;
  CondVar work_added_;
  CondVar slot_done_;
  std::deque<std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);    // not reported yet, in order
  std::deque<std::shared_ptr<Slot>> waiting_ ABSL_GUARDED_BY(mutex_);  // not started yet
  size_t idle_threads_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // the caller's thread only
};

}  // namespace dolmen::cli
