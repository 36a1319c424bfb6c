#include "datanode/storage/block_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "datanode/storage/replica_recovery.h"

namespace dolmen::datanode {

void RunOneByOne(std::vector<std::function<void()>> tasks) {
  for (const std::function<void()>& task : tasks) task();
}

ReplicaWriter::~ReplicaWriter() { store_->CloseWriter(this, /*discard=*/false); }

protocol::Block ReplicaWriter::block() const {
  return {.id = replica_->block(), .stamp = replica_->stamp(), .length = replica_->written()};
}

void ReplicaWriter::Discard() { store_->CloseWriter(this, /*discard=*/true); }

BlockStore::BlockStore(const BlockStoreOptions& options)
    : options_(options), pool_(protocol::kMaxPacketBytes, options.pooled_buffers) {}

std::optional<BlockStore::Place> BlockStore::Find(BlockId block) {
  for (const auto& slot : slots_) {
    if (slot->volume->failed()) continue;
    const auto found = slot->index.find(block);
    if (found != slot->index.end()) return Place{slot.get(), &found->second};
  }
  return std::nullopt;
}

BlockStore::VolumeSlot* BlockStore::SlotOf(const StorageId& storage) const {
  for (const auto& slot : slots_) {
    if (slot->volume->id() == storage) return slot.get();
  }
  return nullptr;
}

Volume* BlockStore::ChooseVolume(const StorageId& wanted) const {
  Volume* best = nullptr;
  for (const auto& slot : slots_) {
    Volume* volume = slot->volume.get();
    if (volume->failed()) continue;
    if (volume->id() == wanted) return volume;
    if (best == nullptr || volume->RemainingBytes() > best->RemainingBytes()) best = volume;
  }
  return best;
}

absl::StatusOr<std::unique_ptr<ReplicaWriter>> BlockStore::CreateReplica(const CreateRequest& request) {
  const protocol::Block& block = request.block;
  DOLMEN_RETURN_IF_ERROR(NoteSeen(block));
  Volume* volume = ChooseVolume(request.storage);
  if (volume == nullptr) return MakeError(ErrorReason::kIo, "all volumes are offline; replace the disks and restart");
  const uint64_t reserved = request.expected_bytes == 0 ? kDefaultReservation : request.expected_bytes;
  {
    MutexLock lock(&mutex_);
    if (const std::optional<Place> found = Find(block.id); found.has_value()) {
      const Entry& entry = *found->entry;
      const std::string text = absl::StrCat(block.id.ToString(), ": a replica with ", entry.stamp.ToString(), " is in ",
                                            found->slot->volume->directory(), " already");
      if (entry.state == State::kDeleting) return MakeError(ErrorReason::kBusy, absl::StrCat(text, ", being deleted"));
      if (entry.stamp > block.stamp) return MakeError(ErrorReason::kStaleGenerationStamp, text);
      return MakeError(ErrorReason::kFileAlreadyExists, text);
    }
    if (const auto frozen = frozen_absent_.find(block.id);
        frozen != frozen_absent_.end() && frozen->second > block.stamp) {
      return MakeError(ErrorReason::kRecoveryInProgress, absl::StrCat(block.id.ToString(), ": block recovery with ",
                                                                      frozen->second.ToString(), " is under way"));
    }
    DOLMEN_RETURN_IF_ERROR(volume->Reserve(reserved), block.id.ToString());
    SlotOf(volume->id())->index[block.id] = Entry{.stamp = block.stamp};
  }
  absl::StatusOr<std::shared_ptr<OpenReplica>> replica =
      OpenReplica::Create(volume, block.id, block.stamp,
                          request.is_copy ? ReplicaPlace::kTemporary : ReplicaPlace::kBeingWritten, reserved);
  if (!replica.ok()) {
    volume->Unreserve(reserved);
    volume->NoteError(replica.status());
    MutexLock lock(&mutex_);
    SlotOf(volume->id())->index.erase(block.id);
    return Annotate(replica.status(), absl::StrCat("creating ", block.id.ToString()));
  }
  MutexLock lock(&mutex_);
  Entry& entry = SlotOf(volume->id())->index[block.id];
  entry.state = request.is_copy ? State::kTemporary : State::kBeingWritten;
  entry.open = *replica;
  volume->AddReplica(0);
  ++writers_;
  return std::unique_ptr<ReplicaWriter>(new ReplicaWriter(this, *std::move(replica)));
}

// Forgets the replica if it is still this one.
void BlockStore::EraseOpen(const OpenReplica& replica) {
  MutexLock lock(&mutex_);
  Index& index = SlotOf(replica.volume().id())->index;
  const auto found = index.find(replica.block());
  if (found == index.end() || found->second.open.get() != &replica) return;
  index.erase(found);
  replica.volume().RemoveReplica(0);
}

void BlockStore::LeaveWriter(Entry* entry) {
  entry->length = entry->open->written();
  entry->visible = entry->open->visible();
  entry->sync_failed = entry->sync_failed || entry->open->sync_failed();
}

void BlockStore::CloseWriter(ReplicaWriter* writer, bool discard) {
  OpenReplica& replica = *writer->replica_;
  Volume& volume = replica.volume();
  {
    MutexLock lock(&mutex_);
    if (writer->done_) return;
    writer->done_ = true;
    --writers_;
    Index& index = SlotOf(volume.id())->index;
    const auto found = index.find(replica.block());
    if (found == index.end() || found->second.open.get() != &replica) return;  // deleted meanwhile
    Entry& entry = found->second;
    if (entry.state == State::kBeingWritten && (!discard || replica.reopened())) {
      LeaveWriter(&entry);
      entry.open = nullptr;
      return;
    }
    if (entry.state != State::kBeingWritten && entry.state != State::kTemporary) return;
    entry.state = State::kDeleting;  // nobody else touches the files while they go
  }
  replica.Fail(MakeError(ErrorReason::kCancelled, absl::StrCat(replica.block().ToString(), " was given up")));
  const std::string why = "a leftover is found at the next start";
  LogIfError(volume.fs().RemoveFile(volume.DataPath(replica.place(), replica.block())), why);
  LogIfError(volume.fs().RemoveFile(volume.MetaPath(replica.place(), replica.block())), why);
  EraseOpen(replica);
}

std::optional<StorageId> BlockStore::StorageOf(BlockId block) const {
  MutexLock lock(&mutex_);
  for (const auto& slot : slots_) {
    if (!slot->volume->failed() && slot->index.contains(block)) return slot->volume->id();
  }
  return std::nullopt;
}

absl::Status BlockStore::MoveToTrash(Volume& volume, ReplicaPlace place, BlockId block, GenerationStamp stamp,
                                     MonotonicTime now) {
  // A crash between the two leaves the halves apart; the next start brings them together in trash/. A file that is
  // missing already (F-076) is no obstacle.
  const auto move = [&](const std::string& from, bool is_meta) {
    absl::Status moved = volume.fs().Rename(from, volume.TrashPath(block, stamp, is_meta));
    return ReasonOf(moved) == ErrorReason::kFileNotFound ? absl::OkStatus() : moved;
  };
  DOLMEN_RETURN_IF_ERROR(move(volume.DataPath(place, block), false));
  DOLMEN_FAULT_POINT("datanode.delete.after_first_rename");
  DOLMEN_RETURN_IF_ERROR(move(volume.MetaPath(place, block), true));
  MutexLock lock(&mutex_);
  SlotOf(volume.id())->trash.emplace(now, TrashedReplica{block, stamp});
  return absl::OkStatus();
}

absl::Status BlockStore::BeginDelete(const protocol::Block& block) {
  std::shared_ptr<OpenReplica> open;
  {
    MutexLock lock(&mutex_);
    const std::optional<Place> found = Find(block.id);
    if (!found.has_value()) {
      return MakeError(ErrorReason::kReplicaNotFound, absl::StrCat("no replica of ", block.id.ToString(), " is here"));
    }
    Entry& entry = *found->entry;
    if (entry.stamp != block.stamp) {
      return MakeError(ErrorReason::kStaleGenerationStamp,
                       absl::StrCat(block.id.ToString(), ": the replica here has ", entry.stamp.ToString(),
                                    ", told to delete ", block.stamp.ToString()));
    }
    if (entry.state != State::kFinalized && entry.state != State::kCorrupt && entry.state != State::kBeingWritten) {
      return MakeError(ErrorReason::kBusy, absl::StrCat(block.id.ToString(), " is being changed; try again"));
    }
    entry.before_delete = entry.state;
    entry.state = State::kDeleting;
    if (entry.open != nullptr) LeaveWriter(&entry);
    open = std::exchange(entry.open, nullptr);
  }
  if (open) open->Fail(MakeError(ErrorReason::kReplicaNotFound, absl::StrCat(block.id.ToString(), " was deleted")));
  return absl::OkStatus();
}

void BlockStore::CancelDelete(const protocol::Block& block) {
  MutexLock lock(&mutex_);
  const std::optional<Place> found = Find(block.id);
  if (found.has_value() && found->entry->state == State::kDeleting) found->entry->state = found->entry->before_delete;
}

absl::Status BlockStore::FinishDelete(const protocol::Block& block, MonotonicTime now) {
  Volume* volume;
  bool being_written;
  uint64_t length;
  {
    MutexLock lock(&mutex_);
    const std::optional<Place> found = Find(block.id);
    if (!found.has_value() || found->entry->state != State::kDeleting) {
      return MakeError(ErrorReason::kIo, absl::StrCat(block.id.ToString(), ": its volume went offline meanwhile"));
    }
    volume = found->slot->volume.get();
    being_written = found->entry->before_delete == State::kBeingWritten;
    length = being_written ? 0 : found->entry->length;
  }
  const ReplicaPlace from = being_written ? ReplicaPlace::kBeingWritten : ReplicaPlace::kFinalized;
  const absl::Status moved = MoveToTrash(*volume, from, block.id, block.stamp, now);
  if (!moved.ok()) volume->NoteError(moved);
  MutexLock lock(&mutex_);
  SlotOf(volume->id())->index.erase(block.id);
  volume->RemoveReplica(length);
  // Even after an error it is not served any more: what is left on the disk is sorted out at the next start.
  return moved.ok() ? moved : Annotate(moved, absl::StrCat("deleting ", block.id.ToString()));
}

absl::Status BlockStore::Delete(const protocol::Block& block, MonotonicTime now) {
  DOLMEN_RETURN_IF_ERROR(BeginDelete(block));
  return FinishDelete(block, now);
}

absl::StatusOr<size_t> BlockStore::PurgeTrash(const StorageId& storage, MonotonicTime now, size_t limit) {
  VolumeSlot* const slot = SlotOf(storage);
  if (slot == nullptr || slot->volume->failed()) return 0;
  Volume& volume = *slot->volume;
  const bool short_of_space = volume.IsShortOfSpace();
  std::vector<std::pair<MonotonicTime, TrashedReplica>> due;
  {
    MutexLock lock(&mutex_);
    while (!slot->trash.empty() && due.size() < limit) {
      const auto oldest = slot->trash.begin();
      if (oldest->first + options_.trash_grace > now && !short_of_space) break;
      due.push_back(*oldest);
      slot->trash.erase(oldest);
    }
  }
  if (due.empty()) return 0;
  // Both names must be in trash/ for good before one of them goes, or half a replica could come back.
  absl::Status failure = volume.fs().SyncDirectory(volume.TrashDirectory());
  if (!failure.ok()) volume.NoteError(failure);
  const bool synced = failure.ok();
  std::vector<std::pair<MonotonicTime, TrashedReplica>> left;
  for (const auto& [since, replica] : due) {
    bool gone = synced && !volume.failed();
    for (const bool is_meta : {false, true}) {
      if (!gone) break;
      const absl::Status removed = volume.fs().RemoveFile(volume.TrashPath(replica.block, replica.stamp, is_meta));
      if (removed.ok() || ReasonOf(removed) == ErrorReason::kFileNotFound) continue;
      volume.NoteError(removed);
      failure = removed;
      gone = false;
    }
    if (!gone) left.emplace_back(since, replica);
  }
  if (left.empty()) return due.size();
  MutexLock lock(&mutex_);
  slot->trash.insert(left.begin(), left.end());
  return failure.ok() ? absl::StatusOr<size_t>(due.size() - left.size()) : failure;
}

size_t BlockStore::trash_size() const {
  MutexLock lock(&mutex_);
  size_t size = 0;
  for (const auto& slot : slots_) size += slot->trash.size();
  return size;
}

std::vector<protocol::ReportedReplica> BlockStore::ListRange(const StorageId& storage, BlockId first,
                                                             size_t limit) const {
  std::vector<protocol::ReportedReplica> listed;
  MutexLock lock(&mutex_);
  const VolumeSlot* slot = SlotOf(storage);
  if (slot == nullptr || slot->volume->failed()) return listed;
  for (auto it = slot->index.lower_bound(first); it != slot->index.end() && listed.size() < limit; ++it) {
    const Entry& entry = it->second;
    protocol::ReplicaState state = protocol::ReplicaState::kBeingWritten;
    switch (entry.state) {
      case State::kCreating:
      case State::kTemporary:
      case State::kDeleting:
        continue;
      case State::kFinalizing:
        if (entry.open->place() == ReplicaPlace::kTemporary) continue;
        break;
      case State::kBeingWritten:
        break;
      case State::kRecovering:
        break;
      case State::kFinalized:
      case State::kStamping:
        state = protocol::ReplicaState::kFinalized;
        break;
      case State::kCorrupt:
        state = protocol::ReplicaState::kCorrupt;
        break;
    }
    const uint64_t length = entry.open != nullptr ? entry.open->written() : entry.length;
    listed.push_back({.block = {.id = it->first, .stamp = entry.stamp, .length = length}, .state = state});
  }
  return listed;
}

std::vector<protocol::StorageReport> BlockStore::StorageReports() const {
  std::vector<protocol::StorageReport> reports;
  for (const auto& slot : slots_) reports.push_back(slot->volume->Report());
  return reports;
}

void BlockStore::RefreshSpace() {
  for (const auto& slot : slots_) RefreshSpace(slot->volume->id());
}

void BlockStore::RefreshSpace(const StorageId& storage) {
  const VolumeSlot* slot = SlotOf(storage);
  if (slot == nullptr) return;
  slot->volume->RefreshSpace();
  if (!slot->volume->ShouldWriteIdentityAgain()) return;
  MutexLock one_write(&identity_write_mutex_);
  LogIfError(WriteIdentity(slot->volume.get(), identity()), "tried again when space is back");
}

void BlockStore::FailVolume(const StorageId& storage, std::string_view reason) {
  if (VolumeSlot* slot = SlotOf(storage)) slot->volume->Fail(reason);
}

bool BlockStore::IsOnline(const StorageId& storage) const {
  const VolumeSlot* slot = SlotOf(storage);
  return slot != nullptr && !slot->volume->failed();
}

size_t BlockStore::open_writers() const {
  MutexLock lock(&mutex_);
  return writers_;
}

}  // namespace dolmen::datanode
