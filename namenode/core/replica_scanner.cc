#include "namenode/core/replica_scanner.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/error.h"
#include "namenode/core/block_health.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {
namespace {

// Replicas read beside `limit` blocks, about this many per block; a step that meets more covers fewer blocks.
constexpr size_t kReplicasPerBlock = 8;
constexpr BlockId kLastId{FullReportProgress::kLastId};

}  // namespace

void ReplicaScanner::Add(uint32_t storage, bool erase) {
  for (const Sweep& sweep : sweeps_) {
    if (sweep.storage == storage && sweep.erase == erase && sweep.next.is_none()) return;
  }
  sweeps_.push_back({storage, erase, BlockId()});
}

absl::Status ReplicaScanner::SweepStep(const MetaReader& published, MonotonicTime now, size_t limit) {
  if (sweeps_.empty()) return absl::OkStatus();
  Sweep& sweep = sweeps_.front();
  DatanodeStorage* const storage = registry_.MutableStorage(sweep.storage);
  if (storage == nullptr) {
    sweeps_.pop_front();
    return absl::OkStatus();
  }
  DOLMEN_ASSIGN_OR_RETURN(std::vector<BlockId> blocks, map_.OfStorage(sweep.storage, sweep.next, kLastId, limit));
  for (BlockId block : blocks) DOLMEN_RETURN_IF_ERROR(SweepOne(sweep, storage, block, published));
  DOLMEN_RETURN_IF_ERROR(map_.Flush());
  if (!safe_mode_.starting_up()) {
    for (BlockId block : blocks) DOLMEN_RETURN_IF_ERROR(planner_.Judge(block, published, now));
  }
  if (blocks.size() >= limit) {
    sweep.next = blocks.back().Next();
    return absl::OkStatus();
  }
  const Sweep done = sweep;
  sweeps_.pop_front();
  storage->swept_to = BlockId();
  storage->accounted_from = storage->session != 0 ? storage->session : DatanodeStorage::kNever;
  return done.erase ? registry_.Forget(done.storage) : absl::OkStatus();
}

absl::Status ReplicaScanner::SweepOne(const Sweep& sweep, DatanodeStorage* storage, BlockId block,
                                      const MetaReader& published) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<ReplicaRecord> record, map_.Find(block, sweep.storage));
  if (!record.has_value()) return absl::OkStatus();
  const bool stays = !sweep.erase && storage->Confirms(record->session);
  if (safe_mode_.starting_up() && !stays && storage->Accounts(block, record->session)) {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> known, GetBlock(published, block));
    if (known.has_value() && known->state == BlockState::kCommitted) {
      const protocol::Block exact{block, known->stamp, known->length};
      DOLMEN_ASSIGN_OR_RETURN(std::vector<StoredReplica> replicas, map_.OfBlock(block));
      safe_mode_.AddSafeBlocks(
          SafeCountChange(exact, replicas, sweep.storage, IsExactly(*record, exact), false, registry_));
    }
  }
  storage->swept_to = block;
  if (sweep.erase) {
    planner_.ReplicaGone(block, sweep.storage);
    return map_.Replace(block, sweep.storage, record, std::nullopt);
  }
  return absl::OkStatus();
}

absl::Status ReplicaScanner::ScanStep(const MetaReader& published, MonotonicTime now, size_t limit) {
  std::vector<std::pair<BlockId, BlockRecord>> blocks;
  absl::Status damage;
  bool more = false;
  DOLMEN_RETURN_IF_ERROR(
      published.Scan(Family::kBlocks, keys::Block(scan_next_), "", [&](std::string_view key, std::string_view value) {
        if (blocks.size() >= limit) {
          more = true;
          return false;
        }
        absl::StatusOr<BlockId> id = keys::ParseBlock(key);
        absl::StatusOr<BlockRecord> record = DecodeBlock(value);
        damage = id.ok() ? record.status() : id.status();
        if (!damage.ok()) return false;
        blocks.emplace_back(*id, *std::move(record));
        return true;
      }));
  DOLMEN_RETURN_IF_ERROR(damage, "scanning the block records");
  BlockId last = more ? blocks.back().first : kLastId;
  // Always enough for all replicas of one block.
  const size_t replica_limit = limit * kReplicasPerBlock + registry_.storages().size() + 1;
  DOLMEN_ASSIGN_OR_RETURN(std::vector<StoredReplica> replicas, map_.InRange(scan_next_, last, replica_limit));
  if (replicas.size() >= replica_limit && replicas.back().block > scan_next_) {
    // The last block may be cut short: leave it to the next step.
    more = true;
    last = BlockId(replicas.back().block.value() - 1);
  }

  auto block = blocks.begin();
  auto replica = replicas.begin();
  while (true) {
    while (replica != replicas.end() && replica->block <= last &&
           (block == blocks.end() || replica->block < block->first)) {
      DOLMEN_RETURN_IF_ERROR(ScanOrphan(*replica++));
    }
    if (block == blocks.end() || block->first > last) break;
    std::vector<StoredReplica> of_block;
    while (replica != replicas.end() && replica->block == block->first) of_block.push_back(*replica++);
    DOLMEN_RETURN_IF_ERROR(ScanBlock(block->first, block->second, of_block, now));
    ++block;
  }
  DOLMEN_RETURN_IF_ERROR(map_.Flush());
  if (more) {
    scan_next_ = last.Next();
  } else {
    scan_next_ = BlockId();
    last_pass_ = std::exchange(this_pass_, Totals());
    ++passes_;
  }
  return absl::OkStatus();
}

absl::Status ReplicaScanner::ScanBlock(BlockId block, const BlockRecord& record,
                                       const std::vector<StoredReplica>& replicas, MonotonicTime now) {
  if (record.state != BlockState::kCommitted || planner_.IsSettling(block)) return absl::OkStatus();
  const BlockHealth health = planner_.Judge(block, record, replicas, now);
  if (health.good.empty()) {
    ++this_pass_.missing;
  } else if (health.good.size() < record.replicas_wanted) {
    ++this_pass_.under_replicated;
  }
  this_pass_.with_corrupt_replicas += health.has_corrupt ? 1 : 0;
  // Enough good replicas: what dead datanodes may still have is of no interest; they will tell when they return.
  if (health.solid.size() < record.replicas_wanted) return absl::OkStatus();
  for (const StoredReplica& replica : replicas) {
    const DatanodeStorage* const storage = registry_.FindStorage(replica.storage);
    if (storage != nullptr && storage->session != 0) continue;
    DOLMEN_RETURN_IF_ERROR(map_.Replace(block, replica.storage, replica.record, std::nullopt));
  }
  return absl::OkStatus();
}

absl::Status ReplicaScanner::ScanOrphan(const StoredReplica& replica) {
  const DatanodeStorage* const storage = registry_.FindStorage(replica.storage);
  if (storage == nullptr || storage->session == 0 || replica.record.state == protocol::ReplicaState::kDeleted) {
    return map_.Replace(replica.block, replica.storage, replica.record, std::nullopt);
  }
  if (!storage->Confirms(replica.record.session)) return absl::OkStatus();  // its full report is on the way
  // When there is no room, the next pass comes by again.
  (void)planner_.Unwanted(replica.storage, {replica.block, replica.record.stamp, replica.record.length});
  return absl::OkStatus();
}

}  // namespace dolmen::namenode
