// Replicas that are appended to, frozen, recovered, and copied in part.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "datanode/storage/block_store.h"
#include "tests/unit/datanode/storage/block_store_fixture.h"

namespace dolmen::datanode {
namespace {

using protocol::ReplicaState;

class BlockStoreRecoveryTest : public BlockStoreFixture {
 protected:
  absl::StatusOr<std::unique_ptr<ReplicaWriter>> Reopen(uint64_t n, uint64_t length, uint64_t stamp = 2000,
                                                        uint64_t from = 1001) {
    return store_->ReopenReplica(
        {.block = MakeBlock(n, length, stamp), .from = GenerationStamp(from), .expected_bytes = 1 << 20});
  }
  std::unique_ptr<ReplicaWriter> MustReopen(uint64_t n, uint64_t length, uint64_t stamp = 2000, uint64_t from = 1001) {
    auto writer = Reopen(n, length, stamp, from);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  static absl::Status Write(ReplicaWriter& writer, uint64_t to) {
    return writer.Write(BlockPacket(writer.block().id, writer.written_length(), to));
  }
  absl::StatusOr<FrozenReplica> Freeze(uint64_t n, uint64_t recovery) {
    DOLMEN_RETURN_IF_ERROR(store_->BeginFreeze(MakeBlock(n).id, GenerationStamp(recovery)));
    return store_->FinishFreeze(MakeBlock(n).id);
  }
  void ExpectFrozen(uint64_t n, uint64_t recovery, ReplicaState state, const Block& block) {
    const auto frozen = Freeze(n, recovery);
    ASSERT_TRUE(frozen.ok()) << frozen.status();
    EXPECT_EQ(frozen->replica.state, state);
    EXPECT_EQ(frozen->replica.block, block);
    EXPECT_EQ(frozen->replica.frozen_by, GenerationStamp(recovery));
  }
  absl::Status Finish(uint64_t n, uint64_t length, uint64_t recovery) {
    return store_->FinishRecovery(MakeBlock(n, length, recovery));
  }
  std::string BeingWritten(const std::string& volume, uint64_t n) {
    return root_ + volume + "/current/being_written/" + ReplicaFileName{.block = MakeBlock(n).id}.ToString();
  }
};

INSTANTIATE_TEST_SUITE_P(Disks, BlockStoreRecoveryTest, ::testing::Values(Disk::kMemory, Disk::kPosix), DiskName);

// ---- append ---------------------------------------------------------------------------------------------------------

TEST_P(BlockStoreRecoveryTest, AnAppendGoesOnWhereTheReplicaEnds) {
  for (const uint64_t length : {1, 511, 512, 1300, 70'000}) {
    const uint64_t n = length + 1;
    Put(n, length);
    auto writer = MustReopen(n, length);
    ASSERT_NE(writer, nullptr);
    EXPECT_EQ(writer->written_length(), length);
    EXPECT_EQ(writer->tail().size(), length % 512);
    EXPECT_TRUE(Read(MakeBlock(n, length), length).ok());   // by whoever has not heard of the append
    EXPECT_TRUE(Read(MakeBlock(n, 0, 2000), length).ok());  // all of it is visible from the beginning
    ASSERT_TRUE(Write(*writer, length + 3).ok());
    ASSERT_TRUE(writer->Sync().ok());
    EXPECT_TRUE(Read(MakeBlock(n, 0, 2000), length).ok());
    ASSERT_TRUE(Write(*writer, length + 5000).ok());
    writer->SetVisibleLength(length + 5000);
    EXPECT_TRUE(Read(MakeBlock(n, 0, 2000), length + 5000).ok());
    ASSERT_TRUE(Finalize(writer.get()).ok());
    writer.reset();
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(Read(MakeBlock(n, 0, 2000), length + 5000).ok());
      EXPECT_EQ(store_->Verify(MakeBlock(n, 0, 2000))->outcome, VerifyOutcome::kGood);
      Restart();
    }
  }
  EXPECT_EQ(store_->open_writers(), 0u);
}

TEST_P(BlockStoreRecoveryTest, AReaderOfTheFinalizedReplicaKeepsReadingItWhileItIsAppendedTo) {
  Put(1, 1300);
  const auto reader = store_->OpenReader(MakeBlock(1));
  ASSERT_TRUE(reader.ok());
  auto writer = MustReopen(1, 1300);
  for (const uint64_t to : {1301, 1400, 1536, 9000}) {
    ASSERT_TRUE(Write(*writer, to).ok());
    for (const uint64_t offset : {0, 600, 1100, 1299}) {
      const auto chunk = (*reader)->Read(offset, 10'000, ReplicaReader::Check::kVerify);
      ASSERT_TRUE(chunk.ok()) << chunk.status();
      EXPECT_EQ(chunk->replica_length, 1300u);
      EXPECT_EQ(std::string(chunk->payload), BlockBytes(MakeBlock(1).id, 1300).substr(chunk->offset));
      EXPECT_EQ(FirstBadChunk(chunk->payload, chunk->checksums), -1);
    }
  }
  ASSERT_TRUE(Finalize(writer.get()).ok());
  EXPECT_TRUE((*reader)->Read(1299, 1, ReplicaReader::Check::kVerify).ok());
}

TEST_P(BlockStoreRecoveryTest, AppendsToWhatIsNotAsTheNamenodeThinksAreRefused) {
  Put(1, 1000, Storage(0));
  EXPECT_EQ(ReasonOf(Reopen(2, 1000).status()), ErrorReason::kReplicaNotFound);
  EXPECT_EQ(ReasonOf(Reopen(1, 1000, 2000, 1000).status()), ErrorReason::kStaleGenerationStamp);
  EXPECT_EQ(ReasonOf(Reopen(1, 1000, 1001, 1001).status()), ErrorReason::kStaleGenerationStamp);
  EXPECT_EQ(ReasonOf(Reopen(1, 999).status()), ErrorReason::kChecksum);
  EXPECT_TRUE(Read(MakeBlock(1), 1000).ok());
  auto copy = Create(MakeBlock(3), /*is_copy=*/true);
  EXPECT_EQ(ReasonOf(Reopen(3, 0).status()), ErrorReason::kReplicaNotFound);
  ASSERT_TRUE(store_->BeginDelete(MakeBlock(1)).ok());
  EXPECT_EQ(ReasonOf(Reopen(1, 1000).status()), ErrorReason::kBusy);
  store_->CancelDelete(MakeBlock(1));
  ExpectFrozen(1, 2000, ReplicaState::kFinalized, MakeBlock(1, 1000));
  EXPECT_EQ(ReasonOf(Reopen(1, 1000, 1999).status()), ErrorReason::kRecoveryInProgress);
  EXPECT_EQ(ReasonOf(Reopen(1, 1000, 2000).status()), ErrorReason::kRecoveryInProgress);
  auto writer = MustReopen(1, 1000, 2001);
  EXPECT_EQ(ReasonOf(Reopen(1, 1000, 2002, 2001).status()), ErrorReason::kAlreadyBeingCreated);
  EXPECT_EQ(store_->open_writers(), 2u);
}

TEST_P(BlockStoreRecoveryTest, AReplicaWhoseEndIsBadIsNotAppendedTo) {
  Put(1, 1000, Storage(0));
  Damage(Finalized("/one", MakeBlock(1)), 999);
  EXPECT_EQ(ReasonOf(Reopen(1, 1000).status()), ErrorReason::kChecksum);
  ASSERT_EQ(Report().size(), 1u);
  EXPECT_EQ(Report()[0].state, ReplicaState::kCorrupt);
  EXPECT_EQ(Report()[0].block, MakeBlock(1, 1000));
  EXPECT_EQ(ReasonOf(Reopen(1, 1000).status()), ErrorReason::kChecksum);
}

TEST_P(BlockStoreRecoveryTest, AnAppendThatIsGivenUpLeavesAllBytesForRecovery) {
  const uint64_t before = store_->StorageReports()[0].remaining_bytes;
  Put(1, 1000, Storage(0));
  MustReopen(1, 1000)->Discard();
  ASSERT_EQ(Report().size(), 1u);
  EXPECT_EQ(Report()[0].state, ReplicaState::kBeingWritten);
  EXPECT_EQ(Report()[0].block, MakeBlock(1, 1000, 2000));
  EXPECT_EQ(store_->StorageReports()[0].remaining_bytes, before - 1000);
  EXPECT_EQ(store_->StorageReports()[0].block_count, 1u);
  ExpectFrozen(1, 3000, ReplicaState::kBeingWritten, MakeBlock(1, 1000, 2000));
  ASSERT_TRUE(Finish(1, 1000, 3000).ok());
  EXPECT_TRUE(Read(MakeBlock(1, 0, 3000), 1000).ok());
  EXPECT_EQ(store_->StorageReports()[0].block_count, 1u);
}

TEST_P(BlockStoreRecoveryTest, AnAppendThatFailsAnywhereKeepsTheReplica) {
  uint64_t n = 0;
  for (const char* point : {"stamp.before_slot", "append.after_slot", "append.after_first_rename",
                            "append.after_rename", "append.after_directory_sync"}) {
    SCOPED_TRACE(point);
    Put(++n, 700);
    ASSERT_TRUE(fault::Arm(std::string("datanode.") + point + "=fail").ok());
    EXPECT_EQ(ReasonOf(Reopen(n, 700).status()), ErrorReason::kIo);
    EXPECT_GE(fault::Hits()[std::string("datanode.") + point], 1u);
    fault::DisarmAll();
    ASSERT_EQ(Report().size(), n);
  }
  for (int i = 0; i < 2; ++i) {
    const auto report = Report();
    ASSERT_EQ(report.size(), n);
    for (const auto& replica : report) {
      EXPECT_EQ(replica.block.length, 700u);
      EXPECT_NE(replica.state, ReplicaState::kCorrupt);
      if (replica.state == ReplicaState::kFinalized) {
        EXPECT_TRUE(Read(replica.block, 700).ok()) << replica.block.id;
      }
    }
    Restart();
  }
  for (; n > 0; --n) {
    ASSERT_TRUE(Freeze(n, 3000).ok());
    ASSERT_TRUE(Finish(n, 700, 3000).ok());
    EXPECT_TRUE(Read(MakeBlock(n, 0, 3000), 700).ok());
  }
}

TEST_P(BlockStoreRecoveryTest, BytesThatWereSyncedAndRotAreNotCutAway) {
  Put(1, 5000, Storage(0));
  { auto writer = MustReopen(1, 5000); }
  store_.reset();
  Damage(BeingWritten("/one", 1), 600);
  Restart();
  EXPECT_TRUE(Report().empty());
  uint64_t bytes = 0;
  const auto names = base_->List(root_ + "/one/quarantine");
  ASSERT_TRUE(names.ok()) << names.status();
  for (const std::string& name : *names) bytes = std::max(bytes, *base_->FileSize(root_ + "/one/quarantine/" + name));
  EXPECT_EQ(bytes, 5000u);
}

// C-5: what was committed is there to be read until the end of the append, however that comes.
TEST_P(BlockStoreRecoveryTest, CommittedBytesCanBeReadThroughoutAnAppendThatFails) {
  uint64_t n = 0;
  for (const uint64_t length : {512, 700, 5000}) {
    SCOPED_TRACE(length);
    Put(++n, length);
    const Block committed = MakeBlock(n, length);
    const auto readable = [&] {
      EXPECT_TRUE(Read(committed, length).ok());
      EXPECT_EQ(store_->VisibleLength(committed).value_or(0), length);
    };
    {
      auto writer = MustReopen(n, length);
      readable();
      ASSERT_TRUE(Write(*writer, length + 100).ok());
      readable();
    }
    readable();  // the writer is gone
    EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(n, length + 101, 2000)).status()), ErrorReason::kNotReplicatedYet);
    Restart();
    readable();
    ASSERT_TRUE(Freeze(n, 3000).ok());
    readable();
    ASSERT_TRUE(Finish(n, length + 50, 3000).ok());
    EXPECT_TRUE(Read(committed, length + 50).ok());
    EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(n, length, 3001)).status()), ErrorReason::kStaleGenerationStamp);
  }
}

