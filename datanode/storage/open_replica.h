// A replica that is being written: its two files and what they hold so far. Shared by its writer and its readers.
//
// Order of disk steps (crash states: docs/formats/replica-files.md):
//   write     data, then the CRCs of its chunks. A crash between leaves data without CRCs: cut off at the next start.
//   sync      data; CRCs; the names (first time); then the older slot; slot. Until the last step is on disk the other
//             slot still describes the bytes of the sync before, and those are never changed by later writes.
// A finalized replica that is reopened for an append continues here after the steps of BlockStore::ReopenReplica.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/file_system.h"
#include "common/mutex.h"
#include "common/protocol/data_transfer.h"
#include "datanode/storage/block_file_format.h"
#include "datanode/storage/replica_recovery.h"
#include "datanode/storage/volume.h"

namespace dolmen::datanode {

// Thread-safe: one thread may Write while another Syncs and others read.
class OpenReplica {
 public:
  // Creates both files in `place` on the volume, with slot 0 = (stamp, 0). `reserved_bytes` were taken from the volume
  // by the caller and are given back as the bytes are written, the rest by the destructor.
  // `volume` outlives this.
  static absl::StatusOr<std::shared_ptr<OpenReplica>> Create(Volume* volume, BlockId block, GenerationStamp stamp,
                                                             ReplicaPlace place, uint64_t reserved_bytes);
  // Takes over the files of a replica that was finalized with block.length bytes, was stamped since with block.stamp,
  // and whose names are durable in being_written/. Reservation as for Create.
  static std::shared_ptr<OpenReplica> Continue(Volume* volume, const protocol::Block& block, uint64_t reserved_bytes,
                                               StampedFiles files);
  ~OpenReplica();

  BlockId block() const { return block_; }
  GenerationStamp stamp() const { return stamp_; }
  ReplicaPlace place() const { return place_; }
  Volume& volume() const { return *volume_; }
  // It was finalized before: what it held then is never given up.
  bool reopened() const { return reopened_; }

  // Appends. The packet begins at the last chunk boundary and reaches at least to the present end; its checksums were
  // verified by the caller. The bytes it repeats must be the same (also the caller's care).
  // Errors: kIllegalArgument for an offset that leaves a gap or rewrites whole chunks; kNoSpace, kIo. After any disk
  // error the replica accepts nothing more and answers that error for ever (contract C-18).
  absl::Status Write(const protocol::Packet& packet);
  // hsync: what was written before the call survives a power loss when this returns OK.
  absl::Status Sync();
  // For finalizing: makes both files durable, without a slot (the replica's place will vouch for its length).
  absl::Status SyncData();
  absl::Status SyncChecksums();

  // Bytes that every node of the pipeline from here on has: readers may see these. Never falls.
  void SetVisible(uint64_t length);
  // Refuses everything from now on.
  void Fail(const absl::Status& why);
  // The same, and no Write or Sync is at work on the files any more when this returns. May wait for the disk. Not while
  // the replica is being finalized.
  void Stop(const absl::Status& why);
  absl::Status failure() const;
  // A sync failed. The bytes in memory may look good and never reach the disk, whatever later syncs answer (C-18).
  bool sync_failed() const;

  uint64_t written() const;
  uint64_t visible() const;

  // A consistent picture for readers: chunks wholly below `written` never change again; `tail` are the bytes of the
  // partial chunk that ends at `written`.
  struct Snapshot {
    uint64_t written = 0;
    uint64_t visible = 0;
    std::string tail;
  };
  Snapshot Look() const;
  const File& data() const { return *data_; }
  const File& checksums() const { return *meta_; }

 private:
  OpenReplica(Volume* volume, BlockId block, GenerationStamp stamp, ReplicaPlace place, uint64_t reserved_bytes,
              std::unique_ptr<File> data, std::unique_ptr<File> meta, bool reopened);
  absl::Status CheckFits(const protocol::Packet& packet) const;
  absl::Status WriteFiles(const protocol::Packet& packet);
  absl::Status SyncWithSlot(const SyncSlot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(sync_mutex_);
  absl::Status SyncFailed(absl::Status error);
  absl::Status Failed(absl::Status error);  // the first time: remembers the error and tells the volume; returns it

  Volume* const volume_;
  const BlockId block_;
  const GenerationStamp stamp_;
  const ReplicaPlace place_;
  const std::unique_ptr<File> data_;
  const std::unique_ptr<File> meta_;
  const bool reopened_;

  // Lock order: write_mutex_ or sync_mutex_ before mutex_. mutex_ is never held across a disk call.
  Mutex write_mutex_;
  Mutex sync_mutex_;
  bool names_synced_ ABSL_GUARDED_BY(sync_mutex_) = false;
  bool any_slot_synced_ ABSL_GUARDED_BY(sync_mutex_) = false;
  uint64_t synced_ ABSL_GUARDED_BY(sync_mutex_) = 0;
  int older_slot_ ABSL_GUARDED_BY(sync_mutex_) = 1;

  mutable Mutex mutex_;
  uint64_t written_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t visible_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t writeback_started_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t reserved_ ABSL_GUARDED_BY(mutex_);
  std::string tail_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  bool sync_failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dolmen::datanode
