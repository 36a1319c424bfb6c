#include "namenode/core/redundancy_planner.h"

#include <algorithm>
#include <optional>

#include "common/error.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {
namespace {

using Why = DeletionQueue::Why;
using protocol::Block;

// HDFS gives up the most silent datanode's replica first when it missed this many heartbeats.
constexpr int kSilentHeartbeats = 4;
// Blocks looked at per level and tick, beyond those that may be ordered; many of them wait for something.
constexpr size_t kLooksPerLevel = 200;

const StoredReplica* On(const std::vector<StoredReplica>& replicas, uint32_t storage) {
  for (const StoredReplica& replica : replicas) {
    if (replica.storage == storage) return &replica;
  }
  return nullptr;
}

Block AsBlock(const StoredReplica& replica) { return {replica.block, replica.record.stamp, replica.record.length}; }

void InsertBounded(std::set<BlockId>* blocks, BlockId block, size_t bound) {
  if (blocks->size() < bound) blocks->insert(block);
}

uint32_t Wanted(const BlockRecord& record) { return std::max<uint32_t>(record.replicas_wanted, 1); }

}  // namespace

RedundancyPlanner::RedundancyPlanner(const CoreSettings* settings, DatanodeRegistry* registry, ReplicaMap* map,
                                     ScheduledSpace* scheduled, uint64_t seed)
    : settings_(*settings),
      registry_(*registry),
      map_(*map),
      scheduled_(*scheduled),
      policy_(settings, registry, scheduled),
      random_(seed),
      copies_(settings->max_queued_blocks),
      deletions_(settings->max_queued_blocks) {}

BlockHealth RedundancyPlanner::Judge(BlockId block, const BlockRecord& record,
                                     const std::vector<StoredReplica>& replicas, MonotonicTime now) {
  if (record.state != BlockState::kCommitted || IsSettling(block)) {
    copies_.Erase(block);
    return BlockHealth();
  }
  BlockHealth health = Assess({block, record.stamp, record.length}, replicas, registry_, deletions_, now);
  const uint32_t wanted = Wanted(record);
  if (const std::optional<CopyLevel> level = CopyLevelOf(health, wanted, registry_); level.has_value()) {
    copies_.Put(block, *level, wanted == 1);
  } else {
    copies_.Erase(block);
  }
  if (health.has_corrupt) {
    InsertBounded(&with_corrupt_, block, settings_.max_queued_blocks);
  } else {
    with_corrupt_.erase(block);
  }
  PlanExcess(block, record, health, replicas, now);
  return health;
}

absl::Status RedundancyPlanner::Judge(BlockId block, const MetaReader& published, MonotonicTime now) {
  if (IsSettling(block)) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(published, block));
  if (!record.has_value()) {
    Freed(block);
    return absl::OkStatus();
  }
  DOLMEN_ASSIGN_OR_RETURN(std::vector<StoredReplica> replicas, map_.OfBlock(block));
  Judge(block, *record, replicas, now);
  return absl::OkStatus();
}

void RedundancyPlanner::PlanExcess(BlockId block, const BlockRecord& record, const BlockHealth& health,
                                   const std::vector<StoredReplica>& replicas, MonotonicTime now) {
  const uint32_t wanted = Wanted(record);
  postponed_.erase(block);
  const bool superfluous =
      health.good.size() > wanted || !health.duplicates.empty() || !health.bad.empty() || !health.writing.empty();
  if (!superfluous || health.good.size() < wanted) return;
  if (health.solid.size() < wanted) {
    InsertBounded(&postponed_, block, settings_.max_queued_blocks);
    return;
  }
  Sentence(health.bad, Why::kBad, replicas);
  Sentence(health.writing, Why::kBad, replicas);
  Sentence(health.duplicates, Why::kExcess, replicas);
  if (health.good.size() <= wanted) return;
  std::vector<ExcessCandidate> candidates;
  for (uint32_t number : health.good) {
    const DatanodeStorage& storage = *registry_.FindStorage(number);
    candidates.push_back({.storage = number,
                          .rack = storage.datanode->info.rack,
                          .silent = now - storage.datanode->last_contact,
                          .remaining_bytes = storage.report.remaining_bytes,
                          .solid = std::binary_search(health.solid.begin(), health.solid.end(), number)});
  }
  const std::vector<uint32_t> excess =
      ChooseExcess(std::move(candidates), wanted, kSilentHeartbeats * settings_.heartbeat_interval);
  if (excess.size() < health.good.size() - wanted) InsertBounded(&postponed_, block, settings_.max_queued_blocks);
  Sentence(excess, Why::kExcess, replicas);
}

