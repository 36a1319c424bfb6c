// The threads of one volume. A disk that hangs stops these and nobody else's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "datanode/service/work_queue.h"
#include "datanode/storage/block_store.h"

namespace dolmen::datanode {

struct VolumeWorkerOptions {
  size_t read_threads = 2;
  size_t sync_helpers = 3;   // files synced side by side, beside the sync thread's own
  size_t max_queued = 4096;  // creates, reads and commands that wait; beyond is busy
};

// Thread-safe. The store and the clock are not owned and outlive this.
class VolumeWorkers {
 public:
  VolumeWorkers(BlockStore* store, StorageId storage, const VolumeWorkerOptions& options, const Clock* clock);
  ~VolumeWorkers();  // Stop

  const StorageId& storage() const { return storage_; }

  // Creates, writes and closes, in order on one thread.
  WorkQueue& writes() { return writes_; }
  WorkQueue& reads() { return reads_; }
  // Deletes, verification, space, recovery.
  WorkQueue& background() { return background_; }
  // Waits for the disk's cache, one after the other: reopening a replica.
  WorkQueue& syncs() { return syncs_; }

  // These wait for the disk's cache; from writes(), so that they come after the writes before them, but without holding
  // up the writes behind them. All that wait are finalized as one group. `done` runs on the sync thread.
  using Done = std::function<void(const absl::Status&)>;
  void Sync(std::shared_ptr<ReplicaWriter> writer, Done done);
  void Finalize(std::shared_ptr<ReplicaWriter> writer, bool durable, Done done);

  // Runs everything that was posted; joins.
  void Stop();
  Duration LongestRunning() const;

 private:
  struct Waiting {
    std::shared_ptr<ReplicaWriter> writer;
    bool finalize = false;
    bool durable = false;
    Done done;
  };
  void Enqueue(Waiting waiting);
  void SyncWhatWaits();

  BlockStore* const store_;
  const StorageId storage_;
  WorkQueue writes_;
  WorkQueue reads_;
  WorkQueue background_;
  ParallelTasks sync_helpers_;
  WorkQueue syncs_;  // one thread; runs SyncWhatWaits

  Mutex mutex_;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // bounded by the packets that writers may have unacknowledged
};

}  // namespace dolmen::datanode
