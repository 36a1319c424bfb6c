// What a block store makes of its disks: trash, damaged files, identities, and disks that fail, are full or slow.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "datanode/storage/block_store.h"
#include "tests/unit/datanode/storage/block_store_fixture.h"

namespace dolmen::datanode {
namespace {

using protocol::ReplicaState;

class BlockStoreDiskTest : public BlockStoreFixture {};

INSTANTIATE_TEST_SUITE_P(Disks, BlockStoreDiskTest, ::testing::Values(Disk::kMemory, Disk::kPosix), DiskName);

// ---- trash ----------------------------------------------------------------------------------------------------------

TEST_P(BlockStoreDiskTest, DeletedReplicasWaitInTrashForTheGraceTime) {  // C-15
  Put(1, 10);
  auto reader = store_->OpenReader(MakeBlock(1));
  ASSERT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
  EXPECT_EQ((*reader)->Read(0, 10, ReplicaReader::Check::kVerify)->payload,
            absl::Cord(BlockBytes(MakeBlock(1).id, 10)));
  EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(1)).status()), ErrorReason::kReplicaNotFound);
  Put(1, 20);  // the same block may come back at once
  EXPECT_EQ(*Purge(kStart + options_.trash_grace - Duration(1), 10), 0u);
  Restart();
  EXPECT_EQ(store_->trash_size(), 1u);
  EXPECT_EQ(*Purge(kStart + options_.trash_grace, 10), 1u);
  EXPECT_TRUE(base_->List(root_ + "/one/trash")->empty());
  EXPECT_TRUE(base_->List(root_ + "/two/trash")->empty());
  EXPECT_TRUE(Read(MakeBlock(1), 20).ok());
}

TEST_P(BlockStoreDiskTest, WhatCouldNotBePurgedIsPurgedLater) {
  for (const FileOperation operation : {FileOperation::kSyncDirectory, FileOperation::kRemove}) {
    for (const uint64_t n : {1, 2, 3}) Put(n, 10, Storage(n == 3 ? 1 : 0));
    for (const uint64_t n : {1, 2, 3}) ASSERT_TRUE(store_->Delete(MakeBlock(n), kStart).ok());
    fs_->AddRule({.operation = operation, .path_contains = "/one/trash"});
    const MonotonicTime due = kStart + options_.trash_grace;
    EXPECT_EQ(ReasonOf(Purge(due, 10).status()), ErrorReason::kIo);
    EXPECT_TRUE(base_->List(root_ + "/two/trash")->empty());
    EXPECT_EQ(store_->trash_size(), operation == FileOperation::kRemove ? 1u : 2u);
    EXPECT_EQ(*Purge(due, 10), operation == FileOperation::kRemove ? 1u : 2u);
    EXPECT_TRUE(base_->List(root_ + "/one/trash")->empty());
    EXPECT_EQ(store_->trash_size(), 0u);
  }
  EXPECT_TRUE(store_->IsOnline(Storage(0)));
}

TEST_P(BlockStoreDiskTest, AVolumeWhoseTrashCannotBeSyncedIsChecked) {
  Put(1, 10, Storage(0));
  ASSERT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
  fs_->AddRule({.operation = FileOperation::kSyncDirectory, .path_contains = "/one/trash"});
  fs_->AddRule({.operation = FileOperation::kWrite, .path_contains = "/one/probe"});
  EXPECT_FALSE(Purge(kStart + options_.trash_grace, 10).ok());
  EXPECT_FALSE(store_->IsOnline(Storage(0)));
}

TEST_P(BlockStoreDiskTest, TrashDoesNotKeepAVolumeFull) {
  Put(1, 10);
  options_.kept_free_bytes = uint64_t{1} << 60;
  Restart();
  ASSERT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
  EXPECT_EQ(*Purge(kStart, 10), 1u);
  EXPECT_TRUE(base_->List(root_ + "/one/trash")->empty());
  EXPECT_TRUE(base_->List(root_ + "/two/trash")->empty());
}