void RedundancyPlanner::Sentence(const std::vector<uint32_t>& storages, Why why,
                                 const std::vector<StoredReplica>& replicas) {
  for (uint32_t storage : storages) {
    const StoredReplica* const replica = On(replicas, storage);
    // A full queue is no loss: the scan comes by again.
    if (replica != nullptr) (void)deletions_.Add(storage, AsBlock(*replica), why);
  }
}

void RedundancyPlanner::Committed(BlockId block, MonotonicTime now) {
  if (settling_.size() >= settings_.max_queued_blocks) return;
  if (settling_.insert_or_assign(block, now + kSettleTime).second) settling_order_.push_back(block);
}

void RedundancyPlanner::Freed(BlockId block) {
  settling_.erase(block);
  recheck_.erase(block);
  postponed_.erase(block);
  with_corrupt_.erase(block);
  copies_.Erase(block);
  pending_.Forget(block);
}

bool RedundancyPlanner::Unwanted(uint32_t storage, const Block& replica) {
  // An order that went to an earlier session is lost: the replica outlived it.
  const DeletionQueue::Entry* const entry = deletions_.Find(storage, replica.id);
  const DatanodeStorage* const found = registry_.FindStorage(storage);
  if (entry != nullptr && found != nullptr && entry->ordered && entry->session != found->session) {
    deletions_.Remove(storage, replica.id);
  }
  return deletions_.Add(storage, replica, Why::kNoSuchBlock);
}

void RedundancyPlanner::ReplicaArrived(BlockId block, uint32_t storage) {
  scheduled_.Arrived(storage);
  const DatanodeStorage* const found = registry_.FindStorage(storage);
  if (found != nullptr && found->datanode != nullptr) pending_.Arrived(block, found->datanode->info.uuid);
}

void RedundancyPlanner::ReplicaSeen(BlockId block, const DatanodeStorage& storage) {
  const DeletionQueue::Entry* const entry = deletions_.Find(storage.number, block);
  if (entry == nullptr || !IsSettled(*entry, storage)) return;
  deletions_.Remove(storage.number, block);
  JudgeLater(block);
}

void RedundancyPlanner::SliceSeen(const DatanodeStorage& storage, BlockId first, BlockId last,
                                  const std::vector<protocol::ReportedReplica>& listed) {
  for (BlockId block : deletions_.InRange(storage.number, first, last)) {
    const auto at = std::lower_bound(listed.begin(), listed.end(), block,
                                     [](const protocol::ReportedReplica& l, BlockId r) { return l.block.id < r; });
    if (at != listed.end() && at->block.id == block) continue;
    // Of a block that does not exist the queue may forget: if the slice was older than what it knows, the next full
    // report tells again. Otherwise the slice must be younger than the order.
    const DeletionQueue::Entry& entry = *deletions_.Find(storage.number, block);
    if (entry.why == Why::kNoSuchBlock || IsSettled(entry, storage)) deletions_.Remove(storage.number, block);
  }
}

bool RedundancyPlanner::IsSettled(const DeletionQueue::Entry& entry, const DatanodeStorage& storage) {
  if (!entry.ordered) return false;
  // A datanode acts on everything it received before it registers anew, and drops what it did not.
  if (entry.session != storage.session) return true;
  return entry.held && storage.progress.Contradicts(entry.evidence);
}

void RedundancyPlanner::OnStorageLost(uint32_t storage) { deletions_.OnStorageLost(storage); }

void RedundancyPlanner::OnDatanodeLost(const DatanodeUuid& datanode) {
  for (BlockId block : pending_.OnDatanodeLost(datanode)) JudgeLater(block);
}

void RedundancyPlanner::OnFreshness() {
  for (BlockId block : std::exchange(postponed_, {})) JudgeLater(block);
}

void RedundancyPlanner::JudgeLater(BlockId block) { InsertBounded(&recheck_, block, settings_.max_queued_blocks); }

