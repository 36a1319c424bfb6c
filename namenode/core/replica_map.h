// Which storage holds which block, kept in the replica store in both orders. Everything in it is a hint until the
// storage's datanode confirmed it in its present session.
//
// Store layout (never synced; deleting it costs one round of full reports):
//   kByBlock    8-byte block id, 4-byte storage number -> record: version 1, state byte, then as varints stamp, length,
//               session, evidence
//   kByStorage  4-byte storage number, 8-byte block id -> nothing
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/ids.h"
#include "common/protocol/datanode_namenode.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/replica_view.h"

namespace dolmen::namenode {

struct ReplicaRecord {
  GenerationStamp stamp;
  uint64_t length = 0;
  // kDeleted: the datanode said that it deleted the replica of a block that still exists. Kept until later full rounds
  // agree, so that a late message can't bring the replica back.
  protocol::ReplicaState state = protocol::ReplicaState::kFinalized;
  uint64_t session = 0;   // it was confirmed in; 0: never, a mere hint
  uint64_t evidence = 0;  // see FullReportProgress; means something only within that session
  friend bool operator==(const ReplicaRecord&, const ReplicaRecord&) = default;
};
struct StoredReplica {
  BlockId block;
  uint32_t storage = 0;
  ReplicaRecord record;
  friend bool operator==(const StoredReplica&, const StoredReplica&) = default;
};

namespace replica_keys {
std::string ByBlock(BlockId block, uint32_t storage);
std::string ByBlockStart(BlockId block);  // of all its replicas
std::string ByStorage(uint32_t storage, BlockId block);
std::string Number(uint32_t number);  // 4 bytes, big-endian
uint32_t ParseNumber(std::string_view four_bytes);
}  // namespace replica_keys

std::string EncodeReplica(const ReplicaRecord& record);
absl::StatusOr<ReplicaRecord> DecodeReplica(std::string_view bytes);

// The one writer of replica records. One thread only. Changes are gathered and written together: by Flush, and before
// any reading that they concern. Errors of all methods: those of the store, and kDamaged for a record that can't be
// read.
class ReplicaMap {
 public:
  explicit ReplicaMap(ReplicaStore* store) : store_(store) {}

  absl::StatusOr<std::optional<ReplicaRecord>> Find(BlockId block, uint32_t storage);
  // By storage number.
  absl::StatusOr<std::vector<StoredReplica>> OfBlock(BlockId block);
  // All replicas of the blocks in [first, last], by block and storage, at most `limit` of them: when there are more,
  // the last block may be cut short.
  absl::StatusOr<std::vector<StoredReplica>> InRange(BlockId first, BlockId last, size_t limit);
  // Ids of the blocks a storage has in [first, last], at most `limit`.
  absl::StatusOr<std::vector<BlockId>> OfStorage(uint32_t storage, BlockId first, BlockId last, size_t limit);

  // Changes the record from `before` (what Find or OfBlock just answered) to `after`; nothing: no record.
  absl::Status Replace(BlockId block, uint32_t storage, const std::optional<ReplicaRecord>& before,
                       const std::optional<ReplicaRecord>& after);
  // Makes the changes visible to other threads' readers.
  absl::Status Flush();

 private:
  absl::Status FlushIfDirty(BlockId block) { return dirty_.contains(block) ? Flush() : absl::OkStatus(); }

  ReplicaStore* const store_;
  std::vector<ReplicaWrite> writes_;
  std::set<BlockId> dirty_;  // blocks with a change in writes_
};

// All records of a block, by storage number. For any thread: sees what was flushed. Errors: those of the store,
// kDamaged.
absl::StatusOr<std::vector<StoredReplica>> ReplicasOf(const ReplicaStore& store, BlockId block);

// Where a block can be read, best first. Thread-safe.
//   1. by content: finalized exactly as `block` says; else being written, or finalized longer than `block` (its last
//      length is not known yet); else, when nothing better exists, corrupt or too short. Another stamp: never.
//   2. by datanode: live before stale; dead ones only when there is nothing else; confirmed before mere hints.
//   3. among equals an order that depends on block and storage only, so that readers of different blocks spread.
// A datanode is named once. `only_corrupt`, if given, is set when replicas are known and every one of them is corrupt.
// An unreadable store yields what could be read: the caller treats an empty answer as "missing for now".
std::vector<protocol::ReplicaLocation> LocateReplicas(const ReplicaStore& store, const ClusterView& cluster,
                                                      const protocol::Block& block, bool* only_corrupt = nullptr);

}  // namespace dolmen::namenode