// ---- damaged files --------------------------------------------------------------------------------------------------

TEST_P(BlockStoreDiskTest, AFlippedBitIsFoundAndTheReplicaNeverServedAgain) {  // F-074
  Put(1, 3000, Storage(0));
  Put(2, 3000, Storage(0));
  Damage(Finalized("/one", MakeBlock(1)), 2000);
  Damage(Finalized("/one", MakeBlock(2), true), kChecksumHeaderBytes + 1);
  for (const uint64_t n : {1, 2}) {
    EXPECT_EQ(ReasonOf(Read(MakeBlock(n), 3000)), ErrorReason::kChecksum);
    EXPECT_EQ(store_->Verify(MakeBlock(n))->outcome, VerifyOutcome::kCorrupt);
    EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(n)).status()), ErrorReason::kChecksum);
  }
  ASSERT_EQ(Report().size(), 2u);
  EXPECT_EQ(Report()[0].state, ReplicaState::kCorrupt);
  EXPECT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
}

TEST_P(BlockStoreDiskTest, AFileThatVanishesWhileRunningMakesTheReplicaCorrupt) {  // F-076
  Put(1, 3000, Storage(0));
  ASSERT_TRUE(base_->RemoveFile(Finalized("/one", MakeBlock(1))).ok());
  EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(1)).status()), ErrorReason::kChecksum);
  EXPECT_EQ(store_->Verify(MakeBlock(1))->outcome, VerifyOutcome::kCorrupt);
  ASSERT_EQ(Report().size(), 1u);
  EXPECT_EQ(Report()[0].state, ReplicaState::kCorrupt);
  EXPECT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());  // half of it is gone already
  EXPECT_TRUE(Report().empty());
}

TEST_P(BlockStoreDiskTest, TruncatedAndMissingFilesAreCorruptOrQuarantined) {  // F-076
  for (const uint64_t n : {1, 2, 3}) Put(n, 3000, Storage(0));
  store_.reset();
  ASSERT_TRUE((*base_->Open(Finalized("/one", MakeBlock(1)), OpenMode::kReadWrite))->Truncate(100).ok());
  ASSERT_TRUE(base_->RemoveFile(Finalized("/one", MakeBlock(2), true)).ok());
  Damage(Finalized("/one", MakeBlock(3), true), 0);
  { auto unknown = base_->Open(root_ + "/one/current/being_written/notes.txt", OpenMode::kCreateNew); }
  Restart();
  ASSERT_EQ(Report().size(), 1u);
  EXPECT_EQ(Report()[0].state, ReplicaState::kCorrupt);
  EXPECT_EQ(base_->List(root_ + "/one/quarantine")->size(), 4u);  // one half, one pair, one unknown file
}

TEST_P(BlockStoreDiskTest, SwappedChecksumFilesAreNoticed) {  // F-078
  for (const uint64_t n : {1, 2}) Put(n, 3000, Storage(0));
  store_.reset();
  const std::string one = Finalized("/one", MakeBlock(1), true), two = Finalized("/one", MakeBlock(2), true);
  ASSERT_TRUE(base_->Rename(one, root_ + "/swap").ok());
  ASSERT_TRUE(base_->Rename(two, one).ok());
  ASSERT_TRUE(base_->Rename(root_ + "/swap", two).ok());
  Restart();
  EXPECT_TRUE(Report().empty());
}

