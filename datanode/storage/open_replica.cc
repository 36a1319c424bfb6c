#include "datanode/storage/open_replica.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"
#include "common/fault_point.h"

namespace dolmen::datanode {
namespace {

// Write-back is started in steps of this size, so that closing a block does not wait for all of it (chosen).
constexpr uint64_t kWritebackBytes = 8 << 20;

absl::StatusOr<std::unique_ptr<File>> CreateFile(Volume& volume, const std::string& path) {
  absl::StatusOr<std::unique_ptr<File>> file = volume.fs().Open(path, OpenMode::kCreateNew);
  if (file.ok() || ReasonOf(file.status()) != ErrorReason::kFileAlreadyExists) return file;
  // A leftover that no record explains: kept aside, never overwritten.
  DOLMEN_RETURN_IF_ERROR(volume.Quarantine(path));
  return volume.fs().Open(path, OpenMode::kCreateNew);
}

}  // namespace

absl::StatusOr<std::shared_ptr<OpenReplica>> OpenReplica::Create(Volume* volume, BlockId block, GenerationStamp stamp,
                                                                 ReplicaPlace place, uint64_t reserved_bytes) {
  const std::string data_path = volume->DataPath(place, block);
  const std::string meta_path = volume->MetaPath(place, block);
  DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> data, CreateFile(*volume, data_path));
  const auto create_meta = [&]() -> absl::StatusOr<std::unique_ptr<File>> {
    DOLMEN_FAULT_POINT("datanode.create.after_data_file");
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> meta, CreateFile(*volume, meta_path));
    const absl::Status written = meta->WriteAt(0, std::string_view(EncodeChecksumHeader(block, {.stamp = stamp})));
    if (!written.ok()) {
      LogIfError(volume->fs().RemoveFile(meta_path), "a leftover is removed at the next start");
      return written;
    }
    return meta;
  };
  absl::StatusOr<std::unique_ptr<File>> meta = create_meta();
  if (!meta.ok()) {
    LogIfError(volume->fs().RemoveFile(data_path), "a leftover is removed at the next start");
    return meta.status();
  }
  return std::shared_ptr<OpenReplica>(
      new OpenReplica(volume, block, stamp, place, reserved_bytes, std::move(data), *std::move(meta), false));
}

std::shared_ptr<OpenReplica> OpenReplica::Continue(Volume* volume, const protocol::Block& block,
                                                   uint64_t reserved_bytes, StampedFiles files) {
  std::shared_ptr<OpenReplica> replica(new OpenReplica(volume, block.id, block.stamp, ReplicaPlace::kBeingWritten,
                                                       reserved_bytes, std::move(files.data), std::move(files.meta),
                                                       true));
  MutexLock no_sync(&replica->sync_mutex_);
  replica->names_synced_ = true;
  replica->any_slot_synced_ = true;
  replica->synced_ = block.length;
  replica->older_slot_ = files.older_slot;
  MutexLock lock(&replica->mutex_);
  replica->written_ = replica->visible_ = replica->writeback_started_ = block.length;
  replica->tail_ = std::move(files.tail);
  return replica;
}

OpenReplica::OpenReplica(Volume* volume, BlockId block, GenerationStamp stamp, ReplicaPlace place,
                         uint64_t reserved_bytes, std::unique_ptr<File> data, std::unique_ptr<File> meta, bool reopened)
    : volume_(volume),
      block_(block),
      stamp_(stamp),
      place_(place),
      data_(std::move(data)),
      meta_(std::move(meta)),
      reopened_(reopened),
      reserved_(reserved_bytes) {}

OpenReplica::~OpenReplica() {
  MutexLock lock(&mutex_);
  volume_->Unreserve(reserved_);
}

absl::Status OpenReplica::CheckFits(const protocol::Packet& packet) const {
  MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  if (packet.offset != ChunkStart(written_) || packet.EndOffset() < written_) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat(block_.ToString(), ": packet ", packet.sequence, " covers bytes ", packet.offset,
                                  " to ", packet.EndOffset(), " but the replica ends at ", written_));
  }
  if (packet.checksums.size() != ChecksumBytesFor(packet.payload.size())) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat(block_.ToString(), ": packet ", packet.sequence, " has ", packet.checksums.size(),
                                  " checksum bytes for ", packet.payload.size(), " bytes of data"));
  }
  return absl::OkStatus();
}

absl::Status OpenReplica::Failed(absl::Status error) {
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;  // told already
    failure_ = error;
  }
  volume_->NoteError(error);
  return error;
}

absl::Status OpenReplica::SyncFailed(absl::Status error) {
  {
    MutexLock lock(&mutex_);
    sync_failed_ = true;
  }
  return Failed(std::move(error));
}

