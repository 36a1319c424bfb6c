// Walks replicas in small steps: those of storages that were lost or dropped (sweeps), and, round and round, all blocks
// beside all replicas (the scan), which finds whatever no event told: blocks with too few or too many replicas,
// replicas of blocks that no longer exist, and hints that nobody needs any more.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/ids.h"
#include "namenode/core/datanode_registry.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/redundancy_planner.h"
#include "namenode/core/replica_map.h"
#include "namenode/core/safe_mode.h"

namespace dolmen::namenode {

// One thread only. Bounded by the number of storages.
class ReplicaScanner {
 public:
  // What the last complete pass over all blocks found.
  struct Totals {
    uint64_t under_replicated = 0;
    uint64_t missing = 0;
    uint64_t with_corrupt_replicas = 0;
  };

  // All outlive this.
  ReplicaScanner(DatanodeRegistry* registry, ReplicaMap* map, RedundancyPlanner* planner, SafeMode* safe_mode)
      : registry_(*registry), map_(*map), planner_(*planner), safe_mode_(*safe_mode) {}

  // Its replicas no longer count: look at all its blocks.
  void SweepLost(uint32_t storage) { Add(storage, false); }
  // It is gone for good: erase its records too, then forget it.
  void SweepDropped(uint32_t storage) { Add(storage, true); }
  bool sweeping() const { return !sweeps_.empty(); }

  // At most `limit` replicas of swept storages, one storage after the other.
  absl::Status SweepStep(const MetaReader& published, MonotonicTime now, size_t limit);
  // The next `limit` blocks of the scan.
  absl::Status ScanStep(const MetaReader& published, MonotonicTime now, size_t limit);

  const Totals& last_pass() const { return last_pass_; }
  uint64_t passes() const { return passes_; }

 private:
  struct Sweep {
    uint32_t storage;
    bool erase;
    BlockId next;
  };
  void Add(uint32_t storage, bool erase);
  absl::Status SweepOne(const Sweep& sweep, DatanodeStorage* storage, BlockId block, const MetaReader& published);
  absl::Status ScanBlock(BlockId block, const BlockRecord& record, const std::vector<StoredReplica>& replicas,
                         MonotonicTime now);
  absl::Status ScanOrphan(const StoredReplica& replica);

  DatanodeRegistry& registry_;
  ReplicaMap& map_;
  RedundancyPlanner& planner_;
  SafeMode& safe_mode_;
  std::deque<Sweep> sweeps_;
  BlockId scan_next_;
  Totals this_pass_;
  Totals last_pass_;
  uint64_t passes_ = 0;
};

}  // namespace dolmen::namenode
