// What readers are given of the replicas here.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "datanode/storage/block_file_format.h"
#include "datanode/storage/block_store.h"

namespace dolmen::datanode {

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
  if (entry.state == State::kRecovering || (entry.state == State::kBeingWritten && entry.open == nullptr)) {
    return MakeError(ErrorReason::kNotReplicatedYet,
                     absl::StrCat(block.id.ToString(), ": the replica here lost its writer and waits for recovery"));
  }
  return *found;
}

// Readers may ask for more than exactly what is here. The bytes they ask for were committed, or shown by a datanode of
// the pipeline, so that
//   - a replica with a higher stamp has them: appends and recoveries leave them as they are;
//   - one that lost its writer has them, but nobody may add to what is shown.
absl::StatusOr<BlockStore::Shown> BlockStore::FindShown(const protocol::Block& block) {
  const std::optional<Place> found = Find(block.id);
  if (found.has_value()) {
    const Entry& entry = *found->entry;
    const bool whole = entry.state == State::kFinalized || entry.state == State::kStamping;
    const bool being_written = entry.state == State::kBeingWritten;
    if (being_written && entry.open == nullptr && entry.stamp >= block.stamp) {
      const uint64_t shown = std::max(block.length, entry.visible);
      if (shown > 0 && entry.length >= shown) return Shown{*found, shown};
    }
    const bool is_open = entry.open != nullptr && entry.open->place() == ReplicaPlace::kBeingWritten &&
                         (being_written || entry.state == State::kFinalizing);
    const bool has_more = whole ? entry.length >= block.length : is_open;
    if (has_more && entry.stamp > block.stamp) return Shown{*found, std::nullopt};
  }
  DOLMEN_ASSIGN_OR_RETURN(const Place place, FindReadable(block));
  return Shown{place, std::nullopt};
}

absl::StatusOr<std::unique_ptr<ReplicaReader>> BlockStore::OpenReader(const protocol::Block& block) {
  protocol::Block found;
  Volume* volume;
  bool is_front;
  {
    MutexLock lock(&mutex_);
    DOLMEN_ASSIGN_OR_RETURN(const Shown shown, FindShown(block));
    const Entry& entry = *shown.place.entry;
    if (entry.open != nullptr) return std::make_unique<ReplicaReader>(&pool_, entry.open);
    is_front = shown.front.has_value();
    found = {.id = block.id, .stamp = entry.stamp, .length = shown.front.value_or(entry.length)};
    volume = shown.place.slot->volume.get();
  }
  return is_front ? OpenFront(found, volume) : OpenFinalized(found, volume);
}

absl::StatusOr<std::unique_ptr<ReplicaReader>> BlockStore::OpenFront(const protocol::Block& front, Volume* volume) {
  const auto not_now = [&] {
    return MakeError(ErrorReason::kNotReplicatedYet,
                     absl::StrCat(front.id.ToString(), ": the replica here lost its writer and is being recovered"));
  };
  absl::StatusOr<std::unique_ptr<File>> data =
      volume->fs().Open(volume->DataPath(ReplicaPlace::kBeingWritten, front.id), OpenMode::kRead);
  absl::StatusOr<std::unique_ptr<File>> meta =
      volume->fs().Open(volume->MetaPath(ReplicaPlace::kBeingWritten, front.id), OpenMode::kRead);
  for (const absl::Status& opened : {data.status(), meta.status()}) {
    if (ReasonOf(opened) == ErrorReason::kFileNotFound) return not_now();
    if (opened.ok()) continue;
    volume->NoteError(opened);
    return opened;
  }
  std::optional<std::string> last_crc;
  if (const uint64_t partial = front.length % kBytesPerChecksum; partial != 0) {
    // Its stored CRC may cover more than is shown.
    std::string chunk(kBytesPerChecksum, '\0');
    std::string crc(4, '\0');
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, (*data)->ReadAt(ChunkStart(front.length), chunk));
    DOLMEN_ASSIGN_OR_RETURN(const size_t got_crc,
                            (*meta)->ReadAt(ChunkCrcOffset(front.length / kBytesPerChecksum), crc));
    chunk.resize(got);
    if (got < partial || got_crc != crc.size() || Crc32c(chunk) != LoadChunkCrc(crc.data())) return not_now();
    last_crc = EncodeChunkCrc(Crc32c(std::string_view(chunk).substr(0, partial)));
  }
  return std::make_unique<ReplicaReader>(volume, &pool_, front, *std::move(data), *std::move(meta),
                                         std::move(last_crc));
}

absl::StatusOr<std::unique_ptr<ReplicaReader>> BlockStore::OpenFinalized(const protocol::Block& found, Volume* volume) {
  absl::StatusOr<std::unique_ptr<File>> data =
      volume->fs().Open(volume->DataPath(ReplicaPlace::kFinalized, found.id), OpenMode::kRead);
  absl::StatusOr<std::unique_ptr<File>> meta =
      volume->fs().Open(volume->MetaPath(ReplicaPlace::kFinalized, found.id), OpenMode::kRead);
  const auto is_still_whole = [&](const Place& place) {
    return (place.entry->state == State::kFinalized || place.entry->state == State::kStamping) &&
           place.slot->volume.get() == volume;
  };
  if (data.ok() && meta.ok()) {
    std::optional<std::string> last_crc;
    if (found.length % kBytesPerChecksum != 0) {
      last_crc.emplace(4, '\0');
      const absl::StatusOr<size_t> got =
          (*meta)->ReadAt(ChunkCrcOffset(found.length / kBytesPerChecksum), std::span<char>(*last_crc));
      if (!got.ok()) {
        volume->NoteError(got.status());
        return got.status();
      }
      if (*got != last_crc->size()) last_crc.reset();  // too short: the read that comes to it says so
      // An append may have rewritten it since the look-up.
      MutexLock lock(&mutex_);
      DOLMEN_ASSIGN_OR_RETURN(const Place place, FindReadable(found));
      if (!is_still_whole(place)) {
        return MakeError(ErrorReason::kNotReplicatedYet, absl::StrCat(found.id.ToString(), " is being reopened"));
      }
    }
    return std::make_unique<ReplicaReader>(volume, &pool_, found, *std::move(data), *std::move(meta),
                                           std::move(last_crc));
  }
  const absl::Status error = data.ok() ? meta.status() : data.status();
  volume->NoteError(error);
  if (ReasonOf(error) != ErrorReason::kFileNotFound) return error;
  // Deleted or reopened between the look-up and here, or (F-076) gone by other hands.
  MutexLock lock(&mutex_);
  DOLMEN_ASSIGN_OR_RETURN(const Place place, FindReadable(found));
  if (place.entry->state == State::kStamping) {
    return MakeError(ErrorReason::kNotReplicatedYet, absl::StrCat(found.id.ToString(), " is being reopened"));
  }
  if (place.entry->state == State::kFinalized && place.slot->volume.get() == volume)
    place.entry->state = State::kCorrupt;
  return MakeError(ErrorReason::kChecksum, absl::StrCat(found.id.ToString(), ": files are missing: ", error.message()));
}

absl::StatusOr<uint64_t> BlockStore::VisibleLength(const protocol::Block& block) {
  MutexLock lock(&mutex_);
  DOLMEN_ASSIGN_OR_RETURN(const Shown shown, FindShown(block));
  if (shown.front.has_value()) return *shown.front;
  return shown.place.entry->open != nullptr ? shown.place.entry->open->visible() : shown.place.entry->length;
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

}  // namespace dolmen::datanode
