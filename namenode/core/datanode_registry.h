// Who the datanodes are: identity, session, storages, liveness.
//
// A session is one registration. Its number rises with every registration and starts from the namenode's epoch, so that
// nothing of an earlier process or registration ever matches. A storage's replicas count only in its datanode's present
// session; a datanode that died has none and must register again.
//
// Storage numbers stand for (datanode uuid, storage id) in replica records. They are kept in the replica store, with
// how the datanode was last reached, so that hints are of use right after a restart:
//   kMeta "n"             varint: next storage number
//   kMeta "r"             varint: next session
//   kMeta "s", 4-byte no. version 1, then uuid, storage id, type byte, host name, rack, http port, addresses
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/protocol/client_namenode.h"
#include "common/protocol/datanode_namenode.h"
#include "namenode/core/full_report_progress.h"
#include "namenode/core/heartbeat_board.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/notice.h"
#include "namenode/core/replica_view.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

struct Datanode;

struct DatanodeStorage {
  static constexpr uint64_t kNever = UINT64_MAX;

  uint32_t number = 0;
  protocol::StorageReport report;      // the newest; id and type at least
  const Datanode* datanode = nullptr;  // nullptr: its owner is gone for good, its records are being erased
  uint64_t session = 0;                // in which its replicas count; 0: none do (dead, failed, not registered yet)
  FullReportProgress progress;         // in that session

  // For the count of safe blocks, which must not change faster than it can be kept: records of sessions from
  // `accounted_from` on are in the count, except those a sweep has passed.
  uint64_t accounted_from = kNever;
  BlockId swept_to;

  bool IsFresh() const { return session != 0 && progress.complete(); }
  bool Confirms(uint64_t record_session) const { return session != 0 && record_session == session; }
  bool Accounts(BlockId block, uint64_t record_session) const {
    return record_session != 0 && record_session >= accounted_from && !(block <= swept_to && record_session != session);
  }
};

struct Datanode {
  protocol::DatanodeInfo info;
  uint64_t session = 0;  // 0: must register
  protocol::DatanodeLiveness liveness = protocol::DatanodeLiveness::kDead;
  MonotonicTime last_contact{};
  std::optional<MonotonicTime> registered_at;     // in this process
  std::optional<MonotonicTime> last_full_report;  // of any of its storages, complete
  uint32_t active_streams = 0;
  std::vector<uint32_t> storages;  // numbers, ascending

  bool IsLive() const { return liveness == protocol::DatanodeLiveness::kLive; }
  bool IsUsable() const { return liveness != protocol::DatanodeLiveness::kDead; }
};

// What a registration, heartbeat or tick changed for replicas. Storage numbers.
struct StorageChanges {
  std::vector<uint32_t> lost;                // no longer count: dead or failed; their blocks need a look
  std::vector<uint32_t> dropped;             // gone for good: erase their records, then Forget
  std::vector<DatanodeUuid> reports_wanted;  // have to report in full
  bool empty() const { return lost.empty() && dropped.empty() && reports_wanted.empty(); }
  void Append(StorageChanges other);
};

// The usable datanodes (live and stale), for placement.
struct Topology {
  std::vector<const Datanode*> nodes;  // by uuid
  std::map<std::string, std::vector<const Datanode*>> racks;
  std::map<std::string, std::vector<const Datanode*>> hosts;  // by host name and by each address's host
};

// One thread only. Bounded by max_datanodes, kMaxStorages each.
class DatanodeRegistry {
 public:
  static constexpr size_t kMaxStorages = 256;  // per datanode; chosen
  static constexpr size_t kMaxAddresses = 64;  // per datanode; chosen
  static constexpr size_t kMaxNotices = 1000;
  static constexpr std::chrono::seconds kReturnTime{30};  // after a start; chosen: several heartbeats

  DatanodeRegistry(const CoreSettings* settings, ClusterId cluster, Epoch epoch, ReplicaStore* store);

