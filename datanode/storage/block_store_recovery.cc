// Finalized replicas that are written again, block recovery, and prefixes of replicas. Crash states:
// docs/formats/replica-files.md.
//
// Order of disk steps:
// Files of which a sync failed are first written anew: a later sync of the same file may answer that all is well
// (C-18).
//
//   append     1 sync both files; 2 write the older slot with the new stamp and the length; 3 sync the checksum file;
//              4 rename data, then checksums, to being_written/; 5 sync both directories; 6 let the writer in
//   recovery   1 verify, cut to what verifies, sync (RecoverBeingWritten); 2 answer the freeze; 3 as append 1-3, with
//   the
//              length to cut to; 4 cut data and checksums; 5 sync both; 6 finalize as ever; 7 report
//   prefix     as a copy: written in temporary/, finalized from there
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "datanode/storage/block_store.h"
#include "datanode/storage/replica_recovery.h"

namespace dolmen::datanode {
namespace {

// Recoveries remembered of blocks that have no replica here (chosen): more than a namenode has under way at once.
constexpr size_t kMostFrozenAbsent = 16384;

absl::Status NotHere(BlockId block) {
  return MakeError(ErrorReason::kReplicaNotFound, absl::StrCat("no replica of ", block.ToString(), " is here"));
}
absl::Status BeingChanged(BlockId block) {
  return MakeError(ErrorReason::kBusy, absl::StrCat(block.ToString(), " is being changed; try again"));
}
absl::Status TakenBy(BlockId block, GenerationStamp recovery) {
  return MakeError(ErrorReason::kRecoveryInProgress,
                   absl::StrCat(block.ToString(), ": block recovery with ", recovery.ToString(),
                                " has taken the replica from its writer"));
}

// The disk may hold less than memory shows.
bool IsDiskError(const absl::Status& status) {
  const ErrorReason reason = ReasonOf(status);
  return reason == ErrorReason::kIo || reason == ErrorReason::kNoSpace;
}

absl::Status SyncBothDirectories(Volume& volume, BlockId block) {
  DOLMEN_RETURN_IF_ERROR(volume.fs().SyncDirectory(volume.DirectoryFor(ReplicaPlace::kBeingWritten, block)));
  return volume.fs().SyncDirectory(volume.DirectoryFor(ReplicaPlace::kFinalized, block));
}

}  // namespace

bool BlockStore::AllVolumesWork() const {
  if (slots_.size() < options_.directories.size()) return false;
  return std::none_of(slots_.begin(), slots_.end(), [](const auto& slot) { return slot->volume->failed(); });
}

void BlockStore::Settle(BlockId block, const std::function<void(Entry&, Volume&)>& change) {
  MutexLock lock(&mutex_);
  if (const std::optional<Place> found = Find(block); found.has_value()) change(*found->entry, *found->slot->volume);
}

absl::Status BlockStore::WriteAnew(Volume& volume, ReplicaPlace place, BlockId block) {
  FileSystem& fs = volume.fs();
  const std::string files[][2] = {
      {volume.DataPath(place, block), volume.DataPath(ReplicaPlace::kTemporary, block)},
      {volume.MetaPath(place, block), volume.MetaPath(ReplicaPlace::kTemporary, block)},
  };
  for (const auto& [path, scratch] : files) {
    const absl::Status removed = fs.RemoveFile(scratch);  // of an attempt that failed
    if (!removed.ok() && ReasonOf(removed) != ErrorReason::kFileNotFound) return removed;
    DOLMEN_RETURN_IF_ERROR(CopyFile(fs, path, scratch));
  }
  for (const auto& [path, scratch] : files) DOLMEN_RETURN_IF_ERROR(fs.Rename(scratch, path));
  return fs.SyncDirectory(volume.DirectoryFor(place, block));
}

// ---- append ------------------------------------------------------------------------------------------------------

absl::Status BlockStore::ReopenOnDisk(Volume& volume, const protocol::Block& block, StampedFiles* files,
                                      Whereabouts* where) {
  FileSystem& fs = volume.fs();
  const std::string data_from = volume.DataPath(ReplicaPlace::kFinalized, block.id);
  const std::string meta_from = volume.MetaPath(ReplicaPlace::kFinalized, block.id);
  const std::string data_to = volume.DataPath(ReplicaPlace::kBeingWritten, block.id);
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t size, fs.FileSize(data_from));
  if (size != block.length) {
    return MakeError(ErrorReason::kChecksum,
                     absl::StrCat(data_from, " has ", size, " bytes instead of ", block.length));
  }
  DOLMEN_ASSIGN_OR_RETURN(*files, Stamp(fs, data_from, meta_from, block));
  DOLMEN_FAULT_POINT("datanode.append.after_slot");
  DOLMEN_RETURN_IF_ERROR(fs.Rename(data_from, data_to));
  const auto rename_meta = [&]() -> absl::Status {
    DOLMEN_FAULT_POINT("datanode.append.after_first_rename");
    return fs.Rename(meta_from, volume.MetaPath(ReplicaPlace::kBeingWritten, block.id));
  };
  if (absl::Status renamed = rename_meta(); !renamed.ok()) {
    const absl::Status undone = fs.Rename(data_to, data_from);
    if (!undone.ok()) *where = Whereabouts::kApart;
    LogIfError(undone, "the halves are joined at the next start");
    return renamed;
  }
  *where = Whereabouts::kMoved;
  DOLMEN_FAULT_POINT("datanode.append.after_rename");
  DOLMEN_RETURN_IF_ERROR(SyncBothDirectories(volume, block.id));
  DOLMEN_FAULT_POINT("datanode.append.after_directory_sync");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ReplicaWriter>> BlockStore::ReopenReplica(const ReopenRequest& request) {
  const protocol::Block& block = request.block;
  DOLMEN_RETURN_IF_ERROR(NoteSeen(block));
  bool sync_failed;
  const uint64_t expected = request.expected_bytes == 0 ? kDefaultReservation : request.expected_bytes;
  const uint64_t reserved = expected - std::min(expected, block.length);
  Volume* volume;
  {
    MutexLock lock(&mutex_);
    const std::optional<Place> found = Find(block.id);
    if (!found.has_value()) return NotHere(block.id);
    Entry& entry = *found->entry;
    if (entry.frozen_by >= block.stamp) return TakenBy(block.id, entry.frozen_by);
    const std::string is = absl::StrCat(block.id.ToString(), ": the replica here ");
    switch (entry.state) {
      case State::kFinalized:
        break;
      case State::kCorrupt:
        return MakeError(ErrorReason::kChecksum, absl::StrCat(is, "is corrupt"));
      case State::kBeingWritten:
        return MakeError(ErrorReason::kAlreadyBeingCreated,
                         absl::StrCat(is, "is being written with ", entry.stamp.ToString()));
      case State::kTemporary:
        return NotHere(block.id);
      default:
        return BeingChanged(block.id);
    }
    if (entry.stamp != request.from || entry.stamp >= block.stamp) {
      return MakeError(ErrorReason::kStaleGenerationStamp,
                       absl::StrCat(is, "has ", entry.stamp.ToString(), ", to be appended to is ",
                                    request.from.ToString(), " with ", block.stamp.ToString()));
    }
    if (entry.length != block.length) {
      return MakeError(ErrorReason::kChecksum,
                       absl::StrCat(is, "has ", entry.length, " bytes, to be appended to are ", block.length));
    }
    volume = found->slot->volume.get();
    DOLMEN_RETURN_IF_ERROR(volume->Reserve(reserved), block.id.ToString());
    entry.state = State::kStamping;
    sync_failed = entry.sync_failed;
  }
  StampedFiles files;
  Whereabouts where = Whereabouts::kAsBefore;
  const auto reopen = [&]() -> absl::Status {
    if (sync_failed) DOLMEN_RETURN_IF_ERROR(WriteAnew(*volume, ReplicaPlace::kFinalized, block.id));
    return ReopenOnDisk(*volume, block, &files, &where);
  };
  const absl::Status reopened = reopen();
  if (!reopened.ok()) {
    volume->Unreserve(reserved);
    volume->NoteError(reopened);
    GenerationStamp stamp = request.from;
    if (where == Whereabouts::kAsBefore) {
      // The slot may have been written or not.
      const absl::StatusOr<ChecksumFileHeader> header =
          ReadChecksumHeader(volume->fs(), volume->MetaPath(ReplicaPlace::kFinalized, block.id), block.id);
      if (header.ok()) stamp = header->slots[static_cast<size_t>(header->WinningSlot())]->stamp;
    }
    Settle(block.id, [&](Entry& entry, Volume&) {
      entry.sync_failed = IsDiskError(reopened);
      if (where == Whereabouts::kMoved) {
        // It waits for recovery, as after a crash: no byte was added.
        entry.state = State::kBeingWritten;
        entry.stamp = block.stamp;
        entry.visible = entry.length;
        volume->RemoveReplica(entry.length);
        volume->AddReplica(0);
        return;
      }
      const bool whole = where == Whereabouts::kAsBefore && ReasonOf(reopened) != ErrorReason::kChecksum;
      entry.state = whole ? State::kFinalized : State::kCorrupt;
      entry.stamp = stamp;
    });
    return Annotate(reopened, absl::StrCat("reopening ", block.id.ToString()));
  }
  std::shared_ptr<OpenReplica> open = OpenReplica::Continue(volume, block, reserved, std::move(files));
  MutexLock lock(&mutex_);
  Entry& entry = SlotOf(volume->id())->index[block.id];
  entry.state = State::kBeingWritten;
  entry.stamp = block.stamp;
  entry.verified = false;
  entry.after_restart = false;
  entry.sync_failed = false;
  entry.open = open;
  volume->RemoveReplica(entry.length);
  volume->AddReplica(0);
  ++writers_;
  return std::unique_ptr<ReplicaWriter>(new ReplicaWriter(this, std::move(open)));
}

// ---- block recovery ----------------------------------------------------------------------------------------------

absl::Status BlockStore::BeginFreeze(BlockId block, GenerationStamp recovery) {
  MutexLock lock(&mutex_);
  const std::optional<Place> found = Find(block);
  if (!found.has_value() || found->entry->state == State::kTemporary) {
    const auto [known, is_new] = frozen_absent_.try_emplace(block, recovery);
    if (known->second > recovery) {
      return MakeError(ErrorReason::kStaleGenerationStamp,
                       absl::StrCat(block.ToString(), ": ", known->second.ToString(), " recovers it already"));
    }
    known->second = recovery;
    if (!is_new) return absl::OkStatus();
    frozen_absent_order_.push_back(block);
    if (frozen_absent_order_.size() > kMostFrozenAbsent) {
      frozen_absent_.erase(frozen_absent_order_.front());
      frozen_absent_order_.pop_front();
    }
    return absl::OkStatus();
  }
  Entry& entry = *found->entry;
  if (entry.stamp > recovery || entry.frozen_by > recovery) {
    return MakeError(
        ErrorReason::kStaleGenerationStamp,
        absl::StrCat(block.ToString(), ": the replica here has ", std::max(entry.stamp, entry.frozen_by).ToString(),
                     " already, its recovery is to be ", recovery.ToString()));
  }
  if (entry.state != State::kBeingWritten && entry.state != State::kFinalized && entry.state != State::kCorrupt) {
    return BeingChanged(block);
  }
  entry.frozen_by = recovery;
  if (entry.open != nullptr) entry.open->Fail(TakenBy(block, recovery));
  return absl::OkStatus();
}

absl::StatusOr<FrozenReplica> BlockStore::FinishFreeze(BlockId block) {
  std::shared_ptr<OpenReplica> open;
  Volume* volume;
  uint64_t written;  // all of it was acknowledged or may have been; after a restart that is not known
  bool sync_failed;
  {
    MutexLock lock(&mutex_);
    const std::optional<Place> found = Find(block);
    if (!found.has_value() || found->entry->state == State::kTemporary) {
      const auto absent = frozen_absent_.find(block);
      if (absent == frozen_absent_.end()) return NotHere(block);
      if (!AllVolumesWork()) {
        return MakeError(ErrorReason::kIo,
                         absl::StrCat(block.ToString(), ": a volume that is offline may hold the replica"));
      }
      return FrozenReplica{.replica = {.block = {.id = block, .stamp = absent->second},
                                       .state = protocol::ReplicaState::kDeleted,
                                       .frozen_by = absent->second}};
    }
    Entry& entry = *found->entry;
    volume = found->slot->volume.get();
    if (entry.frozen_by.is_none()) {
      return MakeError(ErrorReason::kReplicaNotFound, absl::StrCat(block.ToString(), " is not frozen"));
    }
    FrozenReplica frozen{.storage = volume->id(),
                         .replica = {.block = {.id = block, .stamp = entry.stamp, .length = entry.length},
                                     .frozen_by = entry.frozen_by}};
    switch (entry.state) {
      case State::kFinalized:
        frozen.replica.state = protocol::ReplicaState::kFinalized;
        return frozen;
      case State::kCorrupt:
        frozen.replica.state = protocol::ReplicaState::kCorrupt;
        return frozen;
      case State::kBeingWritten:
        frozen.replica.state = protocol::ReplicaState::kBeingWritten;
        frozen.replica.after_restart = entry.after_restart;
        frozen.replica.visible_length = std::min(entry.visible, entry.length);
        if (entry.verified) return frozen;
        break;
      default:
        return BeingChanged(block);
    }
    entry.state = State::kRecovering;
    if (entry.open != nullptr) LeaveWriter(&entry);
    open = std::exchange(entry.open, nullptr);
    written = entry.after_restart ? 0 : entry.length;
    sync_failed = entry.sync_failed;
  }
  uint64_t visible = 0;
  if (open != nullptr) {
    open->Stop(MakeError(ErrorReason::kRecoveryInProgress, "a block recovery took it"));
    // What was under way is done now.
    written = open->written();
    visible = open->visible();
    sync_failed = sync_failed || open->sync_failed();
  }
  const auto recover = [&]() -> absl::StatusOr<protocol::Block> {
    DOLMEN_FAULT_POINT("datanode.freeze.before_verify");
    if (sync_failed) DOLMEN_RETURN_IF_ERROR(WriteAnew(*volume, ReplicaPlace::kBeingWritten, block));
    DOLMEN_ASSIGN_OR_RETURN(
        const protocol::Block held,
        RecoverBeingWritten(volume->fs(), volume->DataPath(ReplicaPlace::kBeingWritten, block),
                            volume->MetaPath(ReplicaPlace::kBeingWritten, block), block, /*at_least=*/written));
    DOLMEN_RETURN_IF_ERROR(volume->fs().SyncDirectory(volume->DirectoryFor(ReplicaPlace::kBeingWritten, block)));
    return held;
  };
  const absl::StatusOr<protocol::Block> recovered = recover();
  const bool damaged = ReasonOf(recovered.status()) == ErrorReason::kDamaged;
  if (!recovered.ok() && !damaged) volume->NoteError(recovered.status());
  if (damaged) LogIfError(recovered.status(), "the replica is of no use to its recovery");
  std::optional<FrozenReplica> frozen;
  Settle(block, [&](Entry& entry, Volume& at) {
    entry.state = State::kBeingWritten;
    entry.sync_failed = IsDiskError(recovered.status());
    entry.visible = std::max(entry.visible, visible);
    if (recovered.ok()) {
      entry.stamp = recovered->stamp;
      entry.length = recovered->length;
      entry.verified = true;
    }
    frozen = FrozenReplica{
        .storage = at.id(),
        .replica = {.block = {.id = block, .stamp = entry.stamp, .length = entry.length},
                    .state = damaged ? protocol::ReplicaState::kCorrupt : protocol::ReplicaState::kBeingWritten,
                    .frozen_by = entry.frozen_by,
                    .after_restart = entry.after_restart,
                    .visible_length = std::min(entry.visible, entry.length)}};
  });
  if (!recovered.ok() && !damaged) return Annotate(recovered.status(), absl::StrCat("freezing ", block.ToString()));
  if (!frozen.has_value())
    return MakeError(ErrorReason::kIo, absl::StrCat(block.ToString(), ": its volume went offline meanwhile"));
  return *frozen;
}

absl::Status BlockStore::FinishOnDisk(Volume& volume, const protocol::Block& block, Whereabouts* where) {
  DOLMEN_RETURN_IF_ERROR(CutReplica(volume.fs(), volume.DataPath(ReplicaPlace::kBeingWritten, block.id),
                                    volume.MetaPath(ReplicaPlace::kBeingWritten, block.id), block));
  DOLMEN_RETURN_IF_ERROR(volume.EnsureFinalizedDirectory(block.id));
  DOLMEN_RETURN_IF_ERROR(RenameOne(volume, block.id, ReplicaPlace::kBeingWritten));
  *where = Whereabouts::kMoved;
  DOLMEN_FAULT_POINT("datanode.finish.after_rename");
  DOLMEN_RETURN_IF_ERROR(SyncBothDirectories(volume, block.id));
  DOLMEN_FAULT_POINT("datanode.finish.after_directory_sync");
  return absl::OkStatus();
}

absl::Status BlockStore::FinishRecovery(const protocol::Block& block) {
  DOLMEN_RETURN_IF_ERROR(NoteSeen(block));
  Volume* volume;
  bool was_finalized;
  bool sync_failed;
  {
    MutexLock lock(&mutex_);
    const std::optional<Place> found = Find(block.id);
    if (!found.has_value() || found->entry->state == State::kTemporary) return NotHere(block.id);
    Entry& entry = *found->entry;
    was_finalized = entry.state == State::kFinalized;
    if (was_finalized && entry.stamp == block.stamp && entry.length == block.length) return absl::OkStatus();
    if (entry.frozen_by != block.stamp) {
      return MakeError(ErrorReason::kRecoveryInProgress,
                       absl::StrCat(block.id.ToString(), " is not frozen by ", block.stamp.ToString()));
    }
    const bool fits = was_finalized ? entry.length == block.length : entry.length >= block.length;
    switch (entry.state) {
      case State::kFinalized:
        break;
      case State::kBeingWritten:
        if (entry.verified) break;
        return MakeError(ErrorReason::kRecoveryInProgress, absl::StrCat(block.id.ToString(), " must be frozen first"));
      case State::kCorrupt:
        return MakeError(ErrorReason::kChecksum, absl::StrCat(block.id.ToString(), ": the replica here is corrupt"));
      default:
        return BeingChanged(block.id);
    }
    if (!fits) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat(block.id.ToString(), ": the replica here has ", entry.length,
                                    " bytes, its recovery is to end with ", block.length));
    }
    volume = found->slot->volume.get();
    entry.state = was_finalized ? State::kStamping : State::kRecovering;
    sync_failed = entry.sync_failed;
  }
  Whereabouts where = Whereabouts::kAsBefore;
  const auto finish = [&]() -> absl::Status {
    const ReplicaPlace place = was_finalized ? ReplicaPlace::kFinalized : ReplicaPlace::kBeingWritten;
    if (sync_failed) DOLMEN_RETURN_IF_ERROR(WriteAnew(*volume, place, block.id));
    if (!was_finalized) return FinishOnDisk(*volume, block, &where);
    return Stamp(volume->fs(), volume->DataPath(place, block.id), volume->MetaPath(place, block.id), block).status();
  };
  const absl::Status finished = finish();
  if (!finished.ok()) volume->NoteError(finished);
  Settle(block.id, [&](Entry& entry, Volume& at) {
    entry.verified = false;  // what the disk holds now is not known, or of no interest any more
    entry.sync_failed = IsDiskError(finished);
    if (finished.ok()) {
      entry.state = State::kFinalized;
      entry.stamp = block.stamp;
      entry.after_restart = false;
    } else if (was_finalized) {
      entry.state = ReasonOf(finished) == ErrorReason::kChecksum ? State::kCorrupt : State::kFinalized;
    } else {
      // Its files are in finalized/, but whether they stay there is unknown: not served, and told to the namenode.
      entry.state = where == Whereabouts::kMoved ? State::kCorrupt : State::kBeingWritten;
      entry.length = std::min(entry.length, block.length);  // it may be cut already
    }
    if (!was_finalized && entry.state != State::kBeingWritten) {
      entry.length = block.length;
      at.RemoveReplica(0);
      at.AddReplica(block.length);
    }
  });
  return Annotate(finished, absl::StrCat("finishing the recovery of ", block.id.ToString()));
}

