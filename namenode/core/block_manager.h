// Blocks and datanodes: who is there, who has what, and what is to be copied or deleted. A coordinator: the decisions
// are in the classes it owns.
//
// Nothing here is durable but hints (ReplicaStore) and quarantined ranges, which are stored with the namespace;
// everything else is learnt again from registrations and reports.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/protocol/client_namenode.h"
#include "common/protocol/datanode_namenode.h"
#include "namenode/core/datanode_registry.h"
#include "namenode/core/heartbeat_board.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/operation.h"
#include "namenode/core/placement_policy.h"
#include "namenode/core/quarantine.h"
#include "namenode/core/redundancy_planner.h"
#include "namenode/core/replica_map.h"
#include "namenode/core/replica_scanner.h"
#include "namenode/core/replica_view.h"
#include "namenode/core/report_processor.h"
#include "namenode/core/safe_mode.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

struct Registration {
  // Session and intervals are set; identity and token key are the caller's to fill in.
  protocol::RegisterReply reply;
  // The datanode saw ids or stamps beyond the counters: the namespace was restored from a backup. The counters must be
  // raised to these, durably, before the next id is handed out; the ids jumped over are in quarantine already, and the
  // commit that raises the counters has to hold `quarantined`.
  std::optional<BlockId> raise_next_block;
  std::optional<GenerationStamp> raise_next_stamp;
  std::vector<MetaWrite> quarantined;
};

// Core thread only. `published` is always the newest published state. Methods that return a status other than for a
// request's own faults fail only when a store does; they may be called again.
class BlockManager final : public ReplicaView {
 public:
  static constexpr size_t kMaxVerifications = 10'000;                // asked for and not settled
  static constexpr size_t kVerificationsPerTurn = 10;                // per datanode and redundancy interval
  static constexpr std::chrono::seconds kReportRequestInterval{10};  // per datanode, at least
  static constexpr std::chrono::seconds kScheduledRoll{60};

  // `settings` and `store` outlive this.
  BlockManager(const CoreSettings* settings, ClusterId cluster, Epoch epoch, ReplicaStore* store, uint64_t seed);
  BlockManager(const BlockManager&) = delete;
  BlockManager& operator=(const BlockManager&) = delete;

  // Once, before anything else: storages known before, and the number of blocks that safe mode waits for.
  absl::Status Recover(const MetaReader& published, MonotonicTime now);

  // ---- datanodes ----------------------------------------------------------------------------------------------
  // Errors: see DatanodeRegistry::Register. Publish the sessions to the heartbeat board before answering.
  // `newest`: the counters, those of a batch that is not published yet included.
  absl::StatusOr<Registration> Register(const protocol::RegisterRequest& request, const Counters& newest,
                                        MonotonicTime now);
  void OnHeartbeat(const HeartbeatFacts& facts);
  // See ReportProcessor. After an error the datanode must send the report again.
  absl::StatusOr<ReportOutcome> OnIncrementalReport(const protocol::IncrementalReportRequest& request,
                                                    const MetaReader& published, MonotonicTime now);
  absl::StatusOr<ReportOutcome> OnFullReportSlice(const protocol::FullReportSlice& slice, const MetaReader& published,
                                                  MonotonicTime now);
  // A reader's hint (contract C-17): the datanode is asked to verify itself; nothing else changes.
  void ReportBad(const protocol::ReportBadReplicaRequest& request);

  // ---- namespace ----------------------------------------------------------------------------------------------
  // After the batch that caused it was published. Effects that concern leases are ignored.
  void Apply(const Effect& effect);

  // ---- time ---------------------------------------------------------------------------------------------------
  // Liveness at each call; sweeps in bounded steps at each call; the rest once per redundancy_interval. Copies and
  // deletions are ordered only if `work_allowed` and not in safe mode.
  absl::Status Tick(MonotonicTime now, const MetaReader& published, bool work_allowed);
  // Commands decided since the last call, for the heartbeat board. The token of every CopyReplicaCommand is empty: the
  // caller mints it (kCopy on command.block).
  std::vector<CommandFor> TakeCommands() { return std::exchange(commands_, {}); }

  // ---- ReplicaView --------------------------------------------------------------------------------------------
  int ConfirmedReplicas(const protocol::Block& block) const override;
  std::vector<protocol::ReplicaLocation> ConfirmedLocations(const protocol::Block& block,
                                                            bool live_only) const override;
  size_t LiveDatanodes() const override { return registry_.live_count(); }
  // Also notes the space as promised for a while, whether or not the block comes to be.
  absl::StatusOr<std::vector<protocol::ReplicaLocation>> ChooseTargets(const TargetRequest& request,
                                                                       Random& random) const override;
  bool IsRegistered(const DatanodeUuid& datanode) const override;
  std::optional<protocol::ReplicaLocation> Locate(const DatanodeUuid& datanode,
                                                  const StorageId& storage) const override;

  // ---- looking in ---------------------------------------------------------------------------------------------
  // For queries; the same object until it changes.
  std::shared_ptr<const ClusterView> View() { return registry_.View(); }
  std::map<DatanodeUuid, uint64_t> Sessions() const { return registry_.Sessions(); }
  SafeMode& safe_mode() { return safe_mode_; }
  const SafeMode& safe_mode() const { return safe_mode_; }
  const DatanodeRegistry& registry() const { return registry_; }
  const RedundancyPlanner& planner() const { return planner_; }
  const ReplicaScanner& scanner() const { return scanner_; }
  const ReportCounters& report_counters() const { return reports_.counters(); }
  uint64_t quarantine_sightings() const { return quarantine_.sightings(); }
  // Fills in what concerns datanodes, replicas and safe mode.
  void FillFsStats(protocol::GetFsStatsReply* reply, MonotonicTime now) const;
  protocol::GetDatanodeReportReply DatanodeReport(MonotonicTime now) const;
  // Lines for the log since the last call; bounded.
  std::vector<Notice> TakeNotices();

 private:
  struct Verification {
    protocol::Block block;
    std::optional<MonotonicTime> asked;
  };

  void OnChanges(const StorageChanges& changes);
  void OnFreed(const protocol::Block& block);
  bool CountsAreSettled() const;
  void PlanVerifications(MonotonicTime now);
  void PlanReportRequests(MonotonicTime now);

  const CoreSettings& settings_;
  mutable ReplicaMap map_;            // reading may flush
  mutable ScheduledSpace scheduled_;  // a help for spreading; see ChooseTargets
  DatanodeRegistry registry_;
  SafeMode safe_mode_;
  PlacementPolicy policy_;
  RedundancyPlanner planner_;
  Quarantine quarantine_;
  ReportProcessor reports_;
  ReplicaScanner scanner_;

  MonotonicTime now_{};  // the latest time seen
  MonotonicTime next_turn_{};
  MonotonicTime next_roll_{};
  bool startup_is_over_ = false;
  bool overflowed_ = false;  // the queues' sizes are not the whole truth
  uint64_t overflow_pass_ = 0;
  std::map<std::pair<uint32_t, BlockId>, Verification> verifications_;  // by storage
  std::set<DatanodeUuid> reports_wanted_;
  std::map<DatanodeUuid, MonotonicTime> reports_asked_;
  std::vector<CommandFor> commands_;
};

}  // namespace dolmen::namenode
