#include "datanode/storage/block_store.h"

#include <algorithm>
#include <set>

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
  absl::StatusOr<std::unique_ptr<File>> data =
      volume->fs().Open(volume->DataPath(ReplicaPlace::kFinalized, block.id), OpenMode::kRead);
  absl::StatusOr<std::unique_ptr<File>> meta =
      volume->fs().Open(volume->MetaPath(ReplicaPlace::kFinalized, block.id), OpenMode::kRead);
  if (data.ok() && meta.ok())
    return std::make_unique<ReplicaReader>(volume, &pool_, found, *std::move(data), *std::move(meta));
  const absl::Status error = data.ok() ? meta.status() : data.status();
  volume->NoteError(error);
  if (ReasonOf(error) != ErrorReason::kFileNotFound) return error;
  // Deleted between the look-up and here, or (F-076) by other hands.
  MutexLock lock(&mutex_);
  DOLMEN_ASSIGN_OR_RETURN(const Place place, FindReadable(block));
  if (place.entry->state == State::kFinalized && place.slot->volume.get() == volume)
    place.entry->state = State::kCorrupt;
  return MakeError(ErrorReason::kChecksum, absl::StrCat(block.id.ToString(), ": files are missing: ", error.message()));
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

absl::StatusOr<VerifyOutcome> BlockStore::Verify(const protocol::Block& block) {
  const absl::StatusOr<std::unique_ptr<ReplicaReader>> opened = OpenReader(block);
  if (ReasonOf(opened.status()) == ErrorReason::kChecksum) return VerifyOutcome::kCorrupt;  // known already
  if (!opened.ok()) return opened.status();
  ReplicaReader* const reader = opened->get();
  const uint64_t length = reader->Length();
  absl::Status read;
  for (uint64_t offset = 0; read.ok() && offset < length;) {
    const absl::StatusOr<protocol::ReadChunk> chunk =
        reader->Read(offset, protocol::kMaxPacketBytes, ReplicaReader::Check::kVerify);
    read = chunk.status();
    if (chunk.ok()) offset += chunk->payload.size();
  }
  if (read.ok()) return VerifyOutcome::kGood;
  if (ReasonOf(read) != ErrorReason::kChecksum) return read;
  LogIfError(read, "the replica is reported as corrupt");
  MutexLock lock(&mutex_);
  const absl::StatusOr<Place> place = FindReadable(block);
  if (place.ok() && place->entry->state == State::kFinalized) place->entry->state = State::kCorrupt;
  return VerifyOutcome::kCorrupt;
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
  trash_.emplace(now, TrashKey{&volume, {block, stamp}});
  return absl::OkStatus();
}

absl::Status BlockStore::Delete(const protocol::Block& block, MonotonicTime now) {
  Volume* volume;
  ReplicaPlace from;
  std::shared_ptr<OpenReplica> open;
  uint64_t length;
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
    switch (entry.state) {
      case State::kFinalized:
      case State::kCorrupt:
        from = ReplicaPlace::kFinalized;
        break;
      case State::kBeingWritten:
        from = ReplicaPlace::kBeingWritten;
        break;
      default:
        return MakeError(ErrorReason::kBusy, absl::StrCat(block.id.ToString(), " is being changed; try again"));
    }
    length = entry.state == State::kBeingWritten ? 0 : entry.length;
    entry.state = State::kDeleting;
    open = std::move(entry.open);
    entry.open = nullptr;
    volume = found->slot->volume.get();
  }
  if (open) open->Fail(MakeError(ErrorReason::kReplicaNotFound, absl::StrCat(block.id.ToString(), " was deleted")));
  const absl::Status moved = MoveToTrash(*volume, from, block.id, block.stamp, now);
  if (!moved.ok()) volume->NoteError(moved);
  MutexLock lock(&mutex_);
  SlotOf(volume->id())->index.erase(block.id);
  volume->RemoveReplica(length);
  // Even after an error it is not served any more: what is left on the disk is sorted out at the next start.
  return moved.ok() ? moved : Annotate(moved, absl::StrCat("deleting ", block.id.ToString()));
}

absl::StatusOr<size_t> BlockStore::PurgeTrash(MonotonicTime now, size_t limit) {
  std::set<const Volume*> short_of_space;
  for (const auto& slot : slots_) {
    if (slot->volume->IsShortOfSpace()) short_of_space.insert(slot->volume.get());
  }
  std::vector<TrashKey> due;
  {
    MutexLock lock(&mutex_);
    for (auto oldest = trash_.begin(); oldest != trash_.end() && due.size() < limit;) {
      const bool grace_is_over = oldest->first + options_.trash_grace <= now;
      if (!grace_is_over && short_of_space.empty()) break;
      const bool is_due = grace_is_over || short_of_space.contains(oldest->second.volume);
      if (is_due) due.push_back(oldest->second);
      oldest = is_due ? trash_.erase(oldest) : std::next(oldest);
    }
  }
  const Volume* synced = nullptr;
  for (const TrashKey& key : due) {
    Volume& volume = *key.volume;
    if (volume.failed()) continue;
    // Both names must be in trash/ for good before one of them goes, or half a replica could come back.
    if (synced != &volume) DOLMEN_RETURN_IF_ERROR(volume.fs().SyncDirectory(volume.TrashDirectory()));
    synced = &volume;
    for (const bool is_meta : {false, true}) {
      const absl::Status removed =
          volume.fs().RemoveFile(volume.TrashPath(key.replica.block, key.replica.stamp, is_meta));
      if (removed.ok() || ReasonOf(removed) == ErrorReason::kFileNotFound) continue;
      volume.NoteError(removed);
      return removed;
    }
  }
  return due.size();
}

size_t BlockStore::trash_size() const {
  MutexLock lock(&mutex_);
  return trash_.size();
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
  for (const auto& slot : slots_) slot->volume->RefreshSpace();
}

void BlockStore::RefreshSpace(const StorageId& storage) {
  if (VolumeSlot* slot = SlotOf(storage)) slot->volume->RefreshSpace();
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
