// Power loss, and kill -9, at every disk operation of appends, block recoveries and copies of prefixes, and at every
// operation of the start that follows. Whatever is left can be recovered, and appended to.
#include <gtest/gtest.h>

#include <cstdio>

#include "common/memory_file_system.h"
#include "datanode/storage/block_file_format.h"
#include "datanode/storage/replica_recovery.h"
#include "tests/unit/datanode/storage/power_cuts.h"
#include "tests/unit/datanode/storage/replica_builder.h"

namespace dolmen::datanode {
namespace {

using protocol::Block;
using protocol::ReplicaState;

constexpr MonotonicTime kStart{};

// What the caller was promised about one block.
struct Promise {
  uint64_t content = 0;          // the block whose bytes it has
  uint64_t written = 0;          // at least these bytes survive a crash of the process,
  uint64_t synced = 0;           // these a power loss
  uint64_t sent = 0;             // and never more than these are there
  GenerationStamp low, high;     // its stamp is one of these or between
  std::optional<Block> exact;    // durably finalized so, and nothing else was begun since
  bool closed_unsynced = false;  // a power loss may leave anything
  bool is_copy = false;          // finalized, or not there at all
};

class Scenario {
 public:
  explicit Scenario(uint64_t seed) : random_(seed) { options_.directories = {{"/d/one"}, {"/d/two"}}; }

  MemoryFileSystem& disk() { return disk_; }
  PowerSwitch& power() { return power_; }

  absl::Status Open() {
    DOLMEN_ASSIGN_OR_RETURN(store_, BlockStore::Open(&power_, options_, &random_, kStart));
    return absl::OkStatus();
  }
  void Close() {
    writers_.clear();
    store_.reset();
  }
  // What a start reports is a promise too: the namenode counts on it.
  void PromiseWhatIsReported() {
    for (const protocol::ReportedReplica& replica : Report()) {
      Promise& promise = promises_[Number(replica.block.id)];
      if (promise.closed_unsynced) continue;
      promise.low = replica.block.stamp;
      promise.written = promise.synced = replica.block.length;
      if (replica.state == ReplicaState::kFinalized) promise.exact = replica.block;
    }
  }

  // Stops at the first failure.
  absl::Status Work() {
    DOLMEN_RETURN_IF_ERROR(Open());
    // 1: closed with a partial chunk, appended to with flushes and hsyncs in the same chunk and later, closed.
    DOLMEN_RETURN_IF_ERROR(Put(1, 1300, true));
    DOLMEN_RETURN_IF_ERROR(Reopen(1, 2001));
    DOLMEN_RETURN_IF_ERROR(Write(1, 1400));
    DOLMEN_RETURN_IF_ERROR(Sync(1));
    DOLMEN_RETURN_IF_ERROR(Write(1, 1500));
    DOLMEN_RETURN_IF_ERROR(Write(1, 2600));
    DOLMEN_RETURN_IF_ERROR(Sync(1));
    DOLMEN_RETURN_IF_ERROR(Write(1, 3000));
    DOLMEN_RETURN_IF_ERROR(Finalize(1, true));
    // 2: closed without sync; the append makes it durable. Left behind by its writer.
    DOLMEN_RETURN_IF_ERROR(Put(2, 900, false));
    DOLMEN_RETURN_IF_ERROR(Reopen(2, 2002));
    DOLMEN_RETURN_IF_ERROR(Write(2, 1000));
    writers_.erase(2);
    // 3: frozen while its writer lives, cut inside an earlier chunk than it ends in.
    DOLMEN_RETURN_IF_ERROR(Create(3));
    DOLMEN_RETURN_IF_ERROR(Write(3, 1200));
    DOLMEN_RETURN_IF_ERROR(Sync(3));
    DOLMEN_RETURN_IF_ERROR(Write(3, 5000));
    DOLMEN_RETURN_IF_ERROR(Freeze(3, 3003));
    DOLMEN_RETURN_IF_ERROR(Finish(3, 3003, 1700));
    // 4: finalized, frozen, and given a stamp.
    DOLMEN_RETURN_IF_ERROR(Put(4, 1100, true));
    DOLMEN_RETURN_IF_ERROR(Freeze(4, 3004));
    DOLMEN_RETURN_IF_ERROR(Finish(4, 3004, 1100));
    // 5: an append that is recovered twice: the second recovery takes over; cut at a chunk boundary.
    DOLMEN_RETURN_IF_ERROR(Put(5, 700, true));
    DOLMEN_RETURN_IF_ERROR(Reopen(5, 2005));
    DOLMEN_RETURN_IF_ERROR(Write(5, 1400));
    DOLMEN_RETURN_IF_ERROR(Freeze(5, 3005));
    DOLMEN_RETURN_IF_ERROR(Freeze(5, 3015));
    DOLMEN_RETURN_IF_ERROR(Finish(5, 3015, 1024));
    // And appended to again, behind a full chunk; cut inside the chunk it ends in.
    DOLMEN_RETURN_IF_ERROR(Reopen(5, 4005));
    DOLMEN_RETURN_IF_ERROR(Write(5, 1500));
    DOLMEN_RETURN_IF_ERROR(Freeze(5, 4015));
    DOLMEN_RETURN_IF_ERROR(Finish(5, 4015, 1100));
    // Prefixes: inside a chunk, at a chunk boundary, and all of it.
    DOLMEN_RETURN_IF_ERROR(CopyPrefix(1, 11, 2000));
    DOLMEN_RETURN_IF_ERROR(CopyPrefix(1, 12, 1024));
    return CopyPrefix(4, 13, 1100);
  }