absl::Status OpenReplica::WriteFiles(const protocol::Packet& packet) {
  std::vector<std::string_view> pieces;
  for (const absl::string_view piece : packet.payload.Chunks()) pieces.push_back(FromAbsl(piece));
  DOLMEN_RETURN_IF_ERROR(data_->WriteAt(packet.offset, std::span<const std::string_view>(pieces)));
  DOLMEN_FAULT_POINT("datanode.write.between_data_and_checksums");
  return meta_->WriteAt(ChunkCrcOffset(packet.offset / kBytesPerChecksum), std::string_view(packet.checksums));
}

absl::Status OpenReplica::Write(const protocol::Packet& packet) {
  MutexLock one_write(&write_mutex_);
  DOLMEN_RETURN_IF_ERROR(CheckFits(packet));
  const uint64_t end = packet.EndOffset();
  if (end > packet.offset) {
    absl::Status written = WriteFiles(packet);
    if (!written.ok()) return Failed(std::move(written));
  }
  uint64_t writeback_from = 0;
  {
    MutexLock lock(&mutex_);
    const uint64_t grown = end - written_;
    const uint64_t reserved = std::min(grown, reserved_);
    reserved_ -= reserved;
    volume_->Consume(grown, reserved);
    written_ = end;
    const uint64_t partial = end % kBytesPerChecksum;
    if (grown > 0) tail_ = std::string(packet.payload.Subcord(packet.payload.size() - partial, partial));
    if (written_ - writeback_started_ < kWritebackBytes) return absl::OkStatus();
    writeback_from = writeback_started_;
    writeback_started_ = written_;
  }
  data_->StartWriteback(writeback_from, end - writeback_from);
  return absl::OkStatus();
}

absl::Status OpenReplica::SyncData() {
  DOLMEN_RETURN_IF_ERROR(failure());
  absl::Status synced = data_->Sync();
  return synced.ok() ? synced : SyncFailed(std::move(synced));
}

absl::Status OpenReplica::SyncChecksums() {
  DOLMEN_RETURN_IF_ERROR(failure());
  absl::Status synced = meta_->Sync();
  return synced.ok() ? synced : SyncFailed(std::move(synced));
}

absl::Status OpenReplica::Sync() {
  MutexLock one_sync(&sync_mutex_);
  SyncSlot slot{.stamp = stamp_};
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    slot.synced_length = written_;
    slot.partial_crc = Crc32c(tail_);
  }
  if (any_slot_synced_ && slot.synced_length == synced_) return absl::OkStatus();
  absl::Status synced = SyncWithSlot(slot);
  if (!synced.ok()) return SyncFailed(std::move(synced));
  older_slot_ = 1 - older_slot_;
  any_slot_synced_ = true;
  synced_ = slot.synced_length;
  return absl::OkStatus();
}

absl::Status OpenReplica::SyncWithSlot(const SyncSlot& slot) {
  DOLMEN_RETURN_IF_ERROR(data_->Sync());
  DOLMEN_FAULT_POINT("datanode.sync.after_data");
  DOLMEN_RETURN_IF_ERROR(meta_->Sync());
  if (!names_synced_) DOLMEN_RETURN_IF_ERROR(volume_->fs().SyncDirectory(volume_->DirectoryFor(place_, block_)));
  names_synced_ = true;
  DOLMEN_FAULT_POINT("datanode.sync.before_slot");
  DOLMEN_RETURN_IF_ERROR(meta_->WriteAt(kSlotOffset[older_slot_], std::string_view(EncodeSyncSlot(block_, slot))));
  return meta_->Sync();
}

void OpenReplica::SetVisible(uint64_t length) {
  MutexLock lock(&mutex_);
  DOLMEN_CHECK(length <= written_);
  visible_ = std::max(visible_, length);
}

void OpenReplica::Fail(const absl::Status& why) {
  MutexLock lock(&mutex_);
  if (failure_.ok()) failure_ = why;
}

void OpenReplica::Stop(const absl::Status& why) {
  Fail(why);
  // What is under way is waited for; what comes later finds the failure.
  { MutexLock no_write(&write_mutex_); }
  { MutexLock no_sync(&sync_mutex_); }
}

absl::Status OpenReplica::failure() const {
  MutexLock lock(&mutex_);
  return failure_;
}

bool OpenReplica::sync_failed() const {
  MutexLock lock(&mutex_);
  return sync_failed_;
}

uint64_t OpenReplica::written() const {
  MutexLock lock(&mutex_);
  return written_;
}

uint64_t OpenReplica::visible() const {
  MutexLock lock(&mutex_);
  return visible_;
}

OpenReplica::Snapshot OpenReplica::Look() const {
  MutexLock lock(&mutex_);
  return {.written = written_, .visible = visible_, .tail = tail_};
}

}  // namespace dolmen::datanode
