// The namenode's decisions in one object: commit queue, leases, blocks and datanodes. No threads, no I/O but through
// the stores it is given; the server's core thread drives it, and so does the simulation.
//
// One turn of the driver:
//   1. hand in what arrived (Submit, Register, On...Report, calls on soft state), exchange with the heartbeat board;
//   2. Tick, now and then;
//   3. BeginBatch -> store.Commit -> FinishBatch; answers leave.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/access_token.h"
#include "common/clock.h"
#include "common/protocol/client_namenode.h"
#include "common/protocol/datanode_namenode.h"
#include "namenode/core/block_manager.h"
#include "namenode/core/commit_queue.h"
#include "namenode/core/file_recovery.h"
#include "namenode/core/heartbeat_board.h"
#include "namenode/core/lease_manager.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/notice.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// What queries see: swapped in one step when a batch is durable or the cluster's membership changes.
struct PublishedState {
  std::shared_ptr<const MetaView> meta;
  std::shared_ptr<const ClusterView> cluster;
};

struct NamenodeCoreOptions {
  CoreSettings settings;
  NamespaceInfo info;
  Counters counters;  // as stored by the start's epoch commit
  protocol::NamenodeIdentity identity;
  TokenKey token_key;
  uint64_t seed = 0;
};

// One thread only, except published().
class NamenodeCore {
 public:
  // `view`: the state after the epoch commit. `replicas` outlives this.
  NamenodeCore(NamenodeCoreOptions options, std::shared_ptr<const MetaView> view, ReplicaStore* replicas);

  // Reads what soft state needs at a start: the `open` family (every lease gets a fresh limit) and the storages known
  // before. Its cost grows with open files and datanodes, not with files.
  absl::Status Recover(MonotonicTime now);

  // ---- clients ------------------------------------------------------------------------------------------------
  // The answer comes out of FinishBatch or Tick under the same ticket, unless an error is returned here.
  absl::Status Submit(uint64_t ticket, ClientMutation operation, MonotonicTime now);
  protocol::RenewLeaseReply RenewLease(const protocol::RenewLeaseRequest& request, MonotonicTime now);
  absl::StatusOr<protocol::SetSafeModeReply> SetSafeMode(const Caller& caller,
                                                         const protocol::SetSafeModeRequest& request,
                                                         MonotonicTime now);
  protocol::ReportBadReplicaReply ReportBadReplica(const protocol::ReportBadReplicaRequest& request);
  absl::StatusOr<protocol::GetFsStatsReply> GetFsStats(MonotonicTime now) const;
  protocol::GetDatanodeReportReply GetDatanodeReport(MonotonicTime now) const;
  protocol::GetServerDefaultsReply GetServerDefaults() const;

  // ---- datanodes ----------------------------------------------------------------------------------------------
  absl::StatusOr<protocol::RegisterReply> Register(const protocol::RegisterRequest& request, MonotonicTime now);
  protocol::ReportReply OnIncrementalReport(const protocol::IncrementalReportRequest& request, MonotonicTime now);
  protocol::ReportReply OnFullReport(const protocol::FullReportSlice& slice, MonotonicTime now);
  // Takes arrivals from the board and puts commands and sessions on it. The caller holds whatever guards the board.
  void Exchange(HeartbeatBoard* board, MonotonicTime now);

  // ---- time and commits ---------------------------------------------------------------------------------------
  // Leases, liveness, redundancy, the reaper, waiting operations. Every 20 to 100 ms. Returns answers of operations
  // that waited in vain, or for nothing because this namenode was fenced.
  std::vector<Finished> Tick(MonotonicTime now);
  std::optional<CommitBatch> BeginBatch(MonotonicTime now, WallTime wall);
  // `view`: the newest state after a successful commit; ignored after a failed one.
  std::vector<Finished> FinishBatch(const absl::Status& committed, std::shared_ptr<const MetaView> view,
                                    MonotonicTime now);

  // Below the floor: safe mode until space is back (heals by itself).
  void SetLowSpace(bool low, MonotonicTime now);
  // Lines for the log since the last call (contract C-24): what was repaired, refused or switched. Bounded.
  std::vector<Notice> TakeNotices();

  PublishedState published() const { return published_; }
  // Nothing changes any more: a commit failed, or fenced().
  bool stopped() const { return queue_.stopped(); }
  // A higher epoch was seen on enough datanodes: another namenode serves this namespace; this one must stop (C-12).
  bool fenced() const { return fenced_; }
  const protocol::NamenodeIdentity& identity() const { return options_.identity; }
  const CoreSettings& settings() const { return options_.settings; }
  const NamespaceInfo& info() const { return options_.info; }
  const TokenKey& token_key() const { return options_.token_key; }
  const CommitQueue& queue() const { return queue_; }
  const BlockManager& blocks() const { return blocks_; }
  const LeaseManager& leases() const { return leases_; }
  const FileRecovery& recovery() const { return recovery_; }

 private:
  std::optional<std::string> SafeModeTip(MonotonicTime now) const;
  protocol::ReportReply Reported(const absl::StatusOr<ReportOutcome>& outcome, MonotonicTime now);
  void Apply(const Effect& effect, MonotonicTime now);
  void WakeWaiting(const std::vector<BlockId>& confirmed);
  void PublishCluster();
  void Fence();
  void Tell(std::string text, bool trouble = false);

  NamenodeCoreOptions options_;
  LeaseManager leases_;
  BlockManager blocks_;
  FileRecovery recovery_;
  CommitQueue queue_;
  PublishedState published_;
  std::map<DatanodeUuid, Epoch> higher_epochs_;
  bool fenced_ = false;
  std::vector<Finished> refused_by_fencing_;  // leave with the next tick
  bool was_in_safe_mode_ = true;
  MonotonicTime last_session_expiry_{};
  WallTime last_wall_;
  std::vector<Notice> notices_;
};

// Puts locations and read tokens into an answer of GetBlockLocations. Thread-safe.
// `meta`: the view the answer was made from; the pipeline of an open last block is looked up in it.
void AddLocations(const MetaReader& meta, const ReplicaStore& replicas, const ClusterView& cluster, const TokenKey& key,
                  const Caller& caller, WallTime now, protocol::GetBlockLocationsReply* reply);

// The token a writer presents to the pipeline of a new block.
std::string MintWriteToken(const TokenKey& key, const std::string& user, BlockId block, WallTime now);

}  // namespace dolmen::namenode