TEST_P(BlockStoreRecoveryTest, WhatWasVisibleCanBeReadWhenTheWriterIsGone) {
  {
    auto writer = Create(MakeBlock(1));
    ASSERT_TRUE(Write(*writer, 3000).ok());
    writer->SetVisibleLength(2500);
  }
  EXPECT_EQ(store_->VisibleLength(MakeBlock(1)).value_or(0), 2500u);
  EXPECT_TRUE(Read(MakeBlock(1), 2500).ok());
  const auto frozen = Freeze(1, 2000);
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_EQ(frozen->replica.visible_length, 2500u);
  EXPECT_EQ(frozen->replica.block.length, 3000u);
  // After a restart nobody knows what was visible; what another datanode showed is served.
  {
    auto writer = Create(MakeBlock(2));
    ASSERT_TRUE(Write(*writer, 3000).ok());
    writer->SetVisibleLength(2500);
  }
  Restart();
  EXPECT_EQ(ReasonOf(store_->VisibleLength(MakeBlock(2)).status()), ErrorReason::kNotReplicatedYet);
  EXPECT_TRUE(Read(MakeBlock(2, 2500), 2500).ok());
}

// ---- recovery -------------------------------------------------------------------------------------------------------

TEST_P(BlockStoreRecoveryTest, ARecoveryTakesTheReplicaFromItsWriterAndEndsIt) {
  auto writer = Create(MakeBlock(1));
  ASSERT_TRUE(Write(*writer, 3000).ok());
  writer->SetVisibleLength(2500);
  ASSERT_TRUE(store_->BeginFreeze(MakeBlock(1).id, GenerationStamp(2000)).ok());
  for (const absl::Status& refused : {Write(*writer, 3100), writer->Sync(), Finalize(writer.get())}) {
    EXPECT_EQ(ReasonOf(refused), ErrorReason::kRecoveryInProgress);
    EXPECT_NE(std::string(refused.message()).find("2000"), std::string::npos) << refused;
  }
  ExpectFrozen(1, 2000, ReplicaState::kBeingWritten, MakeBlock(1, 3000));
  ExpectFrozen(1, 2000, ReplicaState::kBeingWritten, MakeBlock(1, 3000));  // asked again
  EXPECT_TRUE(Read(MakeBlock(1), 2500).ok()) << "what was visible stays so";
  writer->Discard();  // too late: it is not the writer's any more
  writer.reset();
  EXPECT_EQ(ReasonOf(store_->CreateReplica({.block = MakeBlock(1)}).status()), ErrorReason::kFileAlreadyExists);

  EXPECT_EQ(ReasonOf(Finish(1, 2500, 1999)), ErrorReason::kRecoveryInProgress);
  EXPECT_EQ(ReasonOf(Finish(1, 2500, 2001)), ErrorReason::kRecoveryInProgress);
  EXPECT_EQ(ReasonOf(Finish(1, 3001, 2000)), ErrorReason::kIllegalArgument);
  EXPECT_EQ(ReasonOf(Finish(2, 100, 2000)), ErrorReason::kReplicaNotFound);
  ASSERT_TRUE(Finish(1, 2500, 2000).ok());
  ASSERT_TRUE(Finish(1, 2500, 2000).ok());  // asked again
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(Report().size(), 1u);
    EXPECT_EQ(Report()[0].block, MakeBlock(1, 2500, 2000));
    EXPECT_EQ(Report()[0].state, ReplicaState::kFinalized);
    EXPECT_TRUE(Read(MakeBlock(1, 0, 2000), 2500).ok());
    Restart();
  }
  EXPECT_EQ(store_->open_writers(), 0u);
}

