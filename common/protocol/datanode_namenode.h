// What datanodes and the namenode tell each other. The namenode only ever answers; its orders are values in heartbeat
// answers, and losing any message is harmless, because the next round decides again from state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/access_token.h"
#include "common/protocol/types.h"

namespace dolmen::protocol {

// Raised when the wire or layout changes so that N and N-1 can't meet.
inline constexpr uint32_t kDatanodeProtocolVersion = 1;

// Which namenode process speaks. Datanodes persist the highest and refuse what is older (contract C-12).
struct NamenodeIdentity {
  ClusterId cluster;
  Epoch epoch;
  std::string incarnation;  // random per process start
  friend bool operator==(const NamenodeIdentity&, const NamenodeIdentity&) = default;
};

struct RegisterRequest {
  uint32_t protocol_version = kDatanodeProtocolVersion;
  std::optional<ClusterId> cluster;  // nothing: fresh storage that has never belonged to one
  DatanodeInfo info;
  std::vector<StorageReport> storages;
  // What this datanode ever saw, so that a namenode restored from a backup jumps above it.
  Epoch highest_epoch;
  std::string highest_incarnation;
  IdMarks seen;   // at least these were seen
  IdMarks bound;  // nothing above these was; higher than `seen` after a crash
  friend bool operator==(const RegisterRequest&, const RegisterRequest&) = default;
};
struct RegisterReply {
  NamenodeIdentity namenode;
  uint64_t session = 0;  // of this registration; later messages carry it, older ones are ignored
  uint64_t token_key_id = 0;
  std::string token_key_secret;
  int64_t heartbeat_interval_ms = 0;
  int64_t full_report_interval_ms = 0;
  WallTime wall;  // the namenode's clock; 0: not said
  friend bool operator==(const RegisterReply&, const RegisterReply&) = default;
};

struct HeartbeatRequest {
  DatanodeUuid datanode;
  uint64_t session = 0;
  std::vector<StorageReport> storages;
  uint32_t active_streams = 0;
  uint32_t active_transfers = 0;  // copies to other datanodes under way
  friend bool operator==(const HeartbeatRequest&, const HeartbeatRequest&) = default;
};

// Orders. Each names block id and generation stamp; a datanode whose replica differs does nothing.
struct DeleteReplicasCommand {
  StorageId storage;
  std::vector<Block> blocks;
  friend bool operator==(const DeleteReplicasCommand&, const DeleteReplicasCommand&) = default;
};
// Copy a finalized replica to other datanodes.
struct CopyReplicaCommand {
  Block block;
  std::vector<ReplicaLocation> targets;
  std::string token;  // kCopy on that block
  friend bool operator==(const CopyReplicaCommand&, const CopyReplicaCommand&) = default;
};
// Read the replica and compare it with its checksums; report the outcome (contract C-17).
struct VerifyReplicaCommand {
  StorageId storage;
  Block block;
  friend bool operator==(const VerifyReplicaCommand&, const VerifyReplicaCommand&) = default;
};
// Block recovery, first step: end the writer of a replica with a stamp below `recovery`, make what it wrote durable,
// and report the replica with `frozen_by`. Until the datanode restarts, nothing with a lower stamp touches it any more.
struct FreezeReplicaCommand {
  StorageId storage;
  BlockId block;
  GenerationStamp recovery;
  friend bool operator==(const FreezeReplicaCommand&, const FreezeReplicaCommand&) = default;
};
// Second step, for a replica that was frozen by block.stamp: cut it to block.length, give it that stamp, finalize it,
// report it. Does nothing to one that was frozen by another stamp or not at all, or that is shorter.
struct FinishRecoveryCommand {
  StorageId storage;
  Block block;
  friend bool operator==(const FinishRecoveryCommand&, const FinishRecoveryCommand&) = default;
};
// Truncation: make `target` from the first target.length bytes of the finalized replica `source`, on the same storage.
struct CopyPrefixCommand {
  StorageId storage;
  Block source;
  Block target;
  friend bool operator==(const CopyPrefixCommand&, const CopyPrefixCommand&) = default;
};
// Send a full report now.
struct SendFullReportCommand {
  friend bool operator==(const SendFullReportCommand&, const SendFullReportCommand&) = default;
};
using DatanodeCommand =
    std::variant<DeleteReplicasCommand, CopyReplicaCommand, VerifyReplicaCommand, SendFullReportCommand,
                 FreezeReplicaCommand, FinishRecoveryCommand, CopyPrefixCommand>;

struct HeartbeatReply {
  NamenodeIdentity namenode;
  bool must_register = false;  // unknown session: register again, then report fully
  std::vector<DatanodeCommand> commands;
  friend bool operator==(const HeartbeatReply&, const HeartbeatReply&) = default;
};

enum class ReplicaState : uint8_t { kFinalized = 1, kBeingWritten = 2, kTemporary = 3, kDeleted = 4, kCorrupt = 5 };
struct ReportedReplica {
  Block block;
  ReplicaState state = ReplicaState::kFinalized;
  std::optional<GenerationStamp> frozen_by;  // answers a FreezeReplicaCommand
  // With frozen_by: the datanode was started anew since the replica was being written, so bytes that were acknowledged
  // and not synced may be missing.
  bool after_restart = false;
  uint64_t visible_length = 0;  // with frozen_by, being written: of its bytes, those that readers may have seen
  friend bool operator==(const ReportedReplica&, const ReportedReplica&) = default;
};

// Changes since the last one, in order. Finalize reports leave at once.
struct IncrementalReportRequest {
  DatanodeUuid datanode;
  uint64_t session = 0;
  struct Entry {
    StorageId storage;
    ReportedReplica replica;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::vector<Entry> entries;  // <= 1000
  friend bool operator==(const IncrementalReportRequest&, const IncrementalReportRequest&) = default;
};
struct ReportReply {
  NamenodeIdentity namenode;
  bool must_register = false;
  friend bool operator==(const ReportReply&, const ReportReply&) = default;
};

// One slice of a full report: ALL replicas (finalized and being written) of the storage with ids in
// [first_id, last_id], by id, <= 1000 of them. What the namenode has in that range and the slice lacks is gone. Each
// slice stands alone, so a lost or repeated one can do no harm (fault F-148). A round covers [0, 2^63) without gaps;
// `round` and `is_last` tell the namenode when a storage's contents are fresh (every slice of the round arrived).
struct FullReportSlice {
  DatanodeUuid datanode;
  uint64_t session = 0;
  StorageId storage;
  uint64_t round = 0;        // rises per full report of this datanode
  uint32_t slice_index = 0;  // 0, 1, ... within the storage and round
  bool is_last = false;
  BlockId first_id;
  BlockId last_id;
  std::vector<ReportedReplica> replicas;
  friend bool operator==(const FullReportSlice&, const FullReportSlice&) = default;
};

}  // namespace dolmen::protocol
