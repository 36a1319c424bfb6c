// The life of replicas: written, read, finalized, listed and deleted.
#include "datanode/storage/block_store.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "tests/unit/datanode/storage/block_store_fixture.h"

namespace dolmen::datanode {
namespace {

using protocol::ReplicaState;

class BlockStoreTest : public BlockStoreFixture {};

INSTANTIATE_TEST_SUITE_P(Disks, BlockStoreTest, ::testing::Values(Disk::kMemory, Disk::kPosix), DiskName);

TEST_P(BlockStoreTest, FinalizedReplicasAreReadBackAfterARestart) {
  for (const uint64_t length : {0, 1, 511, 512, 513, 70000}) Put(length + 1, length);
  for (int i = 0; i < 2; ++i) {
    for (const uint64_t length : {0, 1, 511, 512, 513, 70000}) {
      EXPECT_TRUE(Read(MakeBlock(length + 1), length).ok());
      EXPECT_EQ(store_->Verify(MakeBlock(length + 1))->outcome, VerifyOutcome::kGood);
    }
    EXPECT_EQ(Report().size(), 6u);
    Restart();
  }
}

TEST_P(BlockStoreTest, ReadsAnswerWholeChunksAroundTheRange) {
  Put(1, 1300);
  auto reader = store_->OpenReader(MakeBlock(1));
  ASSERT_TRUE(reader.ok());
  const auto chunk = (*reader)->Read(600, 10, ReplicaReader::Check::kNone);
  ASSERT_TRUE(chunk.ok());
  EXPECT_EQ(chunk->offset, 512u);
  EXPECT_EQ(chunk->payload.size(), 512u);
  EXPECT_EQ(chunk->replica_length, 1300u);
  EXPECT_EQ((*reader)->Read(1100, 1 << 30, ReplicaReader::Check::kNone)->payload.size(), 276u);
  EXPECT_EQ((*reader)->Read(1300, 10, ReplicaReader::Check::kNone)->payload.size(), 0u);
}

TEST_P(BlockStoreTest, AReplicaBeingWrittenIsReadToItsVisibleLength) {
  const Block block = MakeBlock(1);
  auto writer = Create(block);
  ASSERT_TRUE(writer->Write(BlockPacket(block.id, 0, 700)).ok());
  EXPECT_EQ(*store_->VisibleLength(block), 0u);
  writer->SetVisibleLength(600);
  EXPECT_TRUE(Read(block, 600).ok());
  writer->SetVisibleLength(700);
  ASSERT_TRUE(writer->Write(BlockPacket(block.id, 700, 2000)).ok());
  EXPECT_TRUE(Read(block, 700).ok());  // the chunk has grown beyond what is visible
  writer->SetVisibleLength(2000);
  EXPECT_TRUE(Read(block, 2000).ok());
  ASSERT_TRUE(Finalize(writer.get()).ok());
  EXPECT_TRUE(Read(block, 2000).ok());
}

TEST_P(BlockStoreTest, PacketsThatLeaveAGapOrRewriteWholeChunksAreRefused) {  // F-014
  const Block block = MakeBlock(1);
  auto writer = Create(block);
  ASSERT_TRUE(writer->Write(BlockPacket(block.id, 0, 1300)).ok());
  for (const auto& [from, to] : std::vector<std::pair<uint64_t, uint64_t>>{{1536, 1600}, {512, 1400}, {1024, 1200}}) {
    const absl::Status written = writer->Write(BlockPacket(block.id, from, to));
    EXPECT_EQ(ReasonOf(written), ErrorReason::kIllegalArgument) << from;
  }
  ASSERT_TRUE(writer->Write(BlockPacket(block.id, 1300, 1500)).ok());
  EXPECT_EQ(writer->written_length(), 1500u);
}

TEST_P(BlockStoreTest, AWriterThatGoesAwayLeavesAReplicaForRecovery) {
  const Block block = MakeBlock(1);
  {
    auto writer = Create(block);
    ASSERT_TRUE(writer->Write(BlockPacket(block.id, 0, 700)).ok());
  }
  EXPECT_EQ(store_->open_writers(), 0u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ReasonOf(store_->OpenReader(block).status()), ErrorReason::kNotReplicatedYet);
    ASSERT_EQ(Report().size(), 1u);
    EXPECT_EQ(Report()[0].state, ReplicaState::kBeingWritten);
    EXPECT_EQ(Report()[0].block.length, 700u);
    Restart();
  }
  EXPECT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
  EXPECT_TRUE(Report().empty());
}

TEST_P(BlockStoreTest, DiscardedAndTemporaryReplicasLeaveNothing) {  // F-017, F-025
  Create(MakeBlock(1))->Discard();
  { auto writer = Create(MakeBlock(2), /*is_copy=*/true); }
  EXPECT_TRUE(Report().empty());
  EXPECT_EQ(store_->open_writers(), 0u);
  for (const std::string volume : {"/one", "/two"}) {
    EXPECT_TRUE(base_->List(root_ + volume + "/temporary")->empty());
    EXPECT_TRUE(base_->List(root_ + volume + "/current/being_written")->empty());
    EXPECT_TRUE(base_->List(root_ + volume + "/trash")->empty());
  }
  for (const auto& storage : store_->StorageReports()) EXPECT_EQ(storage.block_count, 0u);
  Put(1, 10);
}

TEST_P(BlockStoreTest, CopiesAreInvisibleUntilFinalized) {
  const Block block = MakeBlock(1);
  auto writer = Create(block, /*is_copy=*/true);
  ASSERT_TRUE(writer->Write(BlockPacket(block.id, 0, 700)).ok());
  writer->SetVisibleLength(700);
  EXPECT_EQ(ReasonOf(store_->OpenReader(block).status()), ErrorReason::kReplicaNotFound);
  EXPECT_TRUE(Report().empty());
  ASSERT_TRUE(Finalize(writer.get()).ok());
  EXPECT_TRUE(Read(block, 700).ok());
}

TEST_P(BlockStoreTest, ASecondReplicaOfABlockIsRefused) {
  Put(1, 10);
  EXPECT_EQ(ReasonOf(store_->CreateReplica({.block = MakeBlock(1)}).status()), ErrorReason::kFileAlreadyExists);
  EXPECT_EQ(ReasonOf(store_->CreateReplica({.block = MakeBlock(1, 0, 1000)}).status()),
            ErrorReason::kStaleGenerationStamp);
}

TEST_P(BlockStoreTest, DeleteNamesBlockAndStamp) {
  Put(1, 10);
  EXPECT_EQ(ReasonOf(store_->Delete(MakeBlock(1, 0, 1002), kStart)), ErrorReason::kStaleGenerationStamp);
  EXPECT_EQ(ReasonOf(store_->Delete(MakeBlock(2), kStart)), ErrorReason::kReplicaNotFound);
  EXPECT_TRUE(Read(MakeBlock(1), 10).ok());
}

TEST_P(BlockStoreTest, AReplicaWhoseDeletionIsAcceptedIsNotVouchedFor) {
  Put(1, 10);
  ASSERT_TRUE(store_->BeginDelete(MakeBlock(1)).ok());
  EXPECT_TRUE(Report().empty());
  EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(1)).status()), ErrorReason::kReplicaNotFound);
  EXPECT_EQ(ReasonOf(store_->Verify(MakeBlock(1)).status()), ErrorReason::kReplicaNotFound);
  EXPECT_EQ(ReasonOf(store_->BeginDelete(MakeBlock(1))), ErrorReason::kBusy);
  EXPECT_EQ(ReasonOf(store_->CreateReplica({.block = MakeBlock(1)}).status()), ErrorReason::kBusy);
  store_->CancelDelete(MakeBlock(1));
  ASSERT_EQ(Report().size(), 1u);
  EXPECT_EQ(Report()[0].state, ReplicaState::kFinalized);
  EXPECT_TRUE(Read(MakeBlock(1), 10).ok());
  ASSERT_TRUE(store_->BeginDelete(MakeBlock(1)).ok());
  ASSERT_TRUE(store_->FinishDelete(MakeBlock(1), kStart).ok());
  EXPECT_EQ(store_->trash_size(), 1u);
  Put(1, 20);
}

