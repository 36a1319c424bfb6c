// The threads around the store, without gRPC: queues, groups, and many streams on one volume at once.
#include "datanode/service/volume_workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "common/posix_file_system.h"
#include "datanode/service/work_queue.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/datanode/storage/replica_builder.h"

namespace dolmen::datanode {
namespace {

const SystemClock kClock;

TEST(WorkQueueTest, OneThreadKeepsTheOrderAndStopRunsWhatIsQueued) {
  std::vector<int> order;
  WorkQueue queue("test", 1, 1000, &kClock);
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(queue.TryPost([&order, i] { order.push_back(i); }));
  queue.Stop();
  ASSERT_EQ(order.size(), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(order[i], i);
  EXPECT_FALSE(queue.TryPost([] {}));
  bool ran = false;
  queue.Post([&] { ran = true; });  // after the end: at once
  EXPECT_TRUE(ran);
}

TEST(WorkQueueTest, AFullQueueRefusesAndWorkThatHangsIsSeen) {
  std::atomic<bool> go{false};
  WorkQueue queue("test", 1, 2, &kClock);
  ASSERT_TRUE(queue.TryPost([&] { go.wait(false); }));
  ASSERT_TRUE(Eventually([&] { return queue.LongestRunning() > Duration(0); }));
  EXPECT_TRUE(queue.TryPost([] {}));
  EXPECT_TRUE(queue.TryPost([] {}));
  EXPECT_FALSE(queue.TryPost([] {}));
  go = true;
  go.notify_all();
  EXPECT_TRUE(Eventually([&] { return queue.LongestRunning() == Duration(0); }));
}

TEST(ParallelTasksTest, AllTasksRunOnce) {
  ParallelTasks parallel("test", 3, &kClock);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::atomic<int>> ran(20);
    std::vector<std::function<void()>> tasks;
    for (auto& one : ran) tasks.push_back([&one] { ++one; });
    parallel.Run(std::move(tasks));
    for (auto& one : ran) EXPECT_EQ(one, 1);
  }
  parallel.Run({});
}

// Writers with hsyncs, readers of what is visible, finalizes in groups, verification and deletes, all at once.
TEST(VolumeWorkersTest, ManyStreamsOnOneVolumeKeepTheirBytesApart) {
  const TempDir directory;
  const std::unique_ptr<FileSystem> fs = MakePosixFileSystem();
  Random random(3);
  auto store = *BlockStore::Open(fs.get(), {.directories = {{directory.path()}}}, &random, kClock.Now());
  const StorageId storage = store->StorageReports()[0].id;
  constexpr uint64_t kBlocks = 40;
  constexpr uint64_t kLength = 20'000;
  {
    std::atomic<uint64_t> finalized{0};
    std::atomic<bool> writing{true};
    VolumeWorkers workers(store.get(), storage, {}, &kClock);
    std::vector<std::thread> threads;
    for (uint64_t part = 0; part < 4; ++part) {
      threads.emplace_back([&, part] {
        for (uint64_t n = part; n < kBlocks; n += 4) {
          const BlockId block = MakeBlock(n + 1).id;
          workers.writes().Post([&, n, block] {
            auto created =
                store->CreateReplica({.block = MakeBlock(n + 1), .storage = storage, .expected_bytes = kLength});
            ASSERT_TRUE(created.ok()) << created.status();
            const std::shared_ptr<ReplicaWriter> writer = *std::move(created);
            for (uint64_t at = 0; at < kLength; at += 3000) {
              const uint64_t to = std::min(kLength, at + 3000);
              workers.writes().Post([&, writer, block, at, to] {
                EXPECT_TRUE(writer->Write(BlockPacket(block, at, to)).ok());
                writer->SetVisibleLength(to);
                if (at % 2 == 0) workers.Sync(writer, [](const absl::Status& synced) { EXPECT_TRUE(synced.ok()); });
              });
            }
            workers.writes().Post([&, writer] {
              workers.Finalize(writer, true, [&](const absl::Status& done) {
                EXPECT_TRUE(done.ok()) << done;
                ++finalized;
              });
            });
          });
        }
      });
    }
    for (int reader = 0; reader < 2; ++reader) {
      threads.emplace_back([&, reader] {
        while (writing) {
          for (uint64_t n = 1 + reader; n <= kBlocks; n += 2) {
            const auto open = store->OpenReader(MakeBlock(n));
            if (!open.ok()) continue;
            const auto chunk = (*open)->Read(512, 5000, ReplicaReader::Check::kVerify);
            ASSERT_TRUE(chunk.ok()) << chunk.status();
            const std::string bytes(chunk->payload);
            EXPECT_EQ(bytes, BlockBytes(MakeBlock(n).id, chunk->offset + bytes.size()).substr(chunk->offset));
          }
        }
      });
    }
    threads.emplace_back([&] {
      while (writing) {
        store->StorageReports();
        store->ListRange(storage, BlockId(0), 1000);
        store->RefreshSpace();
      }
    });
    EXPECT_TRUE(Eventually([&] { return finalized == kBlocks; }, std::chrono::seconds(60)));
    for (uint64_t n = 1; n <= kBlocks; n += 3) {
      workers.background().Post([&, n] {
        EXPECT_EQ(store->Verify(MakeBlock(n))->outcome, VerifyOutcome::kGood);
        EXPECT_TRUE(store->Delete(MakeBlock(n), kClock.Now()).ok());
      });
    }
    workers.background().Stop();
    writing = false;
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(store->open_writers(), 0u);
  store = nullptr;
  store = *BlockStore::Open(fs.get(), {.directories = {{directory.path()}}}, &random, kClock.Now());
  for (uint64_t n = 1; n <= kBlocks; ++n) {
    if (n % 3 == 1) {
      EXPECT_FALSE(store->StorageOf(MakeBlock(n).id).has_value());
    } else {
      EXPECT_EQ(store->Verify(MakeBlock(n))->outcome, VerifyOutcome::kGood);
    }
  }
}

}  // namespace
}  // namespace dolmen::datanode
