// What storage tests are made of: blocks whose bytes follow from their id, packets of them, and a disk that is switched
// off at a chosen operation.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/crc32c.h"
#include "common/error.h"
#include "common/file_system.h"
#include "common/protocol/data_transfer.h"
#include "datanode/storage/block_store.h"

namespace dolmen::datanode {

inline protocol::Block MakeBlock(uint64_t n, uint64_t length = 0, uint64_t stamp = 1001) {
  return {.id = BlockId(kFirstBlockId.value() + n * kBlockIdStep), .stamp = GenerationStamp(stamp), .length = length};
}

// Bytes [0, length) of a block: no two positions or blocks look alike for long.
inline std::string BlockBytes(BlockId block, uint64_t length) {
  std::string bytes(length, '\0');
  uint64_t state = block.value() * 0x9E3779B97F4A7C15u + 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

inline protocol::Packet MakePacket(uint64_t sequence, uint64_t offset, std::string_view bytes) {
  protocol::Packet packet{.sequence = sequence, .offset = offset};
  AppendChunkChecksums(bytes, &packet.checksums);
  packet.payload = absl::Cord(ToAbsl(bytes));
  return packet;
}

// Bytes [from, to) of the block as a packet, begun at the chunk boundary before `from`.
inline protocol::Packet BlockPacket(BlockId block, uint64_t from, uint64_t to) {
  const std::string all = BlockBytes(block, to);
  const uint64_t start = from - from % kBytesPerChecksum;
  return MakePacket(0, start, std::string_view(all).substr(start));
}

// Passes on the first `limit` operations that change the disk; then the power is off and everything fails.
class PowerSwitch final : public FileSystem {
 public:
  explicit PowerSwitch(FileSystem* base) : base_(base) {}
  void SetLimit(uint64_t limit) {
    limit_ = limit;
    done_ = 0;
  }
  uint64_t done() const { return done_; }
  bool off() const { return done_ > limit_; }
  // Operations since SetLimit, by kind.
  const std::map<std::string, uint64_t>& counts() const { return counts_; }

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    if (mode == OpenMode::kCreateNew || mode == OpenMode::kCreateOrOpen) DOLMEN_RETURN_IF_ERROR(Change("create"));
    DOLMEN_RETURN_IF_ERROR(Look());
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> file, base_->Open(path, mode));
    return std::make_unique<SwitchedFile>(this, std::move(file));
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    DOLMEN_RETURN_IF_ERROR(Change("rename"));
    return base_->Rename(from, to);
  }
  absl::Status RemoveFile(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Change("remove"));
    return base_->RemoveFile(path);
  }
  absl::Status RemoveDirectory(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Change("rmdir"));
    return base_->RemoveDirectory(path);
  }
  absl::Status CreateDirectories(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Change("mkdir"));
    return base_->CreateDirectories(path);
  }
  absl::Status SyncDirectory(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Change("sync directory"));
    return base_->SyncDirectory(path);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Look());
    return base_->List(path);
  }
  absl::StatusOr<bool> Exists(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Look());
    return base_->Exists(path);
  }
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Look());
    return base_->FileSize(path);
  }
  absl::StatusOr<DiskSpace> Space(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Look());
    return base_->Space(path);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Look());
    return base_->Lock(path);
  }

 private:
  class SwitchedFile final : public File {
   public:
    SwitchedFile(PowerSwitch* power, std::unique_ptr<File> base) : power_(power), base_(std::move(base)) {}
    absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
      DOLMEN_RETURN_IF_ERROR(power_->Look());
      return base_->ReadAt(offset, out);
    }
    absl::Status WriteAt(uint64_t offset, std::string_view data) override {
      DOLMEN_RETURN_IF_ERROR(power_->Change("write"));
      return base_->WriteAt(offset, data);
    }
    absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
      DOLMEN_RETURN_IF_ERROR(power_->Change("write"));
      return base_->WriteAt(offset, pieces);
    }
    absl::Status Sync() override {
      DOLMEN_RETURN_IF_ERROR(power_->Change("sync"));
      return base_->Sync();
    }
    void StartWriteback(uint64_t, uint64_t) override {}
    absl::Status Truncate(uint64_t size) override {
      DOLMEN_RETURN_IF_ERROR(power_->Change("truncate"));
      return base_->Truncate(size);
    }
    absl::StatusOr<uint64_t> Size() const override {
      DOLMEN_RETURN_IF_ERROR(power_->Look());
      return base_->Size();
    }

   private:
    PowerSwitch* const power_;
    const std::unique_ptr<File> base_;
  };

  absl::Status Look() const { return off() ? MakeError(ErrorReason::kIo, "the power is off") : absl::OkStatus(); }
  absl::Status Change(const char* kind) {
    if (done_ <= limit_) ++done_;
    ++counts_[kind];
    return Look();
  }

  FileSystem* const base_;
  uint64_t limit_ = UINT64_MAX - 1;
  uint64_t done_ = 0;
  std::map<std::string, uint64_t> counts_;
};

}  // namespace dolmen::datanode