  // After a restart with the power on: what was promised is there, and everything can be recovered and appended to.
  void Check(bool power_lost) {
    ASSERT_TRUE(Open().ok());
    std::map<uint64_t, protocol::ReportedReplica> found;
    for (const protocol::ReportedReplica& replica : Report()) {
      EXPECT_TRUE(found.emplace(Number(replica.block.id), replica).second) << "twice: " << replica.block.id;
    }
    for (const auto& [n, promise] : promises_) {
      SCOPED_TRACE(::testing::Message() << "block " << n);
      if (promise.closed_unsynced && power_lost) continue;
      const auto at = found.find(n);
      if (at == found.end()) {
        EXPECT_FALSE(promise.exact.has_value()) << "a finalized replica is lost";
        EXPECT_EQ(promise.synced, 0u) << "synced bytes are lost";
        if (!power_lost && !promise.is_copy) {
          EXPECT_EQ(promise.written, 0u) << "written bytes are lost";
        }
        continue;
      }
      ASSERT_NO_FATAL_FAILURE(CheckReplica(promise, at->second, power_lost));
      ASSERT_NO_FATAL_FAILURE(RecoverAndAppend(promise, at->second));
    }
    for (const std::string volume : {"/d/one", "/d/two"}) {
      EXPECT_TRUE(disk_.List(volume + "/temporary")->empty());
      const auto names = disk_.List(volume + "/quarantine");
      ASSERT_TRUE(names.ok());
      for (const std::string& name : *names) {
        const auto parsed = ReplicaFileName::Parse(std::string_view(name).substr(0, name.rfind('.')));
        ASSERT_TRUE(parsed.has_value()) << name;
        const Promise& promise = promises_[Number(parsed->block)];
        EXPECT_TRUE(promise.synced == 0 || promise.closed_unsynced) << name;
      }
    }
    Close();
  }

 private:
  static uint64_t Number(BlockId block) { return (block.value() - kFirstBlockId.value()) / kBlockIdStep; }
  std::vector<protocol::ReportedReplica> Report() {
    std::vector<protocol::ReportedReplica> all;
    for (const auto& storage : store_->StorageReports()) {
      for (const auto& replica : store_->ListRange(storage.id, BlockId(0), 100)) all.push_back(replica);
    }
    return all;
  }

