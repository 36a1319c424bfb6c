// One storage directory ("volume"): its lock, identity, names of files, space and health.
//
//   <dir>/VERSION               identity (volume_identity.h)
//   <dir>/VERSION.spare         room for the next VERSION when the disk is full; given up for it
//   <dir>/in_use.lock           locked while a process owns the directory
//   <dir>/current/finalized/subdirA/subdirB/blk_<id>, blk_<id>.meta     A = id bits 16..20, B = id bits 8..12
//   <dir>/current/being_written/blk_<id>, blk_<id>.meta
//   <dir>/temporary/...         copies under way; removed at start
//   <dir>/trash/blk_<id>_<stamp>, blk_<id>_<stamp>.meta                  deleted, unlinked after a grace time
//   <dir>/quarantine/...        what start-up could not explain; never touched again
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/mutex.h"
#include "common/protocol/types.h"
#include "datanode/storage/volume_identity.h"

namespace dolmen::datanode {

enum class ReplicaPlace : uint8_t { kFinalized, kBeingWritten, kTemporary };

// "blk_17" or "blk_17.meta"; in trash "blk_17_1001" or "blk_17_1001.meta".
struct ReplicaFileName {
  BlockId block;
  std::optional<GenerationStamp> stamp;
  bool is_meta = false;
  // Nothing for any other name.
  static std::optional<ReplicaFileName> Parse(std::string_view name);
  std::string ToString() const;
};

// CreateDirectories, and every new name synced.
absl::Status CreateDirectoriesDurably(FileSystem& fs, const std::string& path);

// Thread-safe. `fs` is not owned and outlives this.
class Volume {
 public:
  // What is found when a directory is opened, before anything is written to it.
  struct Found {
    std::string directory;
    std::unique_ptr<FileLock> lock;
    std::optional<VolumeIdentity> identity;  // nothing: the directory is new or empty
  };
  // Locks the directory (created if missing) and reads its identity.
  // Errors: kBusy when another process holds it; kDamaged when VERSION is unreadable, or missing although the directory
  // is not empty (contract C-13); others as from the file system.
  static absl::StatusOr<Found> Look(FileSystem& fs, const std::string& directory);

  // Whether VERSION is written at the start. kIfRoom: a full disk keeps the old one, which is behind then.
  enum class IdentityWrite { kNone, kIfRoom, kMust };
  // `found.identity` must be set. Writes it as `write` says, and creates the missing subdirectories.
  static absl::StatusOr<std::unique_ptr<Volume>> Start(FileSystem* fs, Found found, IdentityWrite write,
                                                       uint64_t reserved_bytes);

  FileSystem& fs() const { return *fs_; }
  const std::string& directory() const { return directory_; }
  const StorageId& id() const { return id_; }
  protocol::StorageType type() const { return type_; }

  std::string DirectoryFor(ReplicaPlace place, BlockId block) const;
  std::string DataPath(ReplicaPlace place, BlockId block) const;
  std::string MetaPath(ReplicaPlace place, BlockId block) const;
  std::string TrashPath(BlockId block, GenerationStamp stamp, bool is_meta) const;
  std::string FinalizedRoot() const;
  std::string TrashDirectory() const;
  std::string QuarantineDirectory() const;

  // The finalized directory of a block exists, durably, when this returns OK.
  absl::Status EnsureFinalizedDirectory(BlockId block);
  // Moves a file to quarantine/ under a free name.
  absl::Status Quarantine(const std::string& path);

  VolumeIdentity identity() const;
  // Durable before it returns. After an error the old or the new content is on disk. On a full disk it takes the room
  // of the spare file. Not from two threads at once.
  absl::Status WriteIdentity(const VolumeIdentity& identity);
  // The last write failed, and there may be room for it now.
  bool ShouldWriteIdentityAgain() const;

  // Space. Reserved bytes are promised to open writers and are not offered to others.
  // Error: kNoSpace when less than `bytes` remain, or the volume ran full and has not been refreshed since.
  absl::Status Reserve(uint64_t bytes);
  void Unreserve(uint64_t bytes);
  // `bytes` were written, of which `from_reservation` were reserved before.
  void Consume(uint64_t bytes, uint64_t from_reservation);
  // Asks the file system for its free space; a volume that was full is offered again once space is back (F-060). Fails
  // the volume if it does not answer. May wait for the disk.
  void RefreshSpace();
  // Bytes that new replicas may still take.
  uint64_t RemainingBytes() const;
  // Less than a twentieth is left: deleted replicas no longer wait for the end of their grace time.
  bool IsShortOfSpace() const;

  // Bookkeeping of what replicas occupy, for reports.
  void AddReplica(uint64_t bytes);
  void RemoveReplica(uint64_t bytes);
  protocol::StorageReport Report() const;

  // Told of every failed disk call. kNoSpace: no new replicas until RefreshSpace finds space. kIo: the volume is
  // checked by writing, syncing and reading a probe file, and taken offline for good when that fails (F-063, F-068).
  void NoteError(const absl::Status& error);
  // Offline for good; replicas on it are lost to this process.
  void Fail(std::string_view reason);
  bool failed() const;
  std::string failure() const;

 private:
  Volume(FileSystem* fs, Found found, uint64_t reserved_bytes);
  absl::Status Probe();
  // True when there was a spare file, and is none any more.
  bool GiveUpSpare();
  void MakeSpare();

  FileSystem* const fs_;
  const std::string directory_;
  const std::unique_ptr<FileLock> lock_;
  const StorageId id_;
  const protocol::StorageType type_;
  const uint64_t kept_free_bytes_;

  Mutex probe_mutex_;  // one probe at a time; before mutex_

  mutable Mutex mutex_;
  VolumeIdentity identity_ ABSL_GUARDED_BY(mutex_);
  bool identity_is_behind_ ABSL_GUARDED_BY(mutex_) = false;              // on the disk: the last write failed
  std::set<std::string> finalized_directories_ ABSL_GUARDED_BY(mutex_);  // known to exist durably
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  std::string failure_ ABSL_GUARDED_BY(mutex_);
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t capacity_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t available_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t used_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t replicas_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t quarantined_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace dolmen::datanode
