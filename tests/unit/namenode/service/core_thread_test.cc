#include "namenode/service/core_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "common/error.h"
#include "namenode/core/bootstrap.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/queries.h"
#include "namenode/storage/memory_meta_store.h"
#include "namenode/storage/memory_replica_store.h"
#include "tests/support/eventually.h"

namespace dolmen::namenode {
namespace {

using ::testing::HasSubstr;

// The store, with a gate before each commit that the test can close.
class GatedStore final : public MetaStore {
 public:
  explicit GatedStore(std::unique_ptr<MemoryMetaStore> store) : store_(std::move(store)) {}

  absl::Status Commit(const CommitBatch& batch) override {
    {
      MutexLock lock(&mutex_);
      ++arrived_;
      changed_.SignalAll();
      while (closed_) changed_.Wait(&mutex_);
    }
    return store_->Commit(batch);
  }
  std::shared_ptr<const MetaView> View() const override { return store_->View(); }
  absl::StatusOr<uint64_t> FreeBytes() const override { return store_->FreeBytes(); }

  void Close() {
    MutexLock lock(&mutex_);
    closed_ = true;
  }
  void Open() {
    MutexLock lock(&mutex_);
    closed_ = false;
    changed_.SignalAll();
  }
  // Until `count` commits have come to the gate since the start.
  [[nodiscard]] bool WaitForArrivals(int count) {
    return Eventually([&] {
      MutexLock lock(&mutex_);
      return arrived_ >= count;
    });
  }

 private:
  const std::unique_ptr<MemoryMetaStore> store_;
  Mutex mutex_;
  CondVar changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Answers by number of the call; a second one for the same call fails the test.
class Answers {
 public:
  CoreThread::Done Expect(int call) {
    return [this, call](Answer answer, CommitNumber commit) {
      MutexLock lock(&mutex_);
      EXPECT_TRUE(answers_.emplace(call, std::pair(std::move(answer), commit)).second) << "answered twice: " << call;
    };
  }
  size_t size() {
    MutexLock lock(&mutex_);
    return answers_.size();
  }
  [[nodiscard]] bool Wait(size_t count) {
    return Eventually([&] { return size() >= count; }, std::chrono::seconds(30));
  }
  std::map<int, std::pair<Answer, CommitNumber>> all() {
    MutexLock lock(&mutex_);
    return answers_;
  }
  Answer of(int call) { return all().at(call).first; }