TEST_P(BlockStoreDiskTest, OfTwoReplicasOnTwoVolumesTheBetterStays) {  // F-081
  Put(1, 3000, Storage(0));
  store_.reset();
  const std::string target = Finalized("/two", MakeBlock(1));
  ASSERT_TRUE(base_->CreateDirectories(DirectoryOf(target)).ok());
  for (const bool meta : {false, true}) {
    const std::string bytes = *ReadWholeFile(*base_, Finalized("/one", MakeBlock(1), meta));
    ASSERT_TRUE(WriteFileDurably(*base_, Finalized("/two", MakeBlock(1), meta), bytes).ok());
  }
  ASSERT_TRUE((*base_->Open(Finalized("/one", MakeBlock(1)), OpenMode::kReadWrite))->Truncate(100).ok());
  Restart();
  ASSERT_EQ(Report().size(), 1u);
  EXPECT_EQ(store_->StorageOf(MakeBlock(1).id), Storage(1));
  EXPECT_TRUE(Read(MakeBlock(1), 3000).ok());
  EXPECT_EQ(store_->trash_size(), 1u);
}

// ---- identities -----------------------------------------------------------------------------------------------------

TEST_P(BlockStoreDiskTest, IdentitySurvivesAndIsTheSameOnAllVolumes) {
  const StoreIdentity before = store_->identity();
  EXPECT_TRUE(before.cluster.is_none());
  ASSERT_TRUE(store_->RecordNamenode({.cluster = ClusterId("CID-1"), .epoch = Epoch(4), .incarnation = "abc"}).ok());
  Put(5, 10);
  Restart();
  const StoreIdentity after = store_->identity();
  EXPECT_EQ(after.datanode, before.datanode);
  EXPECT_EQ(after.cluster, ClusterId("CID-1"));
  EXPECT_EQ(after.highest_epoch, Epoch(4));
  EXPECT_EQ(after.highest_incarnation, "abc");
  EXPECT_EQ(after.seen, (protocol::IdMarks{MakeBlock(5).id, GenerationStamp(1001)}));
  EXPECT_EQ(after.bound, after.seen) << "after a clean stop";
}

TEST_P(BlockStoreDiskTest, DirectoriesThatAreInUseForeignOrUnmountedAreRefused) {  // C-13, F-080
  ASSERT_TRUE(store_->RecordNamenode({.cluster = ClusterId("CID-1"), .epoch = Epoch(4)}).ok());
  EXPECT_EQ(ReasonOf(BlockStore::Open(fs_.get(), options_, &random_, kStart).status()), ErrorReason::kBusy);

  options_.directories.push_back({root_ + "/three"});
  EXPECT_EQ(ReasonOf(TryStart()), ErrorReason::kDamaged);  // empty beside volumes in use
  options_.allow_new_directories = true;
  EXPECT_TRUE(TryStart().ok());
  store_.reset();

  ASSERT_TRUE(base_->RemoveFile(root_ + "/three/VERSION").ok());
  EXPECT_EQ(ReasonOf(TryStart()), ErrorReason::kDamaged);  // data, but no identity

  options_.directories = {{root_ + "/other"}};
  ASSERT_TRUE(TryStart().ok());
  ASSERT_TRUE(store_->RecordNamenode({.cluster = ClusterId("CID-2"), .epoch = Epoch(1)}).ok());
  options_.directories = {{root_ + "/one"}, {root_ + "/other"}};
  EXPECT_EQ(ReasonOf(TryStart()), ErrorReason::kWrongCluster);
  options_.directories = {};
  EXPECT_EQ(ReasonOf(TryStart()), ErrorReason::kIllegalArgument);
}

// ---- failing, full and slow disks -----------------------------------------------------------------------------------

TEST_P(BlockStoreDiskTest, AFailedSyncFailsTheReplicaForGood) {  // C-18, F-065
  auto writer = Create(MakeBlock(1), false, Storage(0));
  ASSERT_TRUE(writer->Write(BlockPacket(MakeBlock(1).id, 0, 700)).ok());
  const int rule = fs_->AddRule({.operation = FileOperation::kSync, .path_contains = "blk_"});
  EXPECT_FALSE(writer->Sync().ok());
  EXPECT_EQ(fs_->fired(rule), 1u);
  EXPECT_FALSE(writer->Sync().ok());  // the disk would say yes now
  EXPECT_FALSE(writer->Write(BlockPacket(MakeBlock(1).id, 700, 800)).ok());
  EXPECT_FALSE(Finalize(writer.get()).ok());
  EXPECT_TRUE(store_->IsOnline(Storage(0)));  // the probe worked
  Put(2, 10, Storage(0));
}

