// All replicas of a datanode, on several storage directories. Format and crash states: docs/formats/replica-files.md.
//
//   states of a replica here, and what is allowed      from            to
//   creating      nothing yet                          CreateReplica   being written | temporary | gone
//   being written written, read to its visible length; from above      finalizing | recovering | deleting
//                 without a writer read as far as was
//                 shown or committed, until recovery
//   temporary     written; nobody else sees it         from above      finalizing | gone
//   finalizing    read if it was being written         FinalizeGroup   finalized | being written | corrupt
//   finalized     read                                 from above      stamping | corrupt | deleting
//   stamping      read; its generation stamp changes,  ReopenReplica,  being written | finalized | corrupt
//                 maybe to be written again            FinishRecovery
//   recovering    nothing: it is verified, or cut and  FinishFreeze,   being written | finalized | corrupt
//                 finalized                            FinishRecovery
//   corrupt       reported, never read                 Verify, scan    deleting
//   deleting      nothing                              BeginDelete     gone (its files are in trash/) | as before
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "common/mutex.h"
#include "common/protocol/data_transfer.h"
#include "common/protocol/datanode_namenode.h"
#include "common/random.h"
#include "datanode/storage/buffer_pool.h"
#include "datanode/storage/open_replica.h"
#include "datanode/storage/replica_reader.h"
#include "datanode/storage/volume.h"
#include "datanode/storage/volume_scan.h"

namespace dolmen::datanode {

struct DataDirectory {
  std::string path;
  protocol::StorageType type = protocol::StorageType::kDisk;
};

struct BlockStoreOptions {
  std::vector<DataDirectory> directories;
  uint64_t kept_free_bytes = 0;           // of each volume, never used for replicas
  uint32_t failed_volumes_tolerated = 0;  // at the start; later the store serves what still works
  bool allow_new_directories = false;     // an empty directory beside ones in use is meant to be new, not unmounted
  Duration trash_grace = std::chrono::minutes(5);
  size_t pooled_buffers = 32;  // of kMaxPacketBytes each, kept for reads
};

// What this datanode is and has seen, the highest over its volumes.
struct StoreIdentity {
  ClusterId cluster;  // none: never registered
  DatanodeUuid datanode;
  Epoch highest_epoch;
  std::string highest_incarnation;
  protocol::IdMarks seen;   // at least these were seen
  protocol::IdMarks bound;  // nothing above these was
};

// Reserved when the writer does not say how long the block may become (HDFS's default block).
inline constexpr uint64_t kDefaultReservation = 128 << 20;

struct CreateRequest {
  protocol::Block block;        // id and stamp
  StorageId storage;            // empty or unknown: the volume with the most room
  bool is_copy = false;         // temporary until finalized
  uint64_t expected_bytes = 0;  // reserved on the volume
};

struct ReopenRequest {
  protocol::Block block;        // id, the new stamp, the length that the replica has
  GenerationStamp from;         // the stamp it has
  uint64_t expected_bytes = 0;  // the most the block may grow to
};

// What a block recovery is told of a replica.
struct FrozenReplica {
  StorageId storage;  // none: there is no replica
  protocol::ReportedReplica replica;
};

class BlockStore;

// The right to write one replica. One thread at a time, except Sync (beside Write), SetVisibleLength and the getters.
// The store outlives it. Destroyed without Finalize or Discard: a replica being written stays so (its bytes are for
// recovery), a temporary one is removed.
class ReplicaWriter {
 public:
  ~ReplicaWriter();
  ReplicaWriter(const ReplicaWriter&) = delete;
  ReplicaWriter& operator=(const ReplicaWriter&) = delete;

  // As OpenReplica.
  absl::Status Write(const protocol::Packet& packet) { return replica_->Write(packet); }
  absl::Status Sync() { return replica_->Sync(); }
  void SetVisibleLength(uint64_t length) { replica_->SetVisible(length); }
  uint64_t written_length() const { return replica_->written(); }
  // The bytes written of the partial chunk at the end.
  std::string tail() const { return replica_->Look().tail; }

  // Id, stamp and bytes written.
  protocol::Block block() const;
  const StorageId& storage() const { return replica_->volume().id(); }

  // Removes the replica: nothing of it was ever acknowledged. One that was reopened stays, being written.
  void Discard();

 private:
  friend class BlockStore;
  ReplicaWriter(BlockStore* store, std::shared_ptr<OpenReplica> replica)
      : store_(store), replica_(std::move(replica)) {}

