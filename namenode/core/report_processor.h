// What reports of datanodes change: the judgement of each reported replica (HDFS's table, with quarantine) and the
// order of events that arrive late, twice or not at all.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/protocol/datanode_namenode.h"
#include "namenode/core/datanode_registry.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/quarantine.h"
#include "namenode/core/records.h"
#include "namenode/core/redundancy_planner.h"
#include "namenode/core/replica_map.h"
#include "namenode/core/safe_mode.h"

namespace dolmen::namenode {

// A datanode's answer to a FreezeReplicaCommand.
struct FrozenReplica {
  DatanodeUuid datanode;
  StorageId storage;
  protocol::ReportedReplica replica;
};

struct ReportOutcome {
  // Blocks for which a finalized replica with the record's stamp (and length, once that is fixed) was confirmed that
  // was not before. In the order of the report.
  std::vector<BlockId> newly_confirmed;
  std::vector<FrozenReplica> frozen;  // in the order of the report
  // The report is of an unknown or older session: nothing was done.
  bool must_register = false;
};

// Since the start.
struct ReportCounters {
  uint64_t old_sessions = 0;    // reports of sessions that are over
  uint64_t old_rounds = 0;      // slices overtaken by a later round
  uint64_t late_claims = 0;     // statements about a replica that newer evidence outranks
  uint64_t unknown_blocks = 0;  // replicas of blocks that do not exist, to be deleted
};

// One thread only. Idempotent: a report may be handed in again after an error.
class ReportProcessor {
 public:
  static constexpr size_t kMaxSliceReplicas = 1000;       // by protocol
  static constexpr size_t kMaxIncrementalEntries = 1000;  // by protocol
  // A slice that removes more than this is taken in several rounds, to keep the core responsive. Chosen.
  static constexpr size_t kMaxRemovalsPerSlice = 20'000;

  // All outlive this.
  ReportProcessor(DatanodeRegistry* registry, ReplicaMap* map, RedundancyPlanner* planner, Quarantine* quarantine,
                  SafeMode* safe_mode)
      : registry_(*registry), map_(*map), planner_(*planner), quarantine_(*quarantine), safe_mode_(*safe_mode) {}

  // Errors: kIllegalArgument for a report of a wrong shape, kDamaged or kIo from the stores.
  absl::StatusOr<ReportOutcome> OnIncremental(const protocol::IncrementalReportRequest& request,
                                              const MetaReader& published, MonotonicTime now);
  absl::StatusOr<ReportOutcome> OnSlice(const protocol::FullReportSlice& slice, const MetaReader& published,
                                        MonotonicTime now);

  const ReportCounters& counters() const { return counters_; }
  // Datanodes whose reports were cut short; cleared by the call.
  std::set<DatanodeUuid> TakeReportsWanted() { return std::exchange(reports_wanted_, {}); }

 private:
  // One report being handled.
  struct Context {
    const MetaReader& published;
    MonotonicTime now;
    Counters limits;        // ids and stamps below were handed out
    bool is_slice = false;  // of a full report
    ReportOutcome outcome{};
    std::set<BlockId> to_judge{};
  };
  absl::StatusOr<Context> Begin(const MetaReader& published, MonotonicTime now);
  absl::Status Finish(Context* context);
  bool IsPresent(const DatanodeUuid& datanode, uint64_t session);

  absl::Status OnPresent(const DatanodeStorage& storage, const protocol::ReportedReplica& replica, Context* context);
  absl::Status OnDeleted(const DatanodeStorage& storage, const protocol::Block& block, Context* context);
  absl::Status OnMissing(const DatanodeStorage& storage, BlockId block, Context* context);
  // May a statement about the replica, in this report, stand against what is known?
  bool IsOutranked(const DatanodeStorage& storage, const ReplicaRecord& known,
                   const protocol::ReportedReplica& reported, const Context& context) const;
  // Writes the record and keeps the count of safe blocks.
  absl::Status Change(const DatanodeStorage& storage, BlockId block, const std::optional<BlockRecord>& record,
                      const std::optional<ReplicaRecord>& before, const std::optional<ReplicaRecord>& after,
                      Context* context);

  DatanodeRegistry& registry_;
  ReplicaMap& map_;
  RedundancyPlanner& planner_;
  Quarantine& quarantine_;
  SafeMode& safe_mode_;
  ReportCounters counters_;
  std::set<DatanodeUuid> reports_wanted_;
};

}  // namespace dolmen::namenode