TEST_P(BlockStoreDiskTest, ADeadVolumeGoesOfflineAndTheOthersServe) {  // F-063, F-068
  Put(1, 700, Storage(0));
  Put(2, 700, Storage(1));
  auto writer = Create(MakeBlock(3), false, Storage(0));
  for (const FileOperation operation : {FileOperation::kWrite, FileOperation::kOpen}) {
    fs_->AddRule({.operation = operation, .path_contains = "/one/", .times = 1000});
  }
  EXPECT_EQ(ReasonOf(writer->Write(BlockPacket(MakeBlock(3).id, 0, 700))), ErrorReason::kIo);
  EXPECT_FALSE(store_->IsOnline(Storage(0)));
  EXPECT_TRUE(store_->StorageReports()[0].failed);
  EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(1)).status()), ErrorReason::kReplicaNotFound);
  EXPECT_TRUE(Read(MakeBlock(2), 700).ok());
  EXPECT_EQ(Report().size(), 1u);
  writer.reset();
  fs_->ClearRules();
  Put(4, 700, Storage(0));  // goes to the volume that works
  EXPECT_EQ(store_->StorageOf(MakeBlock(4).id), Storage(1));
}

TEST_P(BlockStoreDiskTest, AFullVolumeIsLeftOutUntilSpaceIsBack) {  // F-060
  auto writer = Create(MakeBlock(1), false, Storage(0));
  fs_->AddRule({.operation = FileOperation::kWrite, .fault = FileFault::kNoSpace, .path_contains = "/one/"});
  EXPECT_EQ(ReasonOf(writer->Write(BlockPacket(MakeBlock(1).id, 0, 700))), ErrorReason::kNoSpace);
  writer.reset();
  EXPECT_EQ(store_->StorageReports()[0].remaining_bytes, 0u);
  EXPECT_EQ(ReasonOf(store_->CreateReplica({.block = MakeBlock(2), .storage = Storage(0)}).status()),
            ErrorReason::kNoSpace);
  Put(3, 10);  // the other volume takes it
  EXPECT_EQ(store_->StorageOf(MakeBlock(3).id), Storage(1));
  store_->RefreshSpace();
  Put(4, 10, Storage(0));
  EXPECT_EQ(store_->StorageOf(MakeBlock(4).id), Storage(0));
}