TEST_P(BlockStoreRecoveryTest, AReplicaThatLostBytesWhileItRanIsDamagedAndNotCut) {
  auto writer = Create(MakeBlock(1), false, Storage(0));
  ASSERT_TRUE(Write(*writer, 5000).ok());
  Damage(BeingWritten("/one", 1), 2000);
  ExpectFrozen(1, 2000, ReplicaState::kCorrupt, MakeBlock(1, 5000));
  EXPECT_EQ(base_->FileSize(BeingWritten("/one", 1)).value_or(0), 5000u);
  EXPECT_FALSE(Finish(1, 1536, 2000).ok());
}

// C-18: after a failed sync the pages in memory look good, and no later sync of the file writes them.
TEST_P(BlockStoreRecoveryTest, AfterAFailedSyncTheBytesAreWrittenAnew) {
  fs_->EnablePowerLossTracking();
  {
    auto writer = Create(MakeBlock(1));
    ASSERT_TRUE(Write(*writer, 3000).ok());
    const int rule = fs_->AddRule({.operation = FileOperation::kSync, .path_contains = "blk_"});
    EXPECT_EQ(ReasonOf(writer->Sync()), ErrorReason::kIo);
    EXPECT_EQ(fs_->fired(rule), 1u);
  }
  ExpectFrozen(1, 2000, ReplicaState::kBeingWritten, MakeBlock(1, 3000));
  ASSERT_TRUE(Finish(1, 3000, 2000).ok());
  // Also when it is the recovery's own sync that fails.
  uint64_t n = 1;
  for (const bool in_freeze : {true, false}) {
    for (const uint64_t passing : {0, 1, 2, 3, 4}) {
      {
        auto writer = Create(MakeBlock(++n));
        ASSERT_TRUE(Write(*writer, 3000).ok());
      }
      if (!in_freeze) {
        ASSERT_TRUE(Freeze(n, 2000).ok());
      }
      fs_->AddRule({.operation = FileOperation::kSync, .path_contains = "blk_", .skip = passing});
      const bool failed = in_freeze ? !Freeze(n, 2000).ok() : !Finish(n, 2000, 2000).ok();
      fs_->ClearRules();
      if (failed && !in_freeze) {
        ASSERT_TRUE(Freeze(n, 2001).ok());
      }
      const uint64_t recovery = failed && !in_freeze ? 2001 : 2000;
      ASSERT_TRUE(Freeze(n, recovery).ok() || !failed);
      ASSERT_TRUE(Finish(n, 2000, recovery).ok()) << n;
    }
  }
  store_.reset();
  ASSERT_TRUE(fs_->DropUnsynced().ok());
  Restart();
  EXPECT_TRUE(Read(MakeBlock(1, 0, 2000), 3000).ok());
  ASSERT_EQ(Report().size(), n);
  for (const auto& replica : Report()) {
    EXPECT_EQ(replica.state, ReplicaState::kFinalized) << replica.block.id;
    EXPECT_TRUE(Read(replica.block, replica.block.length).ok()) << replica.block.id;
  }
}