  BlockStore* const store_;
  const std::shared_ptr<OpenReplica> replica_;
  bool done_ = false;  // finalized or discarded
};

enum class VerifyOutcome { kGood, kCorrupt };

struct Verified {
  VerifyOutcome outcome = VerifyOutcome::kCorrupt;
  protocol::Block block;  // the replica as it is here, with its true length
};

// Runs all tasks and returns when they are done; may run them side by side.
using ParallelRunner = std::function<void(std::vector<std::function<void()>> tasks)>;
void RunOneByOne(std::vector<std::function<void()>> tasks);

// Thread-safe. `fs` is not owned and outlives this.
class BlockStore {
 public:
  // Locks, checks and scans the directories; a directory that is new or empty is initialised (see VERSION) if all are,
  // or if allow_new_directories. `random` makes the ids. `run` scans volumes side by side.
  // Errors (nothing was changed in the refused directory): kBusy, another process holds a directory; kDamaged, see
  // Volume::Look; kWrongCluster, the directories belong to different clusters or datanodes; kIllegalArgument, no
  // directory, or one named twice; kIo, more volumes failed than are tolerated.
  static absl::StatusOr<std::unique_ptr<BlockStore>> Open(FileSystem* fs, const BlockStoreOptions& options,
                                                          Random* random, MonotonicTime now,
                                                          const ParallelRunner& run = RunOneByOne);
  // Clean end: writes the exact highest ids. All writers and readers must be gone.
  ~BlockStore();

  StoreIdentity identity() const;
  // Durable before it returns OK, on every working volume but those that are full, and on one at least. The caller
  // checked that it is acceptable (C-12).
  absl::Status RecordNamenode(const protocol::NamenodeIdentity& namenode);

  // Errors: kFileAlreadyExists when any replica of the block is here, kStaleGenerationStamp when it is a newer one,
  // kBusy while one is being deleted, kNoSpace, kIo.
  absl::StatusOr<std::unique_ptr<ReplicaWriter>> CreateReplica(const CreateRequest& request);

  // Makes a finalized replica one that is being written, with a higher stamp. Durable when it returns OK: what it held
  // stays, as hsynced bytes do. Until then a crash leaves it finalized, with either stamp.
  // Errors: kReplicaNotFound; kStaleGenerationStamp when its stamp is not request.from, or not below the new one;
  // kAlreadyBeingCreated when it is being written; kRecoveryInProgress when it is frozen by a recovery; kChecksum when
  // it is corrupt or has another length than asked; kBusy while it is being changed; kNoSpace, kIo: it is finalized
  // still if that is certain, else corrupt.
  absl::StatusOr<std::unique_ptr<ReplicaWriter>> ReopenReplica(const ReopenRequest& request);

  // Block recovery, first step, in two halves. The first does not wait for a disk: from here on the writer of the
  // replica gets an error that names the recovery, and no writer with a lower stamp is let in; that holds for a replica
  // that is not here, too, as far as memory for it goes. A higher recovery takes over from a lower one.
  // Errors: kBusy while the replica is being created, finalized, deleted or recovered; kStaleGenerationStamp when the
  // replica or the recovery that froze it has a higher stamp. Nothing is to be told to the namenode then.
  absl::Status BeginFreeze(BlockId block, GenerationStamp recovery);
  // The second half verifies what is on disk, makes it durable, and says what is here: a replica being written or
  // finalized with its true length; kCorrupt when that can't be told any more; kDeleted (with the recovery's stamp)
  // when there is none. Done again it answers the same, without the disk. Errors: kReplicaNotFound when it is not
  // frozen; kBusy as above; kIo, also when a volume that is offline may hold it.
  absl::StatusOr<FrozenReplica> FinishFreeze(BlockId block);
  // Second step. The replica, frozen by block.stamp and verified since, becomes finalized with block.length bytes and
  // that stamp, durably. OK also when it is that already. Errors: kReplicaNotFound; kRecoveryInProgress when it was not
  // frozen by that stamp, or must be frozen again; kIllegalArgument when it is shorter, or finalized with another
  // length; kBusy; kChecksum, kIo.
  absl::Status FinishRecovery(const protocol::Block& block);

