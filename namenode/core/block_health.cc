#include "namenode/core/block_health.h"

#include <algorithm>
#include <map>
#include <set>

#include "namenode/core/placement_policy.h"

namespace dolmen::namenode {

using protocol::ReplicaState;

bool IsExactly(const ReplicaRecord& record, const protocol::Block& block) {
  return record.state == ReplicaState::kFinalized && record.stamp == block.stamp && record.length == block.length;
}

BlockHealth Assess(const protocol::Block& block, const std::vector<StoredReplica>& replicas,
                   const DatanodeRegistry& registry, const DeletionQueue& deletions, MonotonicTime now) {
  BlockHealth health;
  std::map<DatanodeUuid, const DatanodeStorage*> chosen;  // of datanodes with good replicas
  for (const StoredReplica& replica : replicas) {
    const DatanodeStorage* const storage = registry.FindStorage(replica.storage);
    if (storage == nullptr || storage->session == 0 || replica.record.state == ReplicaState::kDeleted) continue;
    health.holders.push_back(replica.storage);
    if (!storage->Confirms(replica.record.session)) {
      if (IsExactly(replica.record, block) && !storage->IsFresh() &&
          now - storage->datanode->registered_at.value_or(now) < kReportPatience) {
        health.awaited.push_back(replica.storage);
      }
      continue;
    }
    if (IsExactly(replica.record, block)) {
      if (deletions.Contains(replica.storage, block.id)) continue;
      const DatanodeStorage*& best = chosen[storage->datanode->info.uuid];
      if (best != nullptr && (best->IsFresh() || !storage->IsFresh())) {
        health.duplicates.push_back(storage->number);
      } else {
        if (best != nullptr) health.duplicates.push_back(best->number);
        best = storage;
      }
    } else if (replica.record.stamp == block.stamp && replica.record.state == ReplicaState::kBeingWritten) {
      health.writing.push_back(replica.storage);
    } else if (replica.record.stamp <= block.stamp) {
      health.bad.push_back(replica.storage);
      health.has_corrupt |= replica.record.stamp == block.stamp;
    }
    // Of a newer stamp: somebody knows more than we do; neither good nor ever deleted.
  }
  for (const auto& [uuid, storage] : chosen) {
    health.good.push_back(storage->number);
    if (storage->IsFresh() && storage->datanode->IsLive()) health.solid.push_back(storage->number);
  }
  std::sort(health.good.begin(), health.good.end());
  std::sort(health.solid.begin(), health.solid.end());
  std::sort(health.duplicates.begin(), health.duplicates.end());
  return health;
}

std::optional<CopyLevel> CopyLevelOf(const BlockHealth& health, uint32_t wanted, const DatanodeRegistry& registry) {
  const size_t good = health.good.size();
  if (good == 0) return CopyLevel::kMissing;
  if (good < wanted) {
    if (good == 1) return CopyLevel::kHighest;
    return good * 3 < wanted ? CopyLevel::kVeryLow : CopyLevel::kLow;
  }
  const uint32_t racks_wanted = RacksWanted(wanted, registry.topology().racks.size());
  if (racks_wanted < 2) return std::nullopt;
  std::set<std::string> racks;
  for (uint32_t storage : health.good) racks.insert(registry.FindStorage(storage)->datanode->info.rack);
  return racks.size() < racks_wanted ? std::optional(CopyLevel::kBadlyPlaced) : std::nullopt;
}

std::vector<uint32_t> ChooseExcess(std::vector<ExcessCandidate> candidates, uint32_t wanted, Duration silence_limit) {
  std::vector<uint32_t> chosen;
  auto solid = static_cast<size_t>(
      std::count_if(candidates.begin(), candidates.end(), [](const ExcessCandidate& c) { return c.solid; }));
  if (solid < wanted) return chosen;
  while (candidates.size() > wanted) {
    std::map<std::string, size_t> racks;
    for (const ExcessCandidate& candidate : candidates) ++racks[candidate.rack];
    const bool shared_only =
        racks.size() == 2 && std::any_of(racks.begin(), racks.end(), [](const auto& rack) { return rack.second >= 2; });
    auto victim = candidates.end();
    for (auto at = candidates.begin(); at != candidates.end(); ++at) {
      if (at->solid && solid <= wanted) continue;
      if (shared_only && racks[at->rack] < 2) continue;
      const auto is_better = [&] {
        const bool at_silent = at->silent > silence_limit;
        const bool victim_silent = victim->silent > silence_limit;
        if (at_silent != victim_silent) return at_silent;
        if (at_silent && at->silent != victim->silent) return at->silent > victim->silent;
        return at->remaining_bytes < victim->remaining_bytes;
      };
      if (victim == candidates.end() || is_better()) victim = at;
    }
    if (victim == candidates.end()) break;  // what could go vouches for the rest, or for the second rack
    solid -= victim->solid ? 1 : 0;
    chosen.push_back(victim->storage);
    candidates.erase(victim);
  }
  return chosen;
}

int SafeCountChange(const protocol::Block& block, const std::vector<StoredReplica>& replicas, uint32_t storage,
                    bool accounted_before, bool accounted_after, const DatanodeRegistry& registry) {
  if (accounted_before == accounted_after) return 0;
  for (const StoredReplica& replica : replicas) {
    if (replica.storage == storage || !IsExactly(replica.record, block)) continue;
    const DatanodeStorage* const other = registry.FindStorage(replica.storage);
    if (other != nullptr && other->Accounts(block.id, replica.record.session)) return 0;
  }
  return accounted_after ? 1 : -1;
}

}  // namespace dolmen::namenode
