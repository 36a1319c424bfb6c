// Power loss, and kill -9, at every disk operation of create, write, hsync, finalize, copy and delete, and at every
// operation of the start that follows.
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
  uint64_t written = 0;  // answered OK: survives a crash of the process
  uint64_t synced = 0;   // hsynced: survives a power loss
  uint64_t sent = 0;
  bool created = false;
  bool finalize_tried = false;
  bool finalized = false;  // durably
  bool finalized_unsynced = false;
  bool delete_tried = false;
  bool is_copy = false;
};

class Scenario {
 public:
  explicit Scenario(uint64_t seed) : random_(seed) {
    options_.directories = {{"/d/one"}, {"/d/two"}};
    options_.trash_grace = Duration(0);
  }

  MemoryFileSystem& disk() { return disk_; }
  PowerSwitch& power() { return power_; }
  std::map<uint64_t, Promise>& promises() { return promises_; }

  absl::Status Open() {
    DOLMEN_ASSIGN_OR_RETURN(store_, BlockStore::Open(&power_, options_, &random_, kStart));
    return absl::OkStatus();
  }
  // What a start reports is a promise too: the namenode counts on it.
  void PromiseWhatIsReported() {
    for (const auto& storage : store_->StorageReports()) {
      for (const auto& replica : store_->ListRange(storage.id, BlockId(0), 100)) {
        Promise& promise = promises_[(replica.block.id.value() - kFirstBlockId.value()) / kBlockIdStep];
        if (promise.finalized_unsynced) continue;
        promise.delete_tried = false;
        if (replica.state == ReplicaState::kFinalized) promise.finalized = true;
        if (replica.state == ReplicaState::kBeingWritten) promise.synced = replica.block.length;
      }
    }
  }
  void Close() {
    writers_.clear();
    store_.reset();
  }

  // The whole life of some replicas; stops at the first failure.
  absl::Status Work() {
    DOLMEN_RETURN_IF_ERROR(Open());
    DOLMEN_RETURN_IF_ERROR(
        store_->RecordNamenode({.cluster = ClusterId("CID-1"), .epoch = Epoch(3), .incarnation = "x"}));
    recorded_ = true;
    // 1: written in odd pieces, hsynced in the middle of a chunk twice, then finalized.
    DOLMEN_RETURN_IF_ERROR(Create(1));
    DOLMEN_RETURN_IF_ERROR(Write(1, 700));
    DOLMEN_RETURN_IF_ERROR(Sync(1));
    DOLMEN_RETURN_IF_ERROR(Write(1, 900));
    DOLMEN_RETURN_IF_ERROR(Write(1, 2100));
    DOLMEN_RETURN_IF_ERROR(Sync(1));
    DOLMEN_RETURN_IF_ERROR(Write(1, 2150));
    DOLMEN_RETURN_IF_ERROR(Write(1, 5000));
    // 2: never synced, finalized in one group with 1. 3: hsynced, left behind. 4: a copy. 5: finalized without sync.
    DOLMEN_RETURN_IF_ERROR(Create(2));
    DOLMEN_RETURN_IF_ERROR(Write(2, 1024));
    DOLMEN_RETURN_IF_ERROR(Create(3));
    DOLMEN_RETURN_IF_ERROR(Write(3, 600));
    DOLMEN_RETURN_IF_ERROR(Sync(3));
    DOLMEN_RETURN_IF_ERROR(Write(3, 800));
    DOLMEN_RETURN_IF_ERROR(Finalize({1, 2}, true));
    DOLMEN_RETURN_IF_ERROR(Create(4, /*is_copy=*/true));
    DOLMEN_RETURN_IF_ERROR(Write(4, 3000));
    DOLMEN_RETURN_IF_ERROR(Finalize({4}, true));
    DOLMEN_RETURN_IF_ERROR(Create(5));
    DOLMEN_RETURN_IF_ERROR(Write(5, 1500));
    DOLMEN_RETURN_IF_ERROR(Finalize({5}, false));
    DOLMEN_RETURN_IF_ERROR(Create(6, /*is_copy=*/true));
    DOLMEN_RETURN_IF_ERROR(Write(6, 700));
    DOLMEN_RETURN_IF_ERROR(Delete(2));
    for (const protocol::StorageReport& storage : store_->StorageReports()) {
      DOLMEN_RETURN_IF_ERROR(store_->PurgeTrash(storage.id, kStart, 10).status());
    }
    DOLMEN_RETURN_IF_ERROR(Delete(4));
    return Write(3, 2000);
  }