  // Makes `target`, durably finalized, from the first target.length bytes of the finalized replica `source`, on the
  // same volume, verifying what it reads. OK also when it is there already. Errors: as OpenReader of `source`,
  // kNotReplicatedYet when it is not finalized, kIllegalArgument when it is too short; as CreateReplica of `target`;
  // kIo.
  absl::Status CopyPrefix(const protocol::Block& source, const protocol::Block& target);

  // Makes the replicas finalized, one answer each, in the order given. When durable: the bytes are synced, then the
  // names moved, then the directories synced, each step for the whole group; after OK a power loss changes nothing.
  // After an error the writer accepts nothing more and its replica stays being written, or is corrupt when it can't be
  // known what a power loss would leave. The writers stay the caller's. `run` syncs files side by side.
  std::vector<absl::Status> FinalizeGroup(std::span<ReplicaWriter* const> writers, bool durable,
                                          const ParallelRunner& run = RunOneByOne);

  // `block`: as the namenode named it, or with the length that a datanode showed. A replica with a higher stamp serves
  // as well. Of one that lost its writer block.length bytes are shown, or what was visible before if that is more.
  // Errors: kReplicaNotFound; kStaleGenerationStamp when its stamp is lower; kChecksum when it is known to be corrupt;
  // kNotReplicatedYet while it is being recovered, or when it lost its writer and nothing of it may be shown.
  absl::StatusOr<std::unique_ptr<ReplicaReader>> OpenReader(const protocol::Block& block);
  // Bytes that readers may see. Errors as OpenReader.
  absl::StatusOr<uint64_t> VisibleLength(const protocol::Block& block);
  // Where a replica is; nothing when there is none.
  std::optional<StorageId> StorageOf(BlockId block) const;

  // A deletion in two steps. After the first, which does not wait for a disk, the replica is neither served nor listed;
  // a live writer is cut off. The second moves the files to trash/; they are unlinked after the grace time.
  // Errors of the first: kReplicaNotFound, kStaleGenerationStamp, kBusy (being created, finalized or deleted right
  // now). Error of the second: kIo.
  absl::Status BeginDelete(const protocol::Block& block);
  absl::Status FinishDelete(const protocol::Block& block, MonotonicTime now);
  // Instead of FinishDelete: the replica is as it was before, without its writer.
  void CancelDelete(const protocol::Block& block);
  // Both steps.
  absl::Status Delete(const protocol::Block& block, MonotonicTime now);
  // Unlinks at most `limit` replicas of one storage whose grace time is over or whose volume is short of space, the
  // oldest first; returns how many. What could not be unlinked stays for the next time.
  absl::StatusOr<size_t> PurgeTrash(const StorageId& storage, MonotonicTime now, size_t limit);
  size_t trash_size() const;

  // Reads a finalized replica and compares it with its checksums. kCorrupt: it is not served any more.
  // Errors as OpenReader, kNotReplicatedYet when it is not finalized, kIo when that much could not be found out.
  absl::StatusOr<Verified> Verify(const protocol::Block& block);

  // Up to `limit` replicas of one storage with ids >= first, by id: finalized, being written and corrupt ones.
  std::vector<protocol::ReportedReplica> ListRange(const StorageId& storage, BlockId first, size_t limit) const;
  std::vector<protocol::StorageReport> StorageReports() const;
  // Asks all volumes (or one) for their free space, and tells one that was full who this datanode is. May wait for the
  // disk.
  void RefreshSpace();
  void RefreshSpace(const StorageId& storage);
  // Takes a volume offline, e.g. because its disk does not answer.
  void FailVolume(const StorageId& storage, std::string_view reason);
  bool IsOnline(const StorageId& storage) const;
  // Open writers, for tests and leak counters.
  size_t open_writers() const;

 private:
  friend class ReplicaWriter;
  enum class State : uint8_t {
    kCreating,
    kBeingWritten,
    kTemporary,
    kFinalizing,
    kFinalized,
    kStamping,
    kRecovering,
    kCorrupt,
    kDeleting
  };
  struct Entry {
    GenerationStamp stamp;
    uint64_t length = 0;  // finalized: exact; being written: when the writer was last gone
    State state = State::kCreating;
    State before_delete = State::kCreating;  // while deleting
    std::shared_ptr<OpenReplica> open;       // while a writer lives
    GenerationStamp frozen_by;               // the highest recovery that froze it; none: not frozen
    bool verified = false;                   // being written, no writer: `length` is what its checksums vouch for
    bool after_restart = false;              // being written: found by a start, unsynced bytes may be missing
    uint64_t visible = 0;                    // being written, no writer: what readers may have seen
    // A sync of these files failed: they are written anew before another sync is believed (C-18).
    bool sync_failed = false;
  };
  using Index = absl::btree_map<BlockId, Entry>;
  struct VolumeSlot {
    std::unique_ptr<Volume> volume;
    Index index;                                         // guarded by mutex_, like the rest
    std::multimap<MonotonicTime, TrashedReplica> trash;  // by the time of deletion
  };
  struct Place {
    VolumeSlot* slot;
    Entry* entry;
  };
  struct Group;  // the part of a finalize group on one volume

