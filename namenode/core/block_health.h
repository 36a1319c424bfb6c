// What the replicas of one block amount to right now.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/protocol/types.h"
#include "namenode/core/copy_queue.h"
#include "namenode/core/datanode_registry.h"
#include "namenode/core/deletion_queue.h"
#include "namenode/core/replica_map.h"

namespace dolmen::namenode {

// Storage numbers, ascending. A replica counts as good when it is finalized with exactly the block's stamp and length
// and its storage confirmed it in its present session (contract C-14).
struct BlockHealth {
  std::vector<uint32_t> good;        // one per datanode, not under sentence of deletion
  std::vector<uint32_t> duplicates;  // further good ones on datanodes of `good`
  std::vector<uint32_t> bad;         // confirmed corrupt, of another length, or of an older stamp
  std::vector<uint32_t> writing;     // confirmed as being written, with the block's stamp
  std::vector<uint32_t> awaited;     // hints of good ones on datanodes that registered and have yet to report fully
  std::vector<uint32_t> holders;     // every storage of a usable datanode with any replica or hint of one
  // Of `good`: on live datanodes whose storage reported fully in its present session. Only these vouch for the safety
  // of deleting another replica (contract C-15).
  std::vector<uint32_t> solid;
  bool has_corrupt = false;
};

// A datanode that registered is given this long to report before its hints stop holding up copies. Chosen.
inline constexpr std::chrono::seconds kReportPatience{60};

bool IsExactly(const ReplicaRecord& record, const protocol::Block& block);

// `block` is a committed block, `replicas` all records of it.
BlockHealth Assess(const protocol::Block& block, const std::vector<StoredReplica>& replicas,
                   const DatanodeRegistry& registry, const DeletionQueue& deletions, MonotonicTime now);

// What is to be done about it; nothing: no copies.
std::optional<CopyLevel> CopyLevelOf(const BlockHealth& health, uint32_t wanted, const DatanodeRegistry& registry);

struct ExcessCandidate {
  uint32_t storage = 0;
  std::string rack;
  Duration silent{};             // since the datanode's last heartbeat
  uint64_t remaining_bytes = 0;  // of the storage
  bool solid = false;
};
// HDFS's choice of the replicas to give up until `wanted` are left, in order: from racks with several replicas when the
// candidates are on exactly two racks; of those the one silent for longer than `silence_limit`, the longest; else the
// one on the fullest storage. Never so many solid ones that fewer than `wanted` solid ones remain; so fewer or none may
// be chosen.
std::vector<uint32_t> ChooseExcess(std::vector<ExcessCandidate> candidates, uint32_t wanted, Duration silence_limit);

// By how much the number of blocks with an accounted good replica changes when `storage` starts or ceases to
// account for the block. `replicas`: all records of the block, the one of `storage` included or not.
int SafeCountChange(const protocol::Block& block, const std::vector<StoredReplica>& replicas, uint32_t storage,
                    bool accounted_before, bool accounted_after, const DatanodeRegistry& registry);

}  // namespace dolmen::namenode