TEST_P(BlockStoreRecoveryTest, ARestartIsOfInterestOnlyToTheRecoveryThatFollows) {
  {
    auto writer = Create(MakeBlock(1));
    ASSERT_TRUE(Write(*writer, 1000).ok());
  }
  Restart();
  ASSERT_TRUE(Freeze(1, 2000)->replica.after_restart);
  ASSERT_TRUE(Finish(1, 1000, 2000).ok());
  ASSERT_TRUE(fault::Arm("datanode.append.after_rename=fail").ok());
  EXPECT_FALSE(Reopen(1, 1000, 3000, 2000).ok());
  fault::DisarmAll();
  const auto frozen = Freeze(1, 4000);
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_EQ(frozen->replica.state, ReplicaState::kBeingWritten);
  EXPECT_FALSE(frozen->replica.after_restart);
}

TEST_P(BlockStoreRecoveryTest, EveryCutIsExact) {
  uint64_t n = 0;
  for (const uint64_t written : {1, 600, 1024, 2000}) {
    for (const uint64_t length : {0, 1, 511, 512, 513, 1024, 1999, 2000}) {
      if (length > written) continue;
      auto writer = Create(MakeBlock(++n));
      ASSERT_TRUE(Write(*writer, written).ok());
      ASSERT_TRUE(Freeze(n, 2000).ok());
      ASSERT_TRUE(Finish(n, length, 2000).ok());
      EXPECT_TRUE(Read(MakeBlock(n, 0, 2000), length).ok()) << written << " to " << length;
      EXPECT_EQ(store_->Verify(MakeBlock(n, 0, 2000))->outcome, VerifyOutcome::kGood);
    }
  }
  Restart();
  EXPECT_EQ(Report().size(), n);
}

