#include "common/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/eventually.h"

namespace dolmen {
namespace {

// Holds the threads that enter it until it is opened.
class Gate {
 public:
  void Enter() {
    MutexLock lock(&mutex_);
    ++inside_;
    while (!open_) changed_.Wait(&mutex_);
  }
  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.SignalAll();
  }
  [[nodiscard]] bool WaitInside(int count) {
    return Eventually([&] {
      MutexLock lock(&mutex_);
      return inside_ >= count;
    });
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(WorkerPoolTest, RunsEveryTaskOnce) {
  constexpr int kTasks = 1000;
  std::vector<std::atomic<int>> runs(kTasks);
  {
    WorkerPool pool(4, kTasks);
    for (int i = 0; i < kTasks; ++i) ASSERT_TRUE(pool.Post([&runs, i] { ++runs[i]; }));
  }
  for (int i = 0; i < kTasks; ++i) EXPECT_EQ(runs[i], 1) << i;
}

TEST(WorkerPoolTest, OneThreadRunsTasksInOrder) {
  std::vector<int> order;
  WorkerPool pool(1, 100);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool.Post([&order, i] { order.push_back(i); }));
  pool.Stop();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order.at(i), i);
}

TEST(WorkerPoolTest, TasksRunBesideEachOther) {
  Gate gate;
  WorkerPool pool(3, 10);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.Post([&] { gate.Enter(); }));
  EXPECT_TRUE(gate.WaitInside(3));
  gate.Open();
}

TEST(WorkerPoolTest, AFullQueueRefusesAndTakesMoreOnceItHasRoom) {
  Gate gate;
  std::atomic<int> ran{0};
  WorkerPool pool(1, 2);
  ASSERT_TRUE(pool.Post([&] { gate.Enter(); }));
  ASSERT_TRUE(gate.WaitInside(1));
  EXPECT_TRUE(pool.Post([&] { ++ran; }));
  EXPECT_TRUE(pool.Post([&] { ++ran; }));
  EXPECT_FALSE(pool.Post([&] { ++ran; }));
  gate.Open();
  EXPECT_TRUE(Eventually([&] { return ran == 2; }));
  EXPECT_TRUE(pool.Post([&] { ++ran; }));
  pool.Stop();
  EXPECT_EQ(ran, 3);
}

TEST(WorkerPoolTest, StopRunsWhatIsQueuedAndRefusesMore) {
  Gate gate;
  std::atomic<int> ran{0};
  WorkerPool pool(2, 100);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(pool.Post([&] { gate.Enter(); }));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(pool.Post([&] { ++ran; }));
  gate.Open();
  pool.Stop();
  EXPECT_EQ(ran, 50);
  EXPECT_FALSE(pool.Post([&] { ++ran; }));
  pool.Stop();
  EXPECT_EQ(ran, 50);
}

TEST(WorkerPoolTest, ATaskMayPostAnother) {
  std::atomic<bool> done{false};
  WorkerPool pool(1, 10);
  ASSERT_TRUE(pool.Post([&] { EXPECT_TRUE(pool.Post([&] { done = true; })); }));
  EXPECT_TRUE(Eventually([&] { return done.load(); }));
}

}  // namespace
}  // namespace dolmen