TEST_P(BlockStoreDiskTest, AFullVolumeKeepsNobodyFromRegisteringOrWriting) {
  const auto rule = fs_->AddRule(
      {.operation = FileOperation::kWrite, .fault = FileFault::kNoSpace, .path_contains = "/one/", .times = 1000});
  const protocol::NamenodeIdentity namenode{.cluster = ClusterId("CID-1"), .epoch = Epoch(5), .incarnation = "a"};
  const absl::Status recorded = store_->RecordNamenode(namenode);
  ASSERT_TRUE(recorded.ok()) << recorded;
  EXPECT_GT(fs_->fired(rule), 0u);
  Put(200'000, 10, Storage(1));  // above the bound of ids: VERSION is written first
  const protocol::IdMarks bound = store_->identity().bound;
  EXPECT_GE(bound.block, MakeBlock(200'000).id);
  Restart();
  EXPECT_EQ(store_->identity().highest_epoch, Epoch(5));
  EXPECT_EQ(store_->identity().cluster, ClusterId("CID-1"));
  EXPECT_GE(store_->identity().bound.block, MakeBlock(200'000).id);
  // With space again it learns what it missed, and could speak for the datanode alone.
  fs_->ClearRules();
  store_->RefreshSpace();
  const auto version = ReadWholeFile(*base_, root_ + "/one/VERSION");
  ASSERT_TRUE(version.ok()) << version.status();
  const auto identity = DecodeVolumeIdentity(*version);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->highest_epoch, Epoch(5));
  EXPECT_EQ(identity->cluster, ClusterId("CID-1"));
  EXPECT_GE(identity->bound.block, MakeBlock(200'000).id);
}

TEST(FullDiskTest, ADatanodeWhoseDisksAreAllFullRegisters) {
  MemoryFileSystem fs;
  Random random(1);
  const BlockStoreOptions options{.directories = {{"/one"}, {"/two"}}};
  auto store = BlockStore::Open(&fs, options, &random, kStart);
  ASSERT_TRUE(store.ok()) << store.status();
  const uint64_t used = fs.Space("/one")->capacity_bytes - fs.Space("/one")->available_bytes;
  fs.set_capacity(used);
  for (const uint64_t epoch : {5, 6}) {
    const absl::Status recorded =
        (*store)->RecordNamenode({.cluster = ClusterId("CID-1"), .epoch = Epoch(epoch), .incarnation = "a"});
    ASSERT_TRUE(recorded.ok()) << recorded;
  }
  store->reset();
  store = BlockStore::Open(&fs, options, &random, kStart);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->identity().highest_epoch, Epoch(6));
}

TEST(SlowDiskTest, AVersionThatTakesLongHoldsUpNoReplicaBelowTheBound) {
  const TempDir directory;
  const std::unique_ptr<FileSystem> base = MakePosixFileSystem();
  FaultyFileSystem fs(base.get(), 1);
  Random random(1);
  const std::string root = directory.path();
  auto store = *BlockStore::Open(&fs, {.directories = {{root + "/one"}, {root + "/two"}}}, &random, kStart);
  store->CreateReplica({.block = MakeBlock(1)}).value()->Discard();  // raises the bound
  const int slow = fs.AddRule({.operation = FileOperation::kSync,
                               .fault = FileFault::kDelay,
                               .path_contains = "/one/VERSION",
                               .delay_ms = 4000});
  std::atomic<bool> recorded{false};
  std::thread recorder([&] {
    EXPECT_TRUE(store->RecordNamenode({.cluster = ClusterId("C"), .epoch = Epoch(5), .incarnation = "a"}).ok());
    recorded = true;
  });
  while (fs.fired(slow) == 0) std::this_thread::yield();
  EXPECT_EQ(store->identity().highest_epoch, Epoch(0));
  auto writer = store->CreateReplica({.block = MakeBlock(2), .storage = store->StorageReports()[1].id});
  EXPECT_TRUE(writer.ok()) << writer.status();
  EXPECT_FALSE(recorded);
  if (writer.ok()) (*writer)->Discard();
  writer = absl::CancelledError();
  recorder.join();
  EXPECT_EQ(store->identity().highest_epoch, Epoch(5));
  EXPECT_EQ(store->identity().seen.block, MakeBlock(2).id);
}

TEST_P(BlockStoreDiskTest, TooManyOpenFilesAreNoFaultOfTheDisk) {
  Put(1, 10, Storage(0));
  fs_->AddRule({.operation = FileOperation::kOpen, .fault = FileFault::kBusy, .path_contains = "/one/", .times = 1000});
  EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(1)).status()), ErrorReason::kBusy);
  EXPECT_EQ(ReasonOf(store_->CreateReplica({.block = MakeBlock(2), .storage = Storage(0)}).status()),
            ErrorReason::kBusy);
  // Nor when a real fault cannot be looked into for lack of them.
  ASSERT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
  fs_->AddRule({.operation = FileOperation::kRemove, .path_contains = "/one/trash"});
  EXPECT_FALSE(Purge(kStart + options_.trash_grace, 10).ok());
  EXPECT_TRUE(store_->IsOnline(Storage(0)));
  fs_->ClearRules();
  Put(2, 10, Storage(0));
  EXPECT_TRUE(Read(MakeBlock(2), 10).ok());
}

}  // namespace
}  // namespace dolmen::datanode
