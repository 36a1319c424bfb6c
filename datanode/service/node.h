// What all streams and commands of one datanode share.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "datanode/core/copy_backlog.h"
#include "datanode/core/namenode_session.h"
#include "datanode/core/pipeline_hop.h"
#include "datanode/core/replica_copy.h"
#include "datanode/core/stream_limits.h"
#include "datanode/core/token_keys.h"
#include "datanode/core/volume_chooser.h"
#include "datanode/service/peer_channels.h"
#include "datanode/service/volume_workers.h"
#include "datanode/storage/block_store.h"

namespace dolmen::datanode {

// A stream or transfer that is under way.
class LiveStream {
 public:
  virtual ~LiveStream() = default;
  // Called often; looks at its deadlines.
  virtual void Tick(MonotonicTime now) = 0;
  // Ends as soon as it can.
  virtual void Cancel() = 0;
  // A block recovery has frozen the replica of this block here; `why` names it.
  virtual void BlockFrozen(BlockId /*block*/, GenerationStamp /*recovery*/, const absl::Status& /*why*/) {}
};

struct NodeOptions {
  HopOptions hop;  // hop.self is set from the store
  CopyOptions copy;
  StreamLimitOptions limits;
  VolumeWorkerOptions workers;
  Duration connect_timeout = std::chrono::seconds(5);
  Duration disk_hang_timeout = std::chrono::minutes(2);  // a disk call that takes longer fails its volume (F-070)
  // A reader that takes nothing for so long is gone (F-125).
  Duration reader_timeout = std::chrono::minutes(5);
};

// Thread-safe. Store and clock are not owned and outlive this.
class Node final : public ReplicaInventory {
 public:
  using ReportFunction = std::function<void(const StorageId&, const protocol::ReportedReplica&)>;

  Node(BlockStore* store, NodeOptions options, const Clock* clock, uint64_t seed);
  ~Node() override;

  BlockStore& store() { return *store_; }
  const Clock& clock() const { return *clock_; }
  const NodeOptions& options() const { return options_; }
  Duration Uptime() const { return clock_->Now() - started_; }
  PeerChannels& peers() { return peers_; }
  // For calls that are passed on: who makes them must not be able to close the connections of pipelines.
  PeerChannels& relay_peers() { return relay_peers_; }
  // nullptr for a storage of another node.
  VolumeWorkers* WorkersOf(const StorageId& storage);

  // Where a new replica goes.
  absl::StatusOr<StorageId> ChooseVolume(const StorageId& wanted, uint64_t bytes);

  // A counted stream; gives its place back when destroyed.
  class Slot {
   public:
    Slot(Node* node, StreamKind kind, StorageId storage) : node_(node), kind_(kind), storage_(std::move(storage)) {}
    ~Slot() { node_->Release(kind_, storage_); }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

   private:
    Node* const node_;
    const StreamKind kind_;
    const StorageId storage_;
  };
  // Error: kBusy.
  absl::StatusOr<std::shared_ptr<Slot>> Acquire(StreamKind kind, const StorageId& storage);

  TokenKeys keys() const;
  void AddKey(const TokenKey& key);

  // Where changes of replicas are told; set once, before any stream runs.
  void SetReporter(ReportFunction report);
  void Report(const StorageId& storage, const protocol::ReportedReplica& replica);
  // Reads the whole replica in the background and reports it if it is corrupt.
  void Suspect(const protocol::Block& block);

  // Commands of the namenode. May drop one when busy: the namenode decides again.
  void Delete(const protocol::DeleteReplicasCommand& command);
  void Verify(const protocol::Block& block);
  void Freeze(const protocol::FreezeReplicaCommand& command);
  void FinishRecovery(const protocol::FinishRecoveryCommand& command);
  void CopyPrefix(const protocol::CopyPrefixCommand& command);
  // A few at a time; the others wait for the next Tick with a place.
  void Copy(const protocol::CopyReplicaCommand& command);

  // Streams under way. A stream removes itself at the very end of its life; the node outlives it until then.
  void Add(const std::shared_ptr<LiveStream>& stream);
  void Remove(const LiveStream* stream);
  size_t live_streams() const;
  // Orders that wait are dropped, too.
  void CancelAll();
  // False when some are left after `timeout`.
  bool WaitUntilQuiet(Duration timeout);

  // Deadlines of streams and connections, copies whose turn it is; every few milliseconds, from one thread.
  void Tick();
  // Free space, trash, disks that hang; every second or so.
  void Housekeeping();
  // Runs what was posted and joins the volumes' threads.
  void StopWorkers();

  // ReplicaInventory.
  std::vector<protocol::StorageReport> StorageReports() const override { return store_->StorageReports(); }
  std::vector<protocol::ReportedReplica> ListRange(const StorageId& storage, BlockId first,
                                                   size_t limit) const override {
    return store_->ListRange(storage, first, limit);
  }
  protocol::IdMarks Seen() const override { return store_->identity().seen; }
  protocol::IdMarks Bound() const override { return store_->identity().bound; }
  uint32_t ActiveStreams() const override;
  uint32_t ActiveTransfers() const override;

 private:
  // What of a block is under way in the background.
  enum class Order : uint8_t { kFreeze, kFinishRecovery, kCopyPrefix };

  void Release(StreamKind kind, const StorageId& storage);
  void StartCopies(MonotonicTime now);
  std::vector<std::shared_ptr<LiveStream>> LiveStreams() const;
  // Once at a time for each block, since the namenode repeats what takes long; false when it is too busy.
  bool InBackground(const StorageId& storage, Order order, BlockId block, std::function<void()> work);
  // Tells the namenode of a replica that turned out to be corrupt.
  void ReportIfCorrupt(const StorageId& storage, BlockId block);

  BlockStore* const store_;
  const NodeOptions options_;
  const Clock* const clock_;
  const MonotonicTime started_;
  PeerChannels peers_{1024};  // connections kept (chosen)
  PeerChannels relay_peers_{64};
  ReportFunction report_;                                        // constant once set
  std::map<StorageId, std::unique_ptr<VolumeWorkers>> workers_;  // constant after construction

  // Lock order: a stream's own mutex before these; these are never held together or across a call out.
  mutable Mutex limits_mutex_;
  StreamLimits limits_ ABSL_GUARDED_BY(limits_mutex_);
  VolumeChooser chooser_ ABSL_GUARDED_BY(limits_mutex_);
  mutable Mutex keys_mutex_;
  TokenKeys keys_ ABSL_GUARDED_BY(keys_mutex_);
  mutable Mutex streams_mutex_;
  CondVar streams_changed_;
  std::map<const LiveStream*, std::weak_ptr<LiveStream>> streams_ ABSL_GUARDED_BY(streams_mutex_);
  Mutex housekeeping_mutex_;
  std::set<StorageId> refreshing_ ABSL_GUARDED_BY(housekeeping_mutex_);
  Mutex orders_mutex_;
  std::set<std::pair<Order, BlockId>> orders_ ABSL_GUARDED_BY(orders_mutex_);
  CopyBacklog copies_ ABSL_GUARDED_BY(orders_mutex_);
};

}  // namespace dolmen::datanode