  // After a restart with the power on: what was promised is there, nothing is half, and the store works.
  void Check(bool power_lost) {
    ASSERT_TRUE(Open().ok());
    if (recorded_) {
      EXPECT_EQ(store_->identity().cluster, ClusterId("CID-1"));
      EXPECT_EQ(store_->identity().highest_epoch, Epoch(3));
    }
    for (const auto& [n, promise] : promises_) {
      if (promise.created) {
        EXPECT_GE(store_->identity().bound.block, MakeBlock(n).id) << "an id that was seen is forgotten";
      }
    }
    std::map<uint64_t, protocol::ReportedReplica> found;
    for (const auto& storage : store_->StorageReports()) {
      EXPECT_FALSE(storage.failed);
      for (const auto& replica : store_->ListRange(storage.id, BlockId(0), 100)) {
        const uint64_t n = (replica.block.id.value() - kFirstBlockId.value()) / kBlockIdStep;
        EXPECT_TRUE(found.emplace(n, replica).second) << "twice: " << n;
        CheckFiles(n, replica, storage.id == store_->StorageReports()[0].id ? "/d/one" : "/d/two");
      }
    }
    for (const auto& [n, promise] : promises_) {
      SCOPED_TRACE(::testing::Message() << "block " << n);
      const auto it = found.find(n);
      if (it == found.end()) {
        EXPECT_FALSE(promise.finalized && !promise.delete_tried) << "a finalized replica is lost";
        if (!promise.is_copy && !promise.delete_tried) {
          EXPECT_EQ(promise.synced, 0u) << "hsynced bytes are lost";
          if (!power_lost) {
            EXPECT_EQ(promise.written, 0u) << "written bytes are lost";
          }
        }
        continue;
      }
      const protocol::ReportedReplica& replica = it->second;
      if (replica.state == ReplicaState::kCorrupt) {
        EXPECT_TRUE(promise.finalized_unsynced && power_lost);
        continue;
      }
      if (promise.finalized) {
        EXPECT_EQ(replica.state, ReplicaState::kFinalized);
      }
      if (replica.state == ReplicaState::kFinalized) {
        EXPECT_TRUE(promise.finalize_tried);
        if (!promise.finalized_unsynced) {
          EXPECT_EQ(replica.block.length, promise.sent);
        }
      } else {
        EXPECT_FALSE(promise.is_copy);
        EXPECT_GE(replica.block.length, power_lost ? promise.synced : promise.written);
        EXPECT_LE(replica.block.length, promise.sent);
      }
    }
    for (const std::string volume : {"/d/one", "/d/two"}) {
      EXPECT_TRUE(disk_.List(volume + "/temporary")->empty());
      const auto names = disk_.List(volume + "/quarantine");
      ASSERT_TRUE(names.ok());
      for (const std::string& name : *names) {
        const auto parsed = ReplicaFileName::Parse(std::string_view(name).substr(0, name.rfind('.')));
        ASSERT_TRUE(parsed.has_value()) << name;
        EXPECT_FALSE(promises_[(parsed->block.value() - kFirstBlockId.value()) / kBlockIdStep].finalized) << name;
      }
    }
    const absl::Status created = Create(100);
    ASSERT_TRUE(created.ok()) << created;
    ASSERT_TRUE(Write(100, 1000).ok());
    ASSERT_TRUE(Finalize({100}, true).ok());
    EXPECT_EQ(store_->Verify(MakeBlock(100))->outcome, VerifyOutcome::kGood);
    Close();
  }

 private:
  absl::Status Create(uint64_t n, bool is_copy = false) {
    promises_[n] = {.is_copy = is_copy};
    DOLMEN_ASSIGN_OR_RETURN(writers_[n], store_->CreateReplica({.block = MakeBlock(n),
                                                                .storage = store_->StorageReports()[n % 2].id,
                                                                .is_copy = is_copy,
                                                                .expected_bytes = 10000}));
    promises_[n].created = true;
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
  absl::Status Finalize(const std::vector<uint64_t>& blocks, bool durable) {
    std::vector<ReplicaWriter*> writers;
    for (const uint64_t n : blocks) {
      promises_[n].finalize_tried = true;
      if (!durable) promises_[n].finalized_unsynced = true;
      writers.push_back(writers_[n].get());
    }
    absl::Status first;
    const auto answers = store_->FinalizeGroup(writers, durable);
    for (size_t i = 0; i < blocks.size(); ++i) {
      first.Update(answers[i]);
      promises_[blocks[i]].finalized = answers[i].ok() && durable;
    }
    return first;
  }
  absl::Status Delete(uint64_t n) {
    promises_[n].delete_tried = true;
    return store_->Delete(MakeBlock(n), kStart);
  }

  // Every byte that the replica claims to have is right, and its checksums are.
  void CheckFiles(uint64_t n, const protocol::ReportedReplica& replica, const std::string& volume) {
    if (replica.state == ReplicaState::kCorrupt) return;
    if (replica.state == ReplicaState::kFinalized && promises_[n].finalized_unsynced) return;
    const BlockId block = replica.block.id;
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
    EXPECT_EQ(bytes, BlockBytes(block, replica.block.length));
  }

  MemoryFileSystem disk_;
  PowerSwitch power_{&disk_};
  BlockStoreOptions options_;
  Random random_;
  std::unique_ptr<BlockStore> store_;
  std::map<uint64_t, std::unique_ptr<ReplicaWriter>> writers_;
  std::map<uint64_t, Promise> promises_;
  bool recorded_ = false;
};

using Cuts = PowerCuts<Scenario>;

TEST(PowerLossTest, AtEveryDiskOperationPromisesHold) { Cuts().PowerLossEverywhere(); }
TEST(PowerLossTest, AtEveryDiskOperationAndAgainInTheNextStartPromisesHold) {
  Cuts().PowerLossEverywhereAndInTheNextStart();
}
TEST(ProcessCrashTest, AtEveryDiskOperationPromisesHold) { Cuts().CrashEverywhereAndInTheNextStart(); }
TEST(ProcessCrashTest, WhatTheNextStartReportsSurvivesAPowerLoss) { Cuts().PowerLossAfterTheStartThatFollowsACrash(); }

}  // namespace
}  // namespace dolmen::datanode