absl::Status RedundancyPlanner::Tick(const MetaReader& published, MonotonicTime now) {
  for (BlockId block : pending_.Expire(now)) JudgeLater(block);
  while (!settling_order_.empty()) {
    const auto due = settling_.find(settling_order_.front());
    if (due != settling_.end()) {
      if (due->second > now || recheck_.size() >= settings_.max_queued_blocks) break;
      JudgeLater(due->first);
      settling_.erase(due);
    }
    settling_order_.pop_front();
  }
  for (size_t judged = 0; judged < settings_.scan_blocks_per_tick && !recheck_.empty(); ++judged) {
    const BlockId block = *recheck_.begin();
    recheck_.erase(recheck_.begin());
    DOLMEN_RETURN_IF_ERROR(Judge(block, published, now), "judging a block's replicas");
  }
  return absl::OkStatus();
}

absl::Status RedundancyPlanner::Plan(const MetaReader& published, MonotonicTime now,
                                     std::vector<CommandFor>* commands) {
  DOLMEN_RETURN_IF_ERROR(PlanCopies(published, now, commands), "planning copies");
  return Annotate(PlanDeletions(published, now, commands), "planning deletions");
}

absl::Status RedundancyPlanner::PlanCopies(const MetaReader& published, MonotonicTime now,
                                           std::vector<CommandFor>* commands) {
  const size_t at_a_time = registry_.usable_count() * settings_.copies_per_datanode;
  size_t budget = settings_.copies_per_plan;
  for (CopyLevel level : {CopyLevel::kHighest, CopyLevel::kVeryLow, CopyLevel::kLow, CopyLevel::kBadlyPlaced}) {
    const size_t most = at_a_time * (level == CopyLevel::kHighest ? 2 : 1);
    budget = std::min(budget, most - std::min(most, pending_.size()));
    if (budget == 0) break;
    for (BlockId block : copies_.NextOf(level, budget + kLooksPerLevel)) {
      if (budget == 0) break;
      if (pending_.Contains(block)) continue;
      DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(published, block));
      if (!record.has_value()) {
        Freed(block);
        continue;
      }
      DOLMEN_ASSIGN_OR_RETURN(std::vector<StoredReplica> replicas, map_.OfBlock(block));
      const BlockHealth health = Judge(block, *record, replicas, now);
      if (copies_.Contains(block) && PlanCopy(block, *record, health, replicas, now, commands)) --budget;
    }
  }
  return absl::OkStatus();
}

const DatanodeStorage* RedundancyPlanner::ChooseSource(const BlockHealth& health, uint64_t bytes, bool urgent) {
  const uint64_t factor = urgent ? 2 : 1;
  const auto has_room = [&](const Datanode& datanode) {
    const PendingCopies::Load load = pending_.LoadOf(datanode.info.uuid);
    return load.blocks == 0 || (load.blocks < settings_.copies_per_datanode * factor &&
                                load.bytes + bytes <= settings_.copy_bytes_per_datanode * factor);
  };
  std::vector<const DatanodeStorage*> sources;
  for (bool live : {true, false}) {
    for (uint32_t number : health.good) {
      const DatanodeStorage* const storage = registry_.FindStorage(number);
      const Datanode& datanode = *storage->datanode;
      if (datanode.IsLive() == live && has_room(datanode)) sources.push_back(storage);
    }
    if (!sources.empty()) return sources[random_.Uniform(sources.size())];
  }
  return nullptr;
}

bool RedundancyPlanner::PlanCopy(BlockId block, const BlockRecord& record, const BlockHealth& health,
                                 const std::vector<StoredReplica>& replicas, MonotonicTime now,
                                 std::vector<CommandFor>* commands) {
  const uint32_t wanted = Wanted(record);
  const size_t good = health.good.size();
  if (good == 0) return false;
  const bool spread_only = good >= wanted;
  // A datanode that just registered has its say before its replicas are replaced.
  if (!spread_only && good + health.awaited.size() >= wanted) return false;
  const DatanodeStorage* const source = ChooseSource(health, record.length, good == 1);
  if (source == nullptr) return false;

  TargetRequest request;
  request.wanted = spread_only ? 1 : static_cast<uint32_t>(wanted - good);
  request.block_bytes = record.length;
  request.writer_host = source->datanode->info.host_name;
  std::set<std::string> racks;
  for (uint32_t number : health.good) {
    request.existing.push_back(registry_.FindStorage(number)->datanode->info.uuid);
    racks.insert(registry_.FindStorage(number)->datanode->info.rack);
  }
  for (uint32_t number : health.holders) {
    const DatanodeUuid& uuid = registry_.FindStorage(number)->datanode->info.uuid;
    if (std::find(request.existing.begin(), request.existing.end(), uuid) == request.existing.end()) {
      request.excluded.push_back(uuid);
    }
  }
  const absl::StatusOr<std::vector<PlacementTarget>> targets = policy_.Choose(request, random_);
  if (!targets.ok()) {
    // No place left: a bad replica may be sitting on it.
    if (spread_only || health.solid.empty()) return false;
    for (const std::vector<uint32_t>* in_the_way : {&health.bad, &health.writing}) {
      if (in_the_way->empty()) continue;
      Sentence({in_the_way->front()}, Why::kMakeRoom, replicas);
      break;
    }
    return false;
  }
  if (spread_only && racks.contains(targets->front().location.datanode.rack)) return false;

  protocol::CopyReplicaCommand command;
  command.block = {block, record.stamp, record.length};
  std::set<DatanodeUuid> expected;
  for (const PlacementTarget& target : *targets) {
    command.targets.push_back(target.location);
    expected.insert(target.location.datanode.uuid);
    scheduled_.Add(target.storage, record.length);
  }
  const DatanodeUuid& sender = source->datanode->info.uuid;
  pending_.Add(command.block, sender, std::move(expected), now + settings_.pending_copy_timeout);
  commands->emplace_back(sender, std::move(command));
  return true;
}