  absl::Status Create(uint64_t n) {
    const Block block = MakeBlock(n);
    promises_[n] = {.content = n, .low = block.stamp, .high = block.stamp};
    DOLMEN_ASSIGN_OR_RETURN(
        writers_[n], store_->CreateReplica(
                         {.block = block, .storage = store_->StorageReports()[n % 2].id, .expected_bytes = 10000}));
    return absl::OkStatus();
  }
  absl::Status Write(uint64_t n, uint64_t to) {
    promises_[n].sent = to;
    DOLMEN_RETURN_IF_ERROR(writers_[n]->Write(BlockPacket(MakeBlock(n).id, writers_[n]->written_length(), to)));
    promises_[n].written = to;
    return absl::OkStatus();
  }
  absl::Status Sync(uint64_t n) {
    DOLMEN_RETURN_IF_ERROR(writers_[n]->Sync());
    promises_[n].synced = promises_[n].written;
    return absl::OkStatus();
  }
  absl::Status Finalize(uint64_t n, bool durable) {
    Promise& promise = promises_[n];
    if (!durable) promise.closed_unsynced = true;
    ReplicaWriter* const writer = writers_[n].get();
    DOLMEN_RETURN_IF_ERROR(store_->FinalizeGroup({&writer, 1}, durable)[0]);
    if (!durable) return absl::OkStatus();
    promise.synced = promise.written;
    promise.exact = writer->block();
    return absl::OkStatus();
  }
  absl::Status Put(uint64_t n, uint64_t length, bool durable) {
    DOLMEN_RETURN_IF_ERROR(Create(n));
    DOLMEN_RETURN_IF_ERROR(Write(n, length));
    DOLMEN_RETURN_IF_ERROR(Finalize(n, durable));
    writers_.erase(n);
    return absl::OkStatus();
  }
  absl::Status Reopen(uint64_t n, uint64_t stamp) {
    Promise& promise = promises_[n];
    const GenerationStamp from = promise.low;
    promise.exact.reset();
    promise.high = GenerationStamp(stamp);
    DOLMEN_ASSIGN_OR_RETURN(
        writers_[n],
        store_->ReopenReplica({.block = MakeBlock(n, promise.written, stamp), .from = from, .expected_bytes = 10000}));
    promise.low = promise.high;
    promise.synced = promise.written;
    promise.closed_unsynced = false;
    return absl::OkStatus();
  }
  absl::Status Freeze(uint64_t n, uint64_t recovery) {
    Promise& promise = promises_[n];
    DOLMEN_RETURN_IF_ERROR(store_->BeginFreeze(MakeBlock(n).id, GenerationStamp(recovery)));
    DOLMEN_ASSIGN_OR_RETURN(const FrozenReplica frozen, store_->FinishFreeze(MakeBlock(n).id));
    EXPECT_EQ(frozen.replica.frozen_by, GenerationStamp(recovery));
    EXPECT_EQ(frozen.replica.block.length, promise.written);
    promise.synced = promise.written;
    return absl::OkStatus();
  }
  absl::Status Finish(uint64_t n, uint64_t recovery, uint64_t length) {
    Promise& promise = promises_[n];
    promise.exact.reset();
    promise.high = GenerationStamp(recovery);
    promise.synced = promise.written = length;
    const Block block = MakeBlock(n, length, recovery);
    DOLMEN_RETURN_IF_ERROR(store_->FinishRecovery(block));
    promise.low = promise.high;
    promise.sent = length;
    promise.exact = block;
    writers_.erase(n);
    return absl::OkStatus();
  }
  absl::Status CopyPrefix(uint64_t from, uint64_t to, uint64_t length) {
    const Block target = MakeBlock(to, length, 5000);
    promises_[to] = {.content = from, .sent = length, .low = target.stamp, .high = target.stamp, .is_copy = true};
    DOLMEN_RETURN_IF_ERROR(store_->CopyPrefix(*promises_[from].exact, target));
    promises_[to].synced = promises_[to].written = length;
    promises_[to].exact = target;
    return absl::OkStatus();
  }