TEST_P(BlockStoreRecoveryTest, TheHighestRecoveryCounts) {
  auto writer = Create(MakeBlock(1));
  ASSERT_TRUE(Write(*writer, 1000).ok());
  ASSERT_TRUE(Freeze(1, 2000).ok());
  ExpectFrozen(1, 2001, ReplicaState::kBeingWritten, MakeBlock(1, 1000));
  EXPECT_EQ(ReasonOf(Freeze(1, 2000).status()), ErrorReason::kStaleGenerationStamp);
  EXPECT_EQ(ReasonOf(Finish(1, 1000, 2000)), ErrorReason::kRecoveryInProgress);
  ASSERT_TRUE(Finish(1, 1000, 2001).ok());
  // A late message of the first one harms neither the replica nor a new writer.
  EXPECT_EQ(ReasonOf(Freeze(1, 2000).status()), ErrorReason::kStaleGenerationStamp);
  ExpectFrozen(1, 2001, ReplicaState::kFinalized, MakeBlock(1, 1000, 2001));
  writer = MustReopen(1, 1000, 2002, 2001);
  EXPECT_EQ(ReasonOf(Freeze(1, 2001).status()), ErrorReason::kStaleGenerationStamp);
  EXPECT_TRUE(Write(*writer, 1100).ok());
}