  BlockStore(const BlockStoreOptions& options);

  absl::Status Load(VolumeContents contents, VolumeSlot* slot, MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status DropDuplicates(MonotonicTime now);
  std::optional<Place> Find(BlockId block) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Exactly this one (id, stamp).
  absl::StatusOr<Place> FindReadable(const protocol::Block& block) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  struct Shown {
    Place place;
    std::optional<uint64_t> front;  // of a replica without a writer: so many bytes of it
  };
  absl::StatusOr<Shown> FindShown(const protocol::Block& block) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The first front.length bytes of a replica in being_written/ of `volume`, which has no writer.
  absl::StatusOr<std::unique_ptr<ReplicaReader>> OpenFront(const protocol::Block& front, Volume* volume);
  // `found` is finalized on `volume`.
  absl::StatusOr<std::unique_ptr<ReplicaReader>> OpenFinalized(const protocol::Block& found, Volume* volume);
  Volume* ChooseVolume(const StorageId& wanted) const;
  VolumeSlot* SlotOf(const StorageId& storage) const;
  absl::Status NoteSeen(const protocol::Block& block);
  absl::Status WriteIdentity(Volume* volume, const StoreIdentity& identity)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(identity_write_mutex_);
  absl::Status WriteIdentities(const StoreIdentity& identity) ABSL_EXCLUSIVE_LOCKS_REQUIRED(identity_write_mutex_);
  absl::Status MoveToTrash(Volume& volume, ReplicaPlace place, BlockId block, GenerationStamp stamp, MonotonicTime now);
  void CloseWriter(ReplicaWriter* writer, bool discard);
  // Keeps in the entry what is known of its open replica.
  static void LeaveWriter(Entry* entry);
  void EraseOpen(const OpenReplica& replica);
  void FinalizeOnVolume(Group* group, bool durable, const ParallelRunner& run);
  absl::Status RenameOne(Volume& volume, BlockId block, ReplicaPlace from);
  // Sets the entry, which no one else changes meanwhile; nothing when its volume went offline.
  void Settle(BlockId block, const std::function<void(Entry&, Volume&)>& change);
  enum class Whereabouts { kAsBefore, kApart, kMoved };  // of the two files that a failed call leaves
  absl::Status ReopenOnDisk(Volume& volume, const protocol::Block& block, StampedFiles* files, Whereabouts* where);
  absl::Status FinishOnDisk(Volume& volume, const protocol::Block& block, Whereabouts* where);
  // Puts what the replica's files hold into new files of the same names, durably.
  absl::Status WriteAnew(Volume& volume, ReplicaPlace place, BlockId block);
  // Whether what is not found here is surely not here.
  bool AllVolumesWork() const;

  const BlockStoreOptions options_;
  BufferPool pool_;
  std::vector<std::unique_ptr<VolumeSlot>> slots_;  // constant after Open

  // Lock order: identity_write_mutex_ before identity_mutex_ before mutex_ before the volumes' and replicas' own locks.
  // Only identity_write_mutex_ is held across disk calls, so that identities are written one after another.
  Mutex identity_write_mutex_;
  // At the start; a crash may have lost `seen`.
  protocol::IdMarks earlier_bound_ ABSL_GUARDED_BY(identity_write_mutex_);
  mutable Mutex identity_mutex_;
  // All but `seen` changes under both locks. Its bound is durable: more needs a write first.
  StoreIdentity identity_ ABSL_GUARDED_BY(identity_mutex_);

  mutable Mutex mutex_;  // guards the slots' indexes too
  size_t writers_ ABSL_GUARDED_BY(mutex_) = 0;
  // Recoveries that found no replica here, so that a late writer does not make one; the oldest are forgotten.
  std::map<BlockId, GenerationStamp> frozen_absent_ ABSL_GUARDED_BY(mutex_);
  std::deque<BlockId> frozen_absent_order_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::datanode