  void CheckReplica(const Promise& promise, const protocol::ReportedReplica& replica, bool power_lost) {
    EXPECT_NE(replica.state, ReplicaState::kCorrupt);
    EXPECT_GE(replica.block.stamp, promise.low);
    EXPECT_LE(replica.block.stamp, promise.high);
    EXPECT_GE(replica.block.length, power_lost ? promise.synced : promise.written);
    EXPECT_LE(replica.block.length, promise.sent);
    if (promise.is_copy) {
      EXPECT_EQ(replica.state, ReplicaState::kFinalized);
      EXPECT_EQ(replica.block.length, promise.sent);
    }
    if (promise.exact.has_value()) {
      EXPECT_EQ(replica.state, ReplicaState::kFinalized);
      EXPECT_EQ(replica.block, *promise.exact);
    }
    CheckFiles(promise, replica);
  }
  // Every byte that the replica claims to have is right, and its checksums are.
  void CheckFiles(const Promise& promise, const protocol::ReportedReplica& replica) {
    const BlockId block = replica.block.id;
    const std::string volume = *store_->StorageOf(block) == store_->StorageReports()[0].id ? "/d/one" : "/d/two";
    const std::string directory = replica.state == ReplicaState::kFinalized
                                      ? volume + "/current/finalized/subdir" +
                                            std::to_string((block.value() >> 16) & 31) + "/subdir" +
                                            std::to_string((block.value() >> 8) & 31)
                                      : volume + "/current/being_written";
    const auto data = disk_.Open(JoinPath(directory, ReplicaFileName{.block = block}.ToString()), OpenMode::kRead);
    const auto meta =
        disk_.Open(JoinPath(directory, ReplicaFileName{.block = block, .is_meta = true}.ToString()), OpenMode::kRead);
    ASSERT_TRUE(data.ok() && meta.ok()) << "half a replica: " << data.status() << meta.status();
    EXPECT_TRUE(*MatchesChecksums(**data, **meta, replica.block.length));
    std::string bytes(replica.block.length, '\0');
    ASSERT_TRUE((*data)->ReadAt(0, bytes).ok());
    EXPECT_EQ(bytes, BlockBytes(MakeBlock(promise.content).id, replica.block.length));
  }
  // What the next recovery and the next append find is good enough for them.
  void RecoverAndAppend(const Promise& promise, const protocol::ReportedReplica& replica) {
    const BlockId id = replica.block.id;
    const Block recovered{.id = id, .stamp = GenerationStamp(9000), .length = replica.block.length};
    ASSERT_TRUE(store_->BeginFreeze(id, recovered.stamp).ok());
    const auto frozen = store_->FinishFreeze(id);
    ASSERT_TRUE(frozen.ok()) << frozen.status();
    EXPECT_EQ(frozen->replica.block, replica.block);
    const absl::Status finished = store_->FinishRecovery(recovered);
    ASSERT_TRUE(finished.ok()) << finished;
    const uint64_t to = recovered.length + 777;
    auto writer =
        store_->ReopenReplica({.block = {.id = id, .stamp = GenerationStamp(9001), .length = recovered.length},
                               .from = recovered.stamp,
                               .expected_bytes = 10000});
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Write(BlockPacket(MakeBlock(promise.content).id, recovered.length, to)).ok());
    ReplicaWriter* const one = writer->get();
    ASSERT_TRUE(store_->FinalizeGroup({&one, 1}, true)[0].ok());
    EXPECT_EQ(store_->Verify(one->block())->outcome, VerifyOutcome::kGood);
    CheckFiles(promise, {.block = one->block(), .state = ReplicaState::kFinalized});
  }

  MemoryFileSystem disk_;
  PowerSwitch power_{&disk_};
  BlockStoreOptions options_;
  Random random_;
  std::unique_ptr<BlockStore> store_;
  std::map<uint64_t, std::unique_ptr<ReplicaWriter>> writers_;
  std::map<uint64_t, Promise> promises_;
};

using Cuts = PowerCuts<Scenario>;

TEST(AppendPowerLossTest, AtEveryDiskOperationPromisesHold) { Cuts().PowerLossEverywhere(); }
TEST(AppendPowerLossTest, AtEveryDiskOperationAndAgainInTheNextStartPromisesHold) {
  Cuts().PowerLossEverywhereAndInTheNextStart();
}
TEST(AppendCrashTest, AtEveryDiskOperationPromisesHold) { Cuts().CrashEverywhereAndInTheNextStart(); }
TEST(AppendCrashTest, WhatTheNextStartReportsSurvivesAPowerLoss) { Cuts().PowerLossAfterTheStartThatFollowsACrash(); }

}  // namespace
}  // namespace dolmen::datanode