TEST_P(BlockStoreRecoveryTest, AFinalizedReplicaOnlyGetsAStamp) {
  Put(1, 1000);
  const auto reader = store_->OpenReader(MakeBlock(1));
  ExpectFrozen(1, 2000, ReplicaState::kFinalized, MakeBlock(1, 1000));
  EXPECT_TRUE(Read(MakeBlock(1), 1000).ok());  // as before
  EXPECT_EQ(ReasonOf(Finish(1, 999, 2000)), ErrorReason::kIllegalArgument);
  ASSERT_TRUE(Finish(1, 1000, 2000).ok());
  EXPECT_TRUE(Read(MakeBlock(1, 0, 2000), 1000).ok());
  EXPECT_TRUE((*reader)->Read(0, 1000, ReplicaReader::Check::kVerify).ok());
  Restart();
  EXPECT_EQ(Report()[0].block, MakeBlock(1, 1000, 2000));
}

TEST_P(BlockStoreRecoveryTest, AfterARestartARecoveryMustFreezeAgain) {
  auto writer = Create(MakeBlock(1));
  ASSERT_TRUE(Write(*writer, 1000).ok());
  ASSERT_TRUE(Freeze(1, 2000).ok());
  writer.reset();
  Restart();
  EXPECT_EQ(ReasonOf(Finish(1, 1000, 2000)), ErrorReason::kRecoveryInProgress);
  EXPECT_EQ(ReasonOf(store_->FinishFreeze(MakeBlock(1).id).status()), ErrorReason::kReplicaNotFound);
  ExpectFrozen(1, 2000, ReplicaState::kBeingWritten, MakeBlock(1, 1000));
  EXPECT_TRUE(Finish(1, 1000, 2000).ok());
}

TEST_P(BlockStoreRecoveryTest, WhatIsNotHereIsSaidSoAndLateWritersAreKeptOut) {
  ExpectFrozen(1, 2000, ReplicaState::kDeleted, MakeBlock(1, 0, 2000));
  EXPECT_TRUE(Freeze(1, 2000)->storage.is_none());
  EXPECT_EQ(ReasonOf(Freeze(1, 1999).status()), ErrorReason::kStaleGenerationStamp);
  EXPECT_EQ(ReasonOf(store_->CreateReplica({.block = MakeBlock(1)}).status()), ErrorReason::kRecoveryInProgress);
  auto copy = Create(MakeBlock(2), /*is_copy=*/true);  // not a replica yet
  ExpectFrozen(2, 2000, ReplicaState::kDeleted, MakeBlock(2, 0, 2000));
  EXPECT_NE(Create(MakeBlock(1, 0, 2000)), nullptr);  // a later block of the same id, such as a copy
}

