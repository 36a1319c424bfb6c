// Decides which replicas to make and which to delete, so that every committed block ends up with as many good replicas
// as its file asks for. Decides from what is known at that moment and remembers orders only as long as they may be
// under way: losing any command is harmless.
//
// Deletion (contract C-15) is decided twice: a replica is put on the queue when it seems superfluous, and the command
// is made only if the same still holds when it is handed out:
//   excess  at least `wanted` other good replicas are on live datanodes whose storages reported fully in their present
//           sessions
//   bad     the same; or one such replica, when the bad one blocks the only place left for a new copy
//   no such block   the published namespace has no record of it
// A replica under sentence is not counted as good by anybody, until a report settles what became of it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/random.h"
#include "namenode/core/block_health.h"
#include "namenode/core/copy_queue.h"
#include "namenode/core/datanode_registry.h"
#include "namenode/core/deletion_queue.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/placement_policy.h"
#include "namenode/core/records.h"
#include "namenode/core/replica_map.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// One thread only. Everything is bounded by max_queued_blocks; what does not fit is found again by the background scan.
class RedundancyPlanner {
 public:
  // Finalize reports of a fresh block get this long before its missing replicas are copied. Chosen: reports leave at
  // once, so what takes longer has failed.
  static constexpr std::chrono::seconds kSettleTime{5};

  // A delete command is surely handed out (or its datanode's session over) and carried out or lost after dead_after,
  // and this long for the datanode to act. Chosen.
  static constexpr std::chrono::seconds kActTime{30};

  // All outlive this.
  RedundancyPlanner(const CoreSettings* settings, DatanodeRegistry* registry, ReplicaMap* map,
                    ScheduledSpace* scheduled, uint64_t seed);

  // Looks at one block and notes what it needs. `record` and `replicas` as they are stored now.
  BlockHealth Judge(BlockId block, const BlockRecord& record, const std::vector<StoredReplica>& replicas,
                    MonotonicTime now);
  // The same, reading both first.
  absl::Status Judge(BlockId block, const MetaReader& published, MonotonicTime now);
  // Not worth judging yet: its reports are still arriving.
  bool IsSettling(BlockId block) const { return settling_.contains(block); }

  // A block was committed; it is judged when it had time to settle.
  void Committed(BlockId block, MonotonicTime now);
  // A block is to have another number of replicas: it is judged soon.
  void WantedChanged(BlockId block) { JudgeLater(block); }
  // A block's record was removed.
  void Freed(BlockId block);
  // A storage has a replica of a block that does not exist. False: no room to note it.
  bool Unwanted(uint32_t storage, const protocol::Block& replica);

  // A finalized replica was reported.
  void ReplicaArrived(BlockId block, uint32_t storage);
  // A replica is gone.
  void ReplicaGone(BlockId block, uint32_t storage) { deletions_.Remove(storage, block); }
  // A slice of a full report lists a replica: if it was to be deleted and should be gone by now, it survived.
  void ReplicaSeen(BlockId block, const DatanodeStorage& storage);
  // A slice of a full report was handled; `listed` are its replicas, by id. Sentences on replicas that are not there
  // end; those with a record are settled by ReplicaGone.
  void SliceSeen(const DatanodeStorage& storage, BlockId first, BlockId last,
                 const std::vector<protocol::ReportedReplica>& listed);
  bool ExpectsCopy(BlockId block, const DatanodeUuid& datanode) const { return pending_.Expects(block, datanode); }

  void OnStorageLost(uint32_t storage);
  void OnStorageDropped(uint32_t storage) { deletions_.OnStorageDropped(storage); }
  // Dead, gone, or registered anew.
  void OnDatanodeLost(const DatanodeUuid& datanode);
  // Storages became fit to vouch for others: deletions that waited for that are looked at again.
  void OnFreshness();

  // Judges what is due: settled blocks, copies that did not arrive, postponed deletions.
  absl::Status Tick(const MetaReader& published, MonotonicTime now);
  // Orders copies and deletions. Never call it in safe mode (contract C-20). Tokens of copies are left empty.
  absl::Status Plan(const MetaReader& published, MonotonicTime now, std::vector<CommandFor>* commands);

  const DeletionQueue& deletions() const { return deletions_; }
  const CopyQueue& copies() const { return copies_; }
  size_t pending_copies() const { return pending_.size(); }
  size_t blocks_with_corrupt_replicas() const { return with_corrupt_.size(); }
  // Datanodes that should report in full because the fate of a replica is unclear; cleared by the call.
  std::set<DatanodeUuid> TakeReportsWanted() { return std::exchange(reports_wanted_, {}); }
  bool TakeOverflowed() { return copies_.TakeOverflowed(); }

 private:
  void JudgeLater(BlockId block);
  void PlanExcess(BlockId block, const BlockRecord& record, const BlockHealth& health,
                  const std::vector<StoredReplica>& replicas, MonotonicTime now);
  void Sentence(const std::vector<uint32_t>& storages, DeletionQueue::Why why,
                const std::vector<StoredReplica>& replicas);
  absl::Status PlanCopies(const MetaReader& published, MonotonicTime now, std::vector<CommandFor>* commands);
  // True: a command was made.
  bool PlanCopy(BlockId block, const BlockRecord& record, const BlockHealth& health,
                const std::vector<StoredReplica>& replicas, MonotonicTime now, std::vector<CommandFor>* commands);
  const DatanodeStorage* ChooseSource(const BlockHealth& health, uint64_t bytes, bool urgent);
  // The command for the replica has had its effect, if any, and the slice at hand knows of it.
  static bool IsSettled(const DeletionQueue::Entry& entry, const DatanodeStorage& storage);
  absl::Status PlanDeletions(const MetaReader& published, MonotonicTime now, std::vector<CommandFor>* commands);
  enum class Verdict { kDelete, kKeep };
  // `replica`: what the storage has now.
  absl::StatusOr<Verdict> Review(uint32_t storage, const DeletionQueue::Entry& entry, const MetaReader& published,
                                 MonotonicTime now, protocol::Block* replica);

  const CoreSettings& settings_;
  DatanodeRegistry& registry_;
  ReplicaMap& map_;
  ScheduledSpace& scheduled_;
  PlacementPolicy policy_;
  Random random_;

  CopyQueue copies_;
  PendingCopies pending_;
  DeletionQueue deletions_;
  std::map<BlockId, MonotonicTime> settling_;  // until when
  std::deque<BlockId> settling_order_;         // may name blocks that were freed meanwhile
  std::set<BlockId> recheck_;
  std::set<BlockId> postponed_;     // deletions wait for storages to report
  std::set<BlockId> with_corrupt_;  // blocks that have a corrupt replica
  std::set<DatanodeUuid> reports_wanted_;
};

}  // namespace dolmen::namenode