 private:
  Mutex mutex_;
  std::map<int, std::pair<Answer, CommitNumber>> answers_ ABSL_GUARDED_BY(mutex_);
};

class CoreThreadTest : public ::testing::Test {
 protected:
  CoreThreadTest() {
    settings_.min_block_bytes = 512;
    settings_.replica_wait = std::chrono::milliseconds(60'000);
    auto opened = MemoryMetaStore::Open(disk_);
    EXPECT_TRUE(opened.ok());
    Random random(3);
    const WallTime wall = clock_.WallNow();
    EXPECT_TRUE((*opened)->Commit(FormatBatch(MintNamespace(&random, "super", "supergroup", wall))).ok());
    auto start = PlanStart(*(*opened)->View(), wall);
    EXPECT_TRUE(start.ok());
    EXPECT_TRUE((*opened)->Commit(start->batch).ok());
    store_ = std::make_unique<GatedStore>(*std::move(opened));
    const protocol::NamenodeIdentity identity{start->info.cluster, start->counters.epoch, "incarnation"};
    auto core = std::make_unique<NamenodeCore>(
        NamenodeCoreOptions{settings_, start->info, start->counters, identity, TokenKey{1, std::string(32, 'k')}, 5},
        store_->View(), &replicas_);
    EXPECT_TRUE(core->Recover(clock_.Now()).ok());
    board_ = std::make_unique<GuardedBoard>(identity);
    thread_ =
        std::make_unique<CoreThread>(std::move(core), store_.get(), &clock_, board_.get(), [this](absl::Status why) {
          MutexLock lock(&mutex_);
          stops_.push_back(std::move(why));
        });
  }
  ~CoreThreadTest() override {
    store_->Open();
    thread_->Stop();
  }

  // Started and out of safe mode.
  void Start() {
    thread_->Start();
    ASSERT_TRUE(Eventually([&] { return !InSafeMode(); }));
  }
  bool InSafeMode() {
    std::atomic<int> on{-1};
    if (!thread_->Post([&](NamenodeCore& core, MonotonicTime now) { on = core.GetFsStats(now)->safe_mode ? 1 : 0; })) {
      return true;
    }
    EXPECT_TRUE(Eventually([&] { return on >= 0; }));
    return on != 0;
  }
  void Submit(int call, protocol::Mutation request) {
    const Caller super{.user = "super", .groups = {"supergroup"}, .is_superuser = true, .host = "h"};
    const uint64_t id = call + 1;
    thread_->Submit({super, {.client_id = std::string(16, 'c'), .call_id = id}, std::move(request)},
                    answers_.Expect(call));
  }
  void Mkdirs(int call) { Submit(call, protocol::MkdirsRequest{.path = absl::StrCat("/d", call)}); }
  static bool Exists(const MetaReader& meta, int call) {
    auto found = meta.Get(Family::kInodes, keys::Inode(kRootInode, absl::StrCat("d", call)));
    return found.ok() && found->has_value();
  }
  std::vector<absl::Status> stops() {
    MutexLock lock(&mutex_);
    return stops_;
  }

  CoreSettings settings_;
  SystemClock clock_;
  std::shared_ptr<MemoryMetaDisk> disk_ = std::make_shared<MemoryMetaDisk>();
  MemoryReplicaStore replicas_;
  std::unique_ptr<GatedStore> store_;
  std::unique_ptr<GuardedBoard> board_;
  Answers answers_;
  Mutex mutex_;
  std::vector<absl::Status> stops_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<CoreThread> thread_;
};

TEST_F(CoreThreadTest, ManyThreadsSubmitAndEachCallIsAnsweredOnceAndReadsItsWrite) {
  Start();
  constexpr int kThreads = 8;
  constexpr int kCalls = 250;
  std::atomic<int> unseen{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const Caller super{.user = "super", .is_superuser = true};
      for (int i = 0; i < kCalls; ++i) {
        const int call = t * kCalls + i;
        CoreThread::Done done = answers_.Expect(call);
        protocol::CallId id{.client_id = std::string(16, static_cast<char>('a' + t)),
                            .call_id = static_cast<uint64_t>(i + 1)};
        thread_->Submit({super, id, protocol::MkdirsRequest{.path = absl::StrCat("/d", call)}},
                        [&, call, done](Answer answer, CommitNumber commit) {
                          const PublishedState state = thread_->published();
                          if (state.meta->commit_number() < commit || !Exists(*state.meta, call)) ++unseen;
                          done(std::move(answer), commit);
                        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(answers_.Wait(kThreads * kCalls));
  for (const auto& [call, answer] : answers_.all())
    EXPECT_TRUE(answer.first.ok()) << call << ": " << answer.first.status();
  EXPECT_EQ(unseen, 0) << "an answered change is in the published state";
  EXPECT_TRUE(stops().empty());
}

TEST_F(CoreThreadTest, WhatArrivesDuringASyncSharesTheNextCommit) {
  Start();
  const std::map<uint32_t, uint64_t> before = thread_->batch_size_histogram();
  store_->Close();
  Mkdirs(0);
  ASSERT_TRUE(store_->WaitForArrivals(1));
  for (int call = 1; call <= 100; ++call) Mkdirs(call);
  EXPECT_EQ(answers_.size(), 0u) << "nobody is answered before the sync";
  EXPECT_FALSE(Exists(*thread_->published().meta, 0)) << "nor sees what is not synced";
  store_->Open();
  ASSERT_TRUE(answers_.Wait(101));
  const auto all = answers_.all();
  EXPECT_EQ(all.at(1).second, all.at(100).second) << "one commit";
  EXPECT_EQ(all.at(1).second, all.at(0).second.Next());
  std::map<uint32_t, uint64_t> histogram = thread_->batch_size_histogram();
  EXPECT_EQ(histogram[64], (before.contains(64) ? before.at(64) : 0) + 1);
  EXPECT_EQ(histogram[1], (before.contains(1) ? before.at(1) : 0) + 1);
}

TEST_F(CoreThreadTest, QueriesNeverWaitForACommit) {
  Start();
  store_->Close();
  Mkdirs(0);
  ASSERT_TRUE(store_->WaitForArrivals(1));
  EXPECT_FALSE(Exists(*thread_->published().meta, 0));
  EXPECT_NE(thread_->published().cluster, nullptr);
  store_->Open();
  ASSERT_TRUE(answers_.Wait(1));
}

TEST_F(CoreThreadTest, HeartbeatsAreAnsweredWhileACommitHangs) {
  Start();
  store_->Close();
  Mkdirs(0);
  ASSERT_TRUE(store_->WaitForArrivals(1));
  MutexLock lock(&board_->mutex);
  EXPECT_TRUE(board_->board.OnHeartbeat({.datanode = DatanodeUuid("dn"), .session = 1}, clock_.Now()).must_register);
}

TEST_F(CoreThreadTest, StoppingWhileBusyAnswersEveryCallOnceAndLosesNothingAcknowledged) {
  Start();
  constexpr int kThreads = 4;
  std::atomic<bool> go_on{true};
  std::atomic<int> next_call{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      while (go_on && next_call < 100'000) Mkdirs(next_call++);
    });
  }
  EXPECT_TRUE(answers_.Wait(100));
  thread_->Stop();
  go_on = false;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answers_.size(), static_cast<size_t>(next_call)) << "nobody is left without an answer";
  for (const auto& [call, answer] : answers_.all()) {
    EXPECT_EQ(Exists(*store_->View(), call), answer.first.ok()) << call << ": " << answer.first.status();
  }
  EXPECT_TRUE(stops().empty()) << "nothing went wrong";
}

TEST_F(CoreThreadTest, StoppingAnswersWhoWaitsForReplicas) {
  Start();
  ASSERT_TRUE(thread_->Post([&](NamenodeCore& core, MonotonicTime now) {
    EXPECT_TRUE(core.Register({.info = {.uuid = DatanodeUuid("dn"),
                                        .host_name = "dn",
                                        .addresses = {{"default", "dn", 7066}},
                                        .rack = "/default-rack"},
                               .storages = {{.id = StorageId("disk"),
                                             .capacity_bytes = uint64_t{1} << 40,
                                             .remaining_bytes = uint64_t{1} << 40}}},
                              now)
                    .ok());
  }));
  Submit(0, protocol::CreateRequest{.path = "/f", .replication = 1, .block_bytes = 1024, .holder = "w"});
  ASSERT_TRUE(answers_.Wait(1));
  ASSERT_TRUE(answers_.of(0).ok()) << answers_.of(0).status();
  const InodeId file = std::get<protocol::CreateReply>(*answers_.of(0)).status.inode;
  Submit(1, protocol::AddBlockRequest{.path = "/f", .inode = file, .holder = "w"});
  ASSERT_TRUE(answers_.Wait(2));
  ASSERT_TRUE(answers_.of(1).ok()) << answers_.of(1).status();
  protocol::Block block = std::get<protocol::AddBlockReply>(*answers_.of(1)).block.block;
  block.length = 10;
  Submit(2, protocol::CompleteRequest{.path = "/f", .inode = file, .holder = "w", .last = block});
  Mkdirs(3);
  ASSERT_TRUE(answers_.Wait(3));
  EXPECT_FALSE(answers_.all().contains(2)) << "it waits";
  thread_->Stop();
  ASSERT_EQ(answers_.size(), 4u);
  EXPECT_EQ(ReasonOf(answers_.of(2).status()), ErrorReason::kStopped);
}

TEST_F(CoreThreadTest, AfterStopEverythingIsRefusedAtOnce) {
  Start();
  thread_->Stop();
  thread_->Stop();
  Mkdirs(0);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(AdviceFor(answers_.of(0).status()), RetryAdvice::kRetry);
  EXPECT_FALSE(thread_->Post([](NamenodeCore&, MonotonicTime) { ADD_FAILURE() << "must not run"; }));
  EXPECT_NE(thread_->published().meta, nullptr) << "what is published stays readable";
}

TEST_F(CoreThreadTest, StoppingOneThatNeverStartedIsFine) { thread_->Stop(); }

TEST_F(CoreThreadTest, TooManyWaitingTasksAreRefused) {
  Start();
  store_->Close();
  Mkdirs(0);
  ASSERT_TRUE(store_->WaitForArrivals(1));
  std::atomic<size_t> ran{0};
  for (size_t i = 0; i < CoreThread::kMaxQueuedTasks; ++i)
    ASSERT_TRUE(thread_->Post([&](NamenodeCore&, MonotonicTime) { ++ran; }));
  EXPECT_FALSE(thread_->Post([](NamenodeCore&, MonotonicTime) {}));
  Mkdirs(1);
  ASSERT_EQ(answers_.size(), 1u) << "refused without waiting";
  EXPECT_EQ(ReasonOf(answers_.of(1).status()), ErrorReason::kBusy);
  store_->Open();
  EXPECT_TRUE(Eventually([&] { return ran == CoreThread::kMaxQueuedTasks; }));
}

TEST_F(CoreThreadTest, AFailedCommitIsReportedOnceAndNothingIsChangedAfterIt) {
  Start();
  Mkdirs(0);
  ASSERT_TRUE(answers_.Wait(1));
  disk_->FailNextCommit(/*applied=*/true);
  Mkdirs(1);
  ASSERT_TRUE(answers_.Wait(2));
  EXPECT_EQ(ReasonOf(answers_.of(1).status()), ErrorReason::kStopped);
  for (int call = 2; call < 50; ++call) Mkdirs(call);
  ASSERT_TRUE(answers_.Wait(50));
  for (int call = 2; call < 50; ++call) EXPECT_EQ(ReasonOf(answers_.of(call).status()), ErrorReason::kStopped);
  ASSERT_TRUE(Eventually([&] { return !stops().empty(); }));
  std::atomic<int> turns{0};  // more turns of the thread do not report again
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(thread_->Post([&](NamenodeCore&, MonotonicTime) { ++turns; }));
    ASSERT_TRUE(Eventually([&] { return turns == i + 1; }));
  }
  ASSERT_EQ(stops().size(), 1u);
  EXPECT_THAT(std::string(MessageOf(stops()[0])), HasSubstr("restart"));
  EXPECT_TRUE(Exists(*thread_->published().meta, 0)) << "queries go on with what was published";
  EXPECT_FALSE(Exists(*thread_->published().meta, 1));
}

TEST_F(CoreThreadTest, LowSpaceRefusesWorkUntilThereIsRoomAgain) {
  Start();
  disk_->set_free_bytes(settings_.free_space_floor_bytes - 1);
  ASSERT_TRUE(Eventually([&] { return InSafeMode(); }));
  Mkdirs(0);
  ASSERT_TRUE(answers_.Wait(1));
  EXPECT_EQ(ReasonOf(answers_.of(0).status()), ErrorReason::kSafeMode);
  disk_->set_free_bytes(settings_.free_space_floor_bytes);
  ASSERT_TRUE(Eventually([&] { return !InSafeMode(); }));
  Mkdirs(1);
  ASSERT_TRUE(answers_.Wait(2));
  EXPECT_TRUE(answers_.of(1).ok());
  EXPECT_TRUE(stops().empty());
}

TEST_F(CoreThreadTest, ANamenodeThatWasReplacedStopsItself) {
  Start();
  ASSERT_TRUE(thread_->Post([&](NamenodeCore& core, MonotonicTime now) {
    protocol::RegisterRequest request{.info = {.uuid = DatanodeUuid("dn"), .addresses = {{"default", "dn", 7066}}}};
    request.cluster = core.info().cluster;
    request.highest_epoch = Epoch(1000);
    EXPECT_EQ(ReasonOf(core.Register(request, now).status()), ErrorReason::kStaleEpoch);
  }));
  ASSERT_TRUE(Eventually([&] { return !stops().empty(); }));
  EXPECT_EQ(ReasonOf(stops()[0]), ErrorReason::kStaleEpoch);
  Mkdirs(0);
  ASSERT_TRUE(answers_.Wait(1));
  EXPECT_EQ(ReasonOf(answers_.of(0).status()), ErrorReason::kStopped);
  EXPECT_EQ(stops().size(), 1u);
}

}  // namespace
}  // namespace dolmen::namenode
