// A block store with two volumes, in memory or on a real disk, and faults on demand.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/fault_point.h"
#include "common/faulty_file_system.h"
#include "common/memory_file_system.h"
#include "common/posix_file_system.h"
#include "common/random.h"
#include "datanode/storage/block_store.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/datanode/storage/replica_builder.h"

namespace dolmen::datanode {

using protocol::Block;

inline constexpr MonotonicTime kStart{};

enum class Disk { kMemory, kPosix };

inline std::string DiskName(const ::testing::TestParamInfo<Disk>& info) {
  return info.param == Disk::kMemory ? "Memory" : "Posix";
}

// A store with two volumes on either kind of disk, behind the fault wrapper.
class BlockStoreFixture : public ::testing::TestWithParam<Disk> {
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

}  // namespace dolmen::datanode