  // Reads the storages known before; their datanodes count as dead until they register. Errors: kDamaged, kIo.
  absl::Status Recover(MonotonicTime now);

  struct Registered {
    uint64_t session = 0;
    StorageChanges changes;
  };
  // Gives the datanode a new session; the one before is fenced, whoever holds it (F-144, F-145).
  // A datanode with another uuid that advertises one of the addresses of one that is silent is taken to be the same
  // machine with a wiped disk: the older identity is dropped (F-146).
  // Errors: kWrongCluster; kIllegalArgument (protocol version, shape, an address of another datanode that was heard of
  // within stale_after); kBusy when there are max_datanodes.
  absl::StatusOr<Registered> Register(const protocol::RegisterRequest& request, MonotonicTime now);
  // Facts of another than the present session are ignored.
  StorageChanges OnHeartbeat(const HeartbeatFacts& facts);
  // Liveness. When this was not called for longer than stale_after, the namenode itself was paused, and the pause is
  // not held against anybody (F-054, F-112).
  StorageChanges Tick(MonotonicTime now);
  // A round of full reports of this storage is complete.
  void FullReportComplete(uint32_t storage, MonotonicTime now);
  // Removes a dropped storage whose records are all erased.
  absl::Status Forget(uint32_t storage);

  // nullptr when unknown.
  const Datanode* Find(const DatanodeUuid& uuid) const;
  const DatanodeStorage* FindStorage(uint32_t number) const;
  const DatanodeStorage* FindStorage(const DatanodeUuid& uuid, const StorageId& storage) const;
  DatanodeStorage* MutableStorage(uint32_t number);

  const std::map<DatanodeUuid, Datanode>& datanodes() const { return datanodes_; }
  const std::map<uint32_t, DatanodeStorage>& storages() const { return storages_; }
  std::map<DatanodeUuid, uint64_t> Sessions() const;
  size_t usable_count() const { return topology().nodes.size(); }
  size_t live_count() const;
  // This process started a moment ago, and datanodes known from before have not registered with it yet.
  bool DatanodesAreReturning() const;
  const Topology& topology() const;
  // Streams of the usable datanodes, on average.
  double AverageStreams() const;

  // How to reach a storage.
  static protocol::ReplicaLocation LocationOf(const DatanodeStorage& storage);
  // The present view; the same object until something in it changed. Costs O(storages) then.
  std::shared_ptr<const ClusterView> View();
  // Lines for the log since the last call, at most kMaxNotices.
  std::vector<Notice> TakeNotices() { return std::exchange(notices_, {}); }

 private:
  absl::Status Check(const protocol::RegisterRequest& request, MonotonicTime now) const;
  void DropSameAddress(const protocol::DatanodeInfo& info, StorageChanges* changes);
  void DropStorage(uint32_t number, StorageChanges* changes);
  void EndSession(DatanodeStorage* storage, StorageChanges* changes);
  void BeginSession(DatanodeStorage* storage, uint64_t session);
  void Changed();
  void Tell(std::string text, bool trouble);

  const CoreSettings& settings_;
  const ClusterId cluster_;
  ReplicaStore* const store_;
  std::map<DatanodeUuid, Datanode> datanodes_;
  std::map<uint32_t, DatanodeStorage> storages_;
  std::map<std::pair<DatanodeUuid, StorageId>, uint32_t> numbers_;
  uint32_t next_number_ = 1;
  uint64_t next_session_;
  std::optional<MonotonicTime> recovered_at_;
  std::optional<MonotonicTime> last_tick_;
  std::vector<Notice> notices_;

  mutable Topology topology_;  // rebuilt on demand
  mutable bool topology_is_stale_ = true;
  mutable uint64_t usable_streams_ = 0;      // of topology_.nodes, while that is not stale
  std::shared_ptr<const ClusterView> view_;  // nullptr: to be rebuilt
};

}  // namespace dolmen::namenode
