#include "datanode/storage/block_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "datanode/storage/replica_recovery.h"

namespace dolmen::datanode {
namespace {

// Reserved when the writer does not say how long the block may become (HDFS's default block).
constexpr uint64_t kDefaultReservation = 128 << 20;

}  // namespace

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
    if (entry.state == State::kBeingWritten && !discard) {
      entry.length = replica.written();
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

absl::StatusOr<BlockStore::Place> BlockStore::FindReadable(const protocol::Block& block) {
  const std::optional<Place> found = Find(block.id);
  if (!found.has_value() || found->entry->state == State::kCreating || found->entry->state == State::kDeleting ||
      found->entry->state == State::kTemporary) {
    return MakeError(ErrorReason::kReplicaNotFound, absl::StrCat("no replica of ", block.id.ToString(), " is here"));
  }
  const Entry& entry = *found->entry;
  if (entry.stamp != block.stamp) {
    return MakeError(ErrorReason::kStaleGenerationStamp,
                     absl::StrCat(block.id.ToString(), ": the replica here has ", entry.stamp.ToString(),
                                  ", asked for ", block.stamp.ToString()));
  }
  if (entry.state == State::kCorrupt) {
    return MakeError(ErrorReason::kChecksum, absl::StrCat(block.id.ToString(), ": the replica here is corrupt"));
  }
  if (entry.state == State::kFinalizing && entry.open->place() == ReplicaPlace::kTemporary) {
    return MakeError(ErrorReason::kReplicaNotFound,
                     absl::StrCat("no replica of ", block.id.ToString(), " is here yet"));
  }
  if (entry.state == State::kBeingWritten && entry.open == nullptr) {
    return MakeError(ErrorReason::kNotReplicatedYet,
                     absl::StrCat(block.id.ToString(), ": the replica here lost its writer and waits for recovery"));
  }
  return *found;
}

absl::StatusOr<std::unique_ptr<ReplicaReader>> BlockStore::OpenReader(const protocol::Block& block) {
  protocol::Block found;
  Volume* volume;
  {
    MutexLock lock(&mutex_);
    DOLMEN_ASSIGN_OR_RETURN(const Place place, FindReadable(block));
    if (place.entry->open != nullptr) return std::make_unique<ReplicaReader>(&pool_, place.entry->open);
    found = {.id = block.id, .stamp = place.entry->stamp, .length = place.entry->length};
    volume = place.slot->volume.get();
  }
  return OpenFinalized(found, volume);
}

absl::StatusOr<std::unique_ptr<ReplicaReader>> BlockStore::OpenFinalized(const protocol::Block& found, Volume* volume) {
  absl::StatusOr<std::unique_ptr<File>> data =
      volume->fs().Open(volume->DataPath(ReplicaPlace::kFinalized, found.id), OpenMode::kRead);
  absl::StatusOr<std::unique_ptr<File>> meta =
      volume->fs().Open(volume->MetaPath(ReplicaPlace::kFinalized, found.id), OpenMode::kRead);
  if (data.ok() && meta.ok())
    return std::make_unique<ReplicaReader>(volume, &pool_, found, *std::move(data), *std::move(meta));
  const absl::Status error = data.ok() ? meta.status() : data.status();
  volume->NoteError(error);
  if (ReasonOf(error) != ErrorReason::kFileNotFound) return error;
  // Deleted between the look-up and here, or (F-076) by other hands.
  MutexLock lock(&mutex_);
  DOLMEN_ASSIGN_OR_RETURN(const Place place, FindReadable(found));
  if (place.entry->state == State::kFinalized && place.slot->volume.get() == volume)
    place.entry->state = State::kCorrupt;
  return MakeError(ErrorReason::kChecksum, absl::StrCat(found.id.ToString(), ": files are missing: ", error.message()));
}

absl::StatusOr<uint64_t> BlockStore::VisibleLength(const protocol::Block& block) {
  MutexLock lock(&mutex_);
  DOLMEN_ASSIGN_OR_RETURN(const Place place, FindReadable(block));
  return place.entry->open != nullptr ? place.entry->open->visible() : place.entry->length;
}

std::optional<StorageId> BlockStore::StorageOf(BlockId block) const {
  MutexLock lock(&mutex_);
  for (const auto& slot : slots_) {
    if (!slot->volume->failed() && slot->index.contains(block)) return slot->volume->id();
  }
  return std::nullopt;
}

absl::StatusOr<Verified> BlockStore::Verify(const protocol::Block& block) {
  protocol::Block found;
  Volume* volume;
  {
    MutexLock lock(&mutex_);
    const absl::StatusOr<Place> readable = FindReadable(block);
    const bool known_corrupt = ReasonOf(readable.status()) == ErrorReason::kChecksum;
    if (!readable.ok() && !known_corrupt) return readable.status();
    const Place place = *Find(block.id);
    found = {.id = block.id, .stamp = place.entry->stamp, .length = place.entry->length};
    if (known_corrupt) return Verified{VerifyOutcome::kCorrupt, found};
    if (place.entry->state != State::kFinalized) {
      return MakeError(ErrorReason::kNotReplicatedYet,
                       absl::StrCat(block.id.ToString(), " is still being written; verify it when it is finalized"));
    }
    volume = place.slot->volume.get();
  }
  const absl::StatusOr<std::unique_ptr<ReplicaReader>> reader = OpenFinalized(found, volume);
  absl::Status read = reader.status();
  for (uint64_t offset = 0; read.ok() && offset < found.length;) {
    const absl::StatusOr<protocol::ReadChunk> chunk =
        (*reader)->Read(offset, protocol::kMaxPacketBytes, ReplicaReader::Check::kVerify);
    read = chunk.status();
    if (chunk.ok()) offset += chunk->payload.size();
  }
  if (!read.ok() && ReasonOf(read) != ErrorReason::kChecksum) return read;
  LogIfError(read, "the replica is reported as corrupt");
  MutexLock lock(&mutex_);
  // A replica whose deletion was ordered meanwhile is vouched for no more.
  const absl::StatusOr<Place> place = FindReadable(found);
  if (!place.ok() && ReasonOf(place.status()) != ErrorReason::kChecksum) return place.status();
  if (!read.ok() && place.ok() && place->entry->state == State::kFinalized) place->entry->state = State::kCorrupt;
  return Verified{read.ok() && place.ok() ? VerifyOutcome::kGood : VerifyOutcome::kCorrupt, found};
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
    if (entry.open != nullptr) entry.length = entry.open->written();
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
      case State::kFinalized:
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