TEST_P(BlockStoreRecoveryTest, AVolumeThatIsOfflineMayHoldTheReplica) {
  auto writer = Create(MakeBlock(1), false, Storage(0));
  ASSERT_TRUE(Write(*writer, 1000).ok());
  store_->FailVolume(Storage(0), "test");
  EXPECT_EQ(ReasonOf(Freeze(1, 2000).status()), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(Freeze(9, 2000).status()), ErrorReason::kIo);
}

TEST_P(BlockStoreRecoveryTest, AWriterWhoseDiskFailedLeavesWhatItHadWritten) {
  auto writer = Create(MakeBlock(1), false, Storage(0));
  ASSERT_TRUE(Write(*writer, 1000).ok());
  fs_->AddRule({.operation = FileOperation::kWrite, .fault = FileFault::kNoSpace, .path_contains = ".meta"});
  EXPECT_FALSE(Write(*writer, 3000).ok());  // the data is there, its checksums are not
  ExpectFrozen(1, 2000, ReplicaState::kBeingWritten, MakeBlock(1, 1000));
  ASSERT_TRUE(Finish(1, 1000, 2000).ok());
  EXPECT_TRUE(Read(MakeBlock(1, 0, 2000), 1000).ok());
}

TEST_P(BlockStoreRecoveryTest, ADiskThatFailsWhileARecoveryIsUnderWayIsAskedAgain) {
  auto writer = Create(MakeBlock(1), false, Storage(0));
  ASSERT_TRUE(Write(*writer, 1000).ok());
  ASSERT_TRUE(fault::Arm("datanode.freeze.before_verify=fail@1").ok());
  EXPECT_EQ(ReasonOf(Freeze(1, 2000).status()), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(Finish(1, 1000, 2000)), ErrorReason::kRecoveryInProgress);
  fault::DisarmAll();
  ExpectFrozen(1, 2000, ReplicaState::kBeingWritten, MakeBlock(1, 1000));
  uint64_t recovery = 2000;
  for (const char* point :
       {"stamp.before_slot", "finish.after_slot", "finish.after_cut", "finalize.after_first_rename"}) {
    SCOPED_TRACE(point);
    ASSERT_TRUE(fault::Arm(std::string("datanode.") + point + "=fail").ok());
    EXPECT_EQ(ReasonOf(Finish(1, 900, recovery)), ErrorReason::kIo);
    fault::DisarmAll();
    EXPECT_EQ(ReasonOf(Finish(1, 900, recovery)), ErrorReason::kRecoveryInProgress);
    const auto frozen = Freeze(1, ++recovery);
    ASSERT_TRUE(frozen.ok()) << frozen.status();
    EXPECT_GE(frozen->replica.block.length, 900u);
    EXPECT_LE(frozen->replica.block.length, 1000u);
  }
  ASSERT_TRUE(Finish(1, 900, recovery).ok());
  EXPECT_TRUE(Read(MakeBlock(1, 0, recovery), 900).ok());
  EXPECT_TRUE(store_->IsOnline(Storage(0)));
}

TEST_P(BlockStoreRecoveryTest, AReplicaThatMayOrMayNotStayFinalizedIsReportedAsCorrupt) {
  uint64_t n = 0;
  for (const char* point : {"after_rename", "after_directory_sync"}) {
    auto writer = Create(MakeBlock(++n));
    ASSERT_TRUE(Write(*writer, 1000).ok());
    ASSERT_TRUE(Freeze(n, 2000).ok());
    ASSERT_TRUE(fault::Arm(std::string("datanode.finish.") + point + "=fail").ok());
    EXPECT_EQ(ReasonOf(Finish(n, 900, 2000)), ErrorReason::kIo);
    fault::DisarmAll();
    ASSERT_EQ(Report().size(), n);
    EXPECT_EQ(Report()[n - 1].state, ReplicaState::kCorrupt);
  }
  Restart();
  for (; n > 0; --n) EXPECT_TRUE(Read(MakeBlock(n, 0, 2000), 900).ok());
}

