#include "datanode/storage/block_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/fault_point.h"
#include "common/faulty_file_system.h"
#include "common/memory_file_system.h"
#include "common/posix_file_system.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/datanode/storage/replica_builder.h"

namespace dolmen::datanode {
namespace {

using protocol::Block;
using protocol::ReplicaState;

constexpr MonotonicTime kStart{};

enum class Disk { kMemory, kPosix };

// A store with two volumes on either kind of disk, behind the fault wrapper.
class BlockStoreTest : public ::testing::TestWithParam<Disk> {
 protected:
  void SetUp() override {
    if (GetParam() == Disk::kMemory) {
      base_ = std::make_unique<MemoryFileSystem>();
      root_ = "/data";
    } else {
      base_ = MakePosixFileSystem();
      directory_ = std::make_unique<TempDir>();
      root_ = directory_->path();
    }
    fs_ = std::make_unique<FaultyFileSystem>(base_.get(), 1);
    options_.directories = {{root_ + "/one"}, {root_ + "/two"}};
    Restart();
  }
  void TearDown() override {
    fault::DisarmAll();
    store_.reset();
  }

  absl::Status TryStart() {
    store_.reset();
    auto opened = BlockStore::Open(fs_.get(), options_, &random_, kStart);
    if (opened.ok()) store_ = *std::move(opened);
    return opened.status();
  }
  void Restart() {
    const absl::Status started = TryStart();
    ASSERT_TRUE(started.ok()) << started;
  }

  std::unique_ptr<ReplicaWriter> Create(const Block& block, bool is_copy = false, StorageId storage = {}) {
    auto writer =
        store_->CreateReplica({.block = block, .storage = storage, .is_copy = is_copy, .expected_bytes = 1 << 20});
    EXPECT_TRUE(writer.ok()) << writer.status();
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  absl::Status Finalize(ReplicaWriter* writer, bool durable = true) {
    return store_->FinalizeGroup(std::span<ReplicaWriter* const>(&writer, 1), durable)[0];
  }
  // A finalized replica of `length` bytes.
  void Put(uint64_t n, uint64_t length, StorageId storage = {}) {
    const Block block = MakeBlock(n);
    auto writer = Create(block, false, storage);
    ASSERT_NE(writer, nullptr);
    if (length > 0) {
      ASSERT_TRUE(writer->Write(BlockPacket(block.id, 0, length)).ok());
    }
    const absl::Status finalized = Finalize(writer.get());
    ASSERT_TRUE(finalized.ok()) << finalized;
  }
  absl::Status Read(const Block& block, uint64_t expected_length) {
    DOLMEN_ASSIGN_OR_RETURN(const auto reader, store_->OpenReader(block));
    std::string bytes;
    while (bytes.size() < reader->Length()) {
      DOLMEN_ASSIGN_OR_RETURN(const auto chunk, reader->Read(bytes.size(), 2000, ReplicaReader::Check::kVerify));
      EXPECT_EQ(chunk.offset, bytes.size());
      EXPECT_EQ(FirstBadChunk(chunk.payload, chunk.checksums), -1);
      bytes.append(std::string(chunk.payload));
    }
    EXPECT_EQ(bytes, BlockBytes(block.id, expected_length));
    return absl::OkStatus();
  }
  std::vector<protocol::ReportedReplica> Report() {
    std::vector<protocol::ReportedReplica> all;
    for (const auto& storage : store_->StorageReports()) {
      for (const auto& replica : store_->ListRange(storage.id, BlockId(0), 1000)) all.push_back(replica);
    }
    return all;
  }
  // On all volumes.
  absl::StatusOr<size_t> Purge(MonotonicTime now, size_t limit) {
    size_t purged = 0;
    absl::Status failed;
    for (const auto& storage : store_->StorageReports()) {
      const absl::StatusOr<size_t> one = store_->PurgeTrash(storage.id, now, limit);
      if (one.ok()) purged += *one;
      if (!one.ok()) failed = one.status();
    }
    return failed.ok() ? absl::StatusOr<size_t>(purged) : failed;
  }
  StorageId Storage(size_t i) { return store_->StorageReports()[i].id; }
  std::string Finalized(const std::string& volume, const Block& block, bool meta = false) {
    return root_ + volume + "/current/finalized/subdir" + std::to_string((block.id.value() >> 16) & 31) + "/subdir" +
           std::to_string((block.id.value() >> 8) & 31) + "/" +
           ReplicaFileName{.block = block.id, .is_meta = meta}.ToString();
  }
  void Damage(const std::string& path, uint64_t at) {
    auto file = base_->Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok()) << file.status();
    char byte;
    ASSERT_TRUE((*file)->ReadAt(at, {&byte, 1}).ok());
    byte = static_cast<char>(byte ^ 0x10);
    ASSERT_TRUE((*file)->WriteAt(at, std::string_view(&byte, 1)).ok());
  }