absl::Status RedundancyPlanner::PlanDeletions(const MetaReader& published, MonotonicTime now,
                                              std::vector<CommandFor>* commands) {
  deletions_.WakeBefore(now - settings_.dead_after - kActTime);
  std::map<DatanodeUuid, size_t> ordered;
  for (uint32_t number : deletions_.WaitingStorages()) {
    const DatanodeStorage* const storage = registry_.FindStorage(number);
    if (storage == nullptr || storage->session == 0) continue;
    const DatanodeUuid& uuid = storage->datanode->info.uuid;
    size_t& count = ordered[uuid];
    protocol::DeleteReplicasCommand command;
    command.storage = storage->report.id;
    for (BlockId block : deletions_.Waiting(number, settings_.max_deletes_per_command - count)) {
      const DeletionQueue::Entry entry = *deletions_.Find(number, block);
      Block replica = entry.block;
      DOLMEN_ASSIGN_OR_RETURN(Verdict verdict, Review(number, entry, published, now, &replica));
      if (verdict == Verdict::kDelete) {
        deletions_.MarkOrdered(number, block, now, storage->session);
        command.blocks.push_back(replica);
      } else if (entry.ordered) {
        // It may be gone already, so it keeps nobody safe; the datanode's next full reports tell.
        deletions_.Hold(number, block, now, storage->session, storage->progress.IncrementalEvidence());
        reports_wanted_.insert(uuid);
      } else {
        deletions_.Remove(number, block);
        JudgeLater(block);
      }
    }
    count += command.blocks.size();
    if (!command.blocks.empty()) commands->emplace_back(uuid, std::move(command));
  }
  return absl::OkStatus();
}

absl::StatusOr<RedundancyPlanner::Verdict> RedundancyPlanner::Review(uint32_t storage,
                                                                     const DeletionQueue::Entry& entry,
                                                                     const MetaReader& published, MonotonicTime now,
                                                                     Block* replica) {
  const BlockId block = entry.block.id;
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(published, block));
  if (!record.has_value()) {
    (void)deletions_.Add(storage, entry.block, Why::kNoSuchBlock);  // known: only the reason changes
    return Verdict::kDelete;
  }
  if (entry.why == Why::kNoSuchBlock || record->state != BlockState::kCommitted) return Verdict::kKeep;
  DOLMEN_ASSIGN_OR_RETURN(std::vector<StoredReplica> replicas, map_.OfBlock(block));
  const StoredReplica* const here = On(replicas, storage);
  if (here == nullptr || !registry_.FindStorage(storage)->Confirms(here->record.session) ||
      here->record.stamp != entry.block.stamp || here->record.state == protocol::ReplicaState::kDeleted) {
    return Verdict::kKeep;
  }
  *replica = AsBlock(*here);
  const Block exact{block, record->stamp, record->length};
  if (IsExactly(here->record, exact) != (entry.why == Why::kExcess)) return Verdict::kKeep;
  // A stamp above the record's was never put on the queue; it could only be raised since.
  if (here->record.stamp > record->stamp) return Verdict::kKeep;
  const BlockHealth health = Assess(exact, replicas, registry_, deletions_, now);
  const size_t vouching = entry.why == Why::kMakeRoom ? 1 : Wanted(*record);
  return health.solid.size() >= vouching ? Verdict::kDelete : Verdict::kKeep;
}

}  // namespace dolmen::namenode