// ---- prefixes ----------------------------------------------------------------------------------------------------

absl::Status BlockStore::CopyPrefix(const protocol::Block& source, const protocol::Block& target) {
  {
    MutexLock lock(&mutex_);
    const std::optional<Place> found = Find(target.id);
    if (found.has_value() && found->entry->state == State::kFinalized && found->entry->stamp == target.stamp &&
        found->entry->length == target.length) {
      return absl::OkStatus();
    }
  }
  const std::string what = absl::StrCat("copying ", target.length, " bytes of ", source.id.ToString());
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<ReplicaReader> reader, OpenReader(source), what);
  if (!reader->finalized()) {
    return MakeError(ErrorReason::kNotReplicatedYet, absl::StrCat(what, ": it is still being written"));
  }
  if (reader->Length() < target.length) {
    return MakeError(ErrorReason::kIllegalArgument, absl::StrCat(what, ": it has ", reader->Length()));
  }
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<ReplicaWriter> writer,
                          CreateReplica({.block = target,
                                         .storage = reader->volume().id(),
                                         .is_copy = true,
                                         .expected_bytes = std::max<uint64_t>(target.length, 1)}),
                          what);
  for (uint64_t offset = 0; offset < target.length;) {
    DOLMEN_ASSIGN_OR_RETURN(protocol::ReadChunk chunk,
                            reader->Read(offset, std::min<uint64_t>(target.length - offset, protocol::kMaxPacketBytes),
                                         ReplicaReader::Check::kVerify),
                            what);
    if (chunk.offset + chunk.payload.size() > target.length) {  // the last chunk as a whole matched: now its front
      chunk.payload.RemoveSuffix(chunk.offset + chunk.payload.size() - target.length);
      const uint64_t partial = target.length % kBytesPerChecksum;
      const std::string tail(chunk.payload.Subcord(chunk.payload.size() - partial, partial));
      chunk.checksums.resize(ChecksumBytesFor(chunk.payload.size() - partial));
      AppendChunkChecksums(std::string_view(tail), &chunk.checksums);
    }
    const protocol::Packet packet{
        .offset = offset, .checksums = std::move(chunk.checksums), .payload = std::move(chunk.payload)};
    offset = packet.EndOffset();
    DOLMEN_RETURN_IF_ERROR(writer->Write(packet), what);
  }
  DOLMEN_FAULT_POINT("datanode.copy_prefix.before_finalize");
  ReplicaWriter* const one = writer.get();
  return FinalizeGroup({&one, 1}, /*durable=*/true)[0];
}

}  // namespace dolmen::datanode