TEST_P(BlockStoreTest, ACancelledDeletionLeavesAReplicaWithoutItsWriter) {
  auto writer = Create(MakeBlock(1));
  ASSERT_TRUE(writer->Write(BlockPacket(MakeBlock(1).id, 0, 700)).ok());
  ASSERT_TRUE(store_->BeginDelete(MakeBlock(1)).ok());
  store_->CancelDelete(MakeBlock(1));
  EXPECT_EQ(ReasonOf(writer->Write(BlockPacket(MakeBlock(1).id, 700, 800))), ErrorReason::kReplicaNotFound);
  writer.reset();
  ASSERT_EQ(Report().size(), 1u);
  EXPECT_EQ(Report()[0].state, ReplicaState::kBeingWritten);
  EXPECT_EQ(Report()[0].block.length, 700u);
}

TEST_P(BlockStoreTest, OnlyFinalizedReplicasAreVerified) {
  auto writer = Create(MakeBlock(1));
  ASSERT_TRUE(writer->Write(BlockPacket(MakeBlock(1).id, 0, 700)).ok());
  writer->SetVisibleLength(700);
  EXPECT_EQ(ReasonOf(store_->Verify(MakeBlock(1, 300)).status()), ErrorReason::kNotReplicatedYet);
  ASSERT_TRUE(Finalize(writer.get()).ok());
  const auto good = store_->Verify(MakeBlock(1, 300));
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->outcome, VerifyOutcome::kGood);
  EXPECT_EQ(good->block, MakeBlock(1, 700));  // not the length that was asked for
  Damage(Finalized(store_->StorageOf(MakeBlock(1).id) == Storage(0) ? "/one" : "/two", MakeBlock(1)), 600);
  for (int i = 0; i < 2; ++i) {  // found out, then known
    const auto corrupt = store_->Verify(MakeBlock(1, 300));
    ASSERT_TRUE(corrupt.ok()) << corrupt.status();
    EXPECT_EQ(corrupt->outcome, VerifyOutcome::kCorrupt);
    EXPECT_EQ(corrupt->block, MakeBlock(1, 700));
  }
}