  std::unique_ptr<TempDir> directory_;
  std::unique_ptr<FileSystem> base_;
  std::unique_ptr<FaultyFileSystem> fs_;
  std::string root_;
  BlockStoreOptions options_;
  Random random_{7};
  std::unique_ptr<BlockStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Disks, BlockStoreTest, ::testing::Values(Disk::kMemory, Disk::kPosix),
                         [](const auto& info) { return info.param == Disk::kMemory ? "Memory" : "Posix"; });

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

TEST_P(BlockStoreTest, DeletedReplicasWaitInTrashForTheGraceTime) {  // C-15
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

TEST_P(BlockStoreTest, WhatCouldNotBePurgedIsPurgedLater) {
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

TEST_P(BlockStoreTest, AVolumeWhoseTrashCannotBeSyncedIsChecked) {
  Put(1, 10, Storage(0));
  ASSERT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
  fs_->AddRule({.operation = FileOperation::kSyncDirectory, .path_contains = "/one/trash"});
  fs_->AddRule({.operation = FileOperation::kWrite, .path_contains = "/one/probe"});
  EXPECT_FALSE(Purge(kStart + options_.trash_grace, 10).ok());
  EXPECT_FALSE(store_->IsOnline(Storage(0)));
}

TEST_P(BlockStoreTest, TrashDoesNotKeepAVolumeFull) {
  Put(1, 10);
  options_.kept_free_bytes = uint64_t{1} << 60;
  Restart();
  ASSERT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());
  EXPECT_EQ(*Purge(kStart, 10), 1u);
  EXPECT_TRUE(base_->List(root_ + "/one/trash")->empty());
  EXPECT_TRUE(base_->List(root_ + "/two/trash")->empty());
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

TEST_P(BlockStoreTest, AFlippedBitIsFoundAndTheReplicaNeverServedAgain) {  // F-074
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

TEST_P(BlockStoreTest, AFileThatVanishesWhileRunningMakesTheReplicaCorrupt) {  // F-076
  Put(1, 3000, Storage(0));
  ASSERT_TRUE(base_->RemoveFile(Finalized("/one", MakeBlock(1))).ok());
  EXPECT_EQ(ReasonOf(store_->OpenReader(MakeBlock(1)).status()), ErrorReason::kChecksum);
  EXPECT_EQ(store_->Verify(MakeBlock(1))->outcome, VerifyOutcome::kCorrupt);
  ASSERT_EQ(Report().size(), 1u);
  EXPECT_EQ(Report()[0].state, ReplicaState::kCorrupt);
  EXPECT_TRUE(store_->Delete(MakeBlock(1), kStart).ok());  // half of it is gone already
  EXPECT_TRUE(Report().empty());
}

TEST_P(BlockStoreTest, TruncatedAndMissingFilesAreCorruptOrQuarantined) {  // F-076
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

TEST_P(BlockStoreTest, SwappedChecksumFilesAreNoticed) {  // F-078
  for (const uint64_t n : {1, 2}) Put(n, 3000, Storage(0));
  store_.reset();
  const std::string one = Finalized("/one", MakeBlock(1), true), two = Finalized("/one", MakeBlock(2), true);
  ASSERT_TRUE(base_->Rename(one, root_ + "/swap").ok());
  ASSERT_TRUE(base_->Rename(two, one).ok());
  ASSERT_TRUE(base_->Rename(root_ + "/swap", two).ok());
  Restart();
  EXPECT_TRUE(Report().empty());
}

TEST_P(BlockStoreTest, OfTwoReplicasOnTwoVolumesTheBetterStays) {  // F-081
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

TEST_P(BlockStoreTest, IdentitySurvivesAndIsTheSameOnAllVolumes) {
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

TEST_P(BlockStoreTest, DirectoriesThatAreInUseForeignOrUnmountedAreRefused) {  // C-13, F-080
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

TEST_P(BlockStoreTest, AFailedSyncFailsTheReplicaForGood) {  // C-18, F-065
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

TEST_P(BlockStoreTest, ADeadVolumeGoesOfflineAndTheOthersServe) {  // F-063, F-068
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

TEST_P(BlockStoreTest, AFullVolumeIsLeftOutUntilSpaceIsBack) {  // F-060
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

TEST_P(BlockStoreTest, AFullVolumeKeepsNobodyFromRegisteringOrWriting) {
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
                               .delay_ms = 1000});
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

TEST_P(BlockStoreTest, TooManyOpenFilesAreNoFaultOfTheDisk) {
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