TEST_P(BlockStoreRecoveryTest, AFreezeBesideALiveWriterFindsEveryAcknowledgedByte) {
  if (GetParam() == Disk::kMemory) return;  // of one thread only
  for (uint64_t n = 1; n <= 20; ++n) {
    auto writer = Create(MakeBlock(n));
    std::atomic<uint64_t> acknowledged{0};
    std::thread writing([&] {
      for (uint64_t to = 100;; to += 100) {
        if (!Write(*writer, to).ok()) return;
        acknowledged = to;
      }
    });
    std::thread syncing([&] {
      while (writer->Sync().ok()) {
      }
    });
    while (acknowledged < n * 200) std::this_thread::yield();
    const uint64_t before = acknowledged;
    const auto frozen = Freeze(n, 2000);
    writing.join();
    syncing.join();
    ASSERT_TRUE(frozen.ok()) << frozen.status();
    EXPECT_GE(frozen->replica.block.length, before);
    EXPECT_GE(frozen->replica.block.length, acknowledged.load());
    ASSERT_TRUE(Finish(n, before, 2000).ok());
    EXPECT_TRUE(Read(MakeBlock(n, 0, 2000), before).ok());
  }
}

// ---- prefixes -------------------------------------------------------------------------------------------------------

TEST_P(BlockStoreRecoveryTest, APrefixIsABlockOfItsOwn) {
  Put(1, 5000, Storage(1));
  uint64_t n = 10;
  for (const uint64_t length : {1, 511, 512, 513, 2000, 4608, 5000}) {
    const Block target = MakeBlock(++n, length, 2000);
    for (int i = 0; i < 2; ++i) {  // asked again
      const absl::Status copied = store_->CopyPrefix(MakeBlock(1), target);
      ASSERT_TRUE(copied.ok()) << copied;
    }
    EXPECT_EQ(store_->StorageOf(target.id), Storage(1));
    const auto reader = store_->OpenReader(target);
    ASSERT_TRUE(reader.ok());
    const auto chunk = (*reader)->Read(0, 10'000, ReplicaReader::Check::kVerify);
    ASSERT_TRUE(chunk.ok()) << chunk.status();
    EXPECT_EQ(std::string(chunk->payload), BlockBytes(MakeBlock(1).id, length));
  }
  EXPECT_TRUE(Read(MakeBlock(1), 5000).ok());
  Restart();
  EXPECT_EQ(Report().size(), 8u);
}

TEST_P(BlockStoreRecoveryTest, APrefixThatCannotBeMadeLeavesNothing) {
  Put(1, 5000, Storage(0));
  Put(2, 5000, Storage(0));
  Damage(Finalized("/one", MakeBlock(2)), 600);
  auto writer = Create(MakeBlock(3));
  ASSERT_TRUE(Write(*writer, 5000).ok());
  const Block target = MakeBlock(9, 1000, 2000);
  EXPECT_EQ(ReasonOf(store_->CopyPrefix(MakeBlock(1), MakeBlock(9, 5001, 2000))), ErrorReason::kIllegalArgument);
  EXPECT_EQ(ReasonOf(store_->CopyPrefix(MakeBlock(1, 0, 1002), target)), ErrorReason::kStaleGenerationStamp);
  EXPECT_EQ(ReasonOf(store_->CopyPrefix(MakeBlock(2), target)), ErrorReason::kChecksum);
  EXPECT_EQ(ReasonOf(store_->CopyPrefix(MakeBlock(3), target)), ErrorReason::kNotReplicatedYet);
  EXPECT_EQ(ReasonOf(store_->CopyPrefix(MakeBlock(4), target)), ErrorReason::kReplicaNotFound);
  ASSERT_TRUE(fault::Arm("datanode.copy_prefix.before_finalize=fail").ok());
  EXPECT_EQ(ReasonOf(store_->CopyPrefix(MakeBlock(1), target)), ErrorReason::kIo);
  fault::DisarmAll();
  EXPECT_FALSE(store_->StorageOf(target.id).has_value());
  for (const std::string volume : {"/one", "/two"}) EXPECT_TRUE(base_->List(root_ + volume + "/temporary")->empty());
  EXPECT_TRUE(store_->CopyPrefix(MakeBlock(1), target).ok());
}

}  // namespace
}  // namespace dolmen::datanode