TEST_P(BlockStoreTest, DeletingCutsOffALiveWriter) {
  auto writer = Create(MakeBlock(1));
  ASSERT_TRUE(writer->Write(BlockPacket(MakeBlock(1).id, 0, 10)).ok());
  ASSERT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
  EXPECT_EQ(ReasonOf(writer->Write(BlockPacket(MakeBlock(1).id, 10, 20))), ErrorReason::kReplicaNotFound);
  EXPECT_FALSE(Finalize(writer.get()).ok());
  writer.reset();
  EXPECT_TRUE(Report().empty());
}

TEST_P(BlockStoreTest, ReservationsAreGivenBack) {
  const uint64_t before = store_->StorageReports()[0].remaining_bytes;
  {
    auto writer = Create(MakeBlock(1), false, Storage(0));
    EXPECT_EQ(store_->StorageReports()[0].remaining_bytes, before - (1 << 20));
    ASSERT_TRUE(writer->Write(BlockPacket(MakeBlock(1).id, 0, 1000)).ok());
    EXPECT_EQ(store_->StorageReports()[0].remaining_bytes, before - (1 << 20));
    writer->Discard();
  }
  EXPECT_EQ(store_->StorageReports()[0].remaining_bytes, before - 1000);  // until the disk is asked again
}

TEST_P(BlockStoreTest, AFinalizeThatFailsAnywhereLeavesOldOrNewState) {  // F-023, fault points
  uint64_t n = 0;
  for (const char* point :
       {"before_sync", "after_sync", "after_first_rename", "after_rename", "after_directory_sync"}) {
    const Block block = MakeBlock(++n);
    auto writer = Create(block);
    ASSERT_TRUE(writer->Write(BlockPacket(block.id, 0, 700)).ok());
    ASSERT_TRUE(fault::Arm(std::string("datanode.finalize.") + point + "=fail").ok());
    EXPECT_FALSE(Finalize(writer.get()).ok()) << point;
    EXPECT_GE(fault::Hits()[std::string("datanode.finalize.") + point], 1u);
    fault::DisarmAll();
    writer.reset();
    EXPECT_FALSE(store_->OpenReader(block).ok()) << point;
  }
  Restart();
  const auto report = Report();
  EXPECT_EQ(report.size(), n);
  for (const auto& replica : report) {
    EXPECT_EQ(replica.block.length, 700u);
    if (replica.state == ReplicaState::kFinalized) {
      EXPECT_TRUE(Read(replica.block, 700).ok());
    }
  }
}

TEST_P(BlockStoreTest, AGroupIsFinalizedTogetherAndOneFailureHurtsNobodyElse) {
  std::vector<std::unique_ptr<ReplicaWriter>> writers;
  std::vector<ReplicaWriter*> pointers;
  for (uint64_t n = 1; n <= 20; ++n) {
    writers.push_back(Create(MakeBlock(n), false, Storage(n % 2)));
    ASSERT_TRUE(writers.back()->Write(BlockPacket(MakeBlock(n).id, 0, 100 * n)).ok());
    pointers.push_back(writers.back().get());
  }
  fs_->AddRule(
      {.operation = FileOperation::kSync, .path_contains = ReplicaFileName{.block = MakeBlock(7).id}.ToString()});
  const ParallelRunner threads = [](std::vector<std::function<void()>> tasks) {
    std::vector<std::thread> running;
    for (auto& task : tasks) running.emplace_back(task);
    for (auto& thread : running) thread.join();
  };
  const auto answers =
      store_->FinalizeGroup(pointers, true, GetParam() == Disk::kPosix ? threads : ParallelRunner(RunOneByOne));
  for (uint64_t n = 1; n <= 20; ++n) {
    EXPECT_EQ(answers[n - 1].ok(), n != 7) << answers[n - 1];
    if (n != 7) {
      EXPECT_TRUE(Read(MakeBlock(n), 100 * n).ok());
    }
  }
}

TEST_P(BlockStoreTest, RangesAreListedByIdInSlices) {
  for (uint64_t n = 1; n <= 10; ++n) Put(n, n, Storage(0));
  const auto first = store_->ListRange(Storage(0), BlockId(0), 4);
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(first[3].block, MakeBlock(4, 4));
  const auto rest = store_->ListRange(Storage(0), first[3].block.id.Next(), 100);
  ASSERT_EQ(rest.size(), 6u);
  EXPECT_EQ(rest[0].block, MakeBlock(5, 5));
  EXPECT_EQ(store_->StorageReports()[0].used_bytes, 55u);
  EXPECT_EQ(store_->StorageReports()[0].block_count, 10u);
}

}  // namespace
}  // namespace dolmen::datanode
