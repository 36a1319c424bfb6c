// All namespace operations. Each Decide function is one file: it checks, may refuse, and otherwise writes its changes
// to the context's batch; a refusal leaves no trace (the executor undoes the operation's part of the batch). Error
// texts and reasons are HDFS's (see each file). Core thread only.
#pragma once

#include <optional>
#include <string>

#include "namenode/core/operation.h"

namespace dolmen::namenode::ops {

absl::StatusOr<protocol::MkdirsReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::MkdirsRequest& request);
absl::StatusOr<protocol::CreateReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::CreateRequest& request);
absl::StatusOr<protocol::AddBlockReply> Decide(OperationContext& context, const Caller& caller,
                                               const protocol::AddBlockRequest& request);
absl::StatusOr<protocol::AbandonBlockReply> Decide(OperationContext& context, const Caller& caller,
                                                   const protocol::AbandonBlockRequest& request);
// kNotReplicatedYet: decide again when a report arrives (the executor parks the call; see CommitQueue).
absl::StatusOr<protocol::CompleteReply> Decide(OperationContext& context, const Caller& caller,
                                               const protocol::CompleteRequest& request);
absl::StatusOr<protocol::RenameReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::RenameRequest& request);
absl::StatusOr<protocol::DeleteReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::DeleteRequest& request);
absl::StatusOr<protocol::SetAttributesReply> Decide(OperationContext& context, const Caller& caller,
                                                    const protocol::SetAttributesRequest& request);
absl::StatusOr<protocol::FsyncReply> Decide(OperationContext& context, const Caller& caller,
                                            const protocol::FsyncRequest& request);
absl::StatusOr<protocol::ConcatReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::ConcatRequest& request);
absl::StatusOr<protocol::SetReplicationReply> Decide(OperationContext& context, const Caller& caller,
                                                     const protocol::SetReplicationRequest& request);
// kNotReplicatedYet: as for complete.
absl::StatusOr<protocol::AppendReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::AppendRequest& request);
absl::StatusOr<protocol::TruncateReply> Decide(OperationContext& context, const Caller& caller,
                                               const protocol::TruncateRequest& request);
// kNotReplicatedYet: as for complete; for reports that end the recovery of the file.
absl::StatusOr<protocol::RecoverLeaseReply> Decide(OperationContext& context, const Caller& caller,
                                                   const protocol::RecoverLeaseRequest& request);

// HDFS's bounds of a file's number of replicas. `holder`: of a file being created; empty: of an existing one.
absl::Status CheckReplication(const CoreSettings& settings, uint32_t replication, const std::string& path,
                              const std::string& holder = {});

// ---- the namenode's own operations ------------------------------------------------------------------------------

// Takes an open file whose writer is gone from `holder`: closes it if nothing is left to be done, otherwise the
// namenode holds it from now on, and an attempt to recover its last block begins if that was being written. OK too when
// the file is not open (any more) or is held by somebody else.
absl::Status ReleaseExpired(OperationContext& context, InodeId inode, const std::string& holder);

// The next step for a file that the namenode holds: it is closed if nothing is left to be done; a new attempt to
// recover its last block begins if that is under construction. OK too when the namenode does not hold it (any more).
absl::Status ContinueRecovery(OperationContext& context, InodeId inode);

// The attempt `recovery` came to an end: the last block gets that stamp and the length found, or is dropped, or gets
// the stamp it had before the append; the file is closed. OK too when the attempt is not the present one (any more).
absl::Status FinishRecovery(OperationContext& context, InodeId inode, GenerationStamp recovery,
                            const RecoveryOutcome& outcome);

// Enough datanodes have the shorter copy of the file's last block: it takes that block's place, and the file is closed.
// OK too when that truncation is not the present one (any more).
absl::Status FinishTruncation(OperationContext& context, InodeId inode, BlockId copy);

// One paced step of freeing deleted trees, at most `reap_entries_per_step` records. Restartable: all its state is the
// `detached` family; context.reap says where to look. After an error that is to be dropped. Returns whether anything
// may be left.
absl::StatusOr<bool> ReapDetached(OperationContext& context);

// One paced step of what setReplication left to do, at most `replication_blocks_per_step` blocks. Restartable: all its
// state is stored (ReplicationChange). Returns whether anything is left.
absl::StatusOr<bool> ContinueSetReplication(OperationContext& context);

// One paced step of dropping retry sessions not used for the retention time, beginning after `cursor` (updated; empty
// when a round is done). `unused_since`: those last used before it; by default what the batch's time gives, which a
// wall clock that jumped makes wrong. Returns whether so many were dropped that the next step should follow at once.
absl::StatusOr<bool> ExpireSessions(OperationContext& context, std::string* cursor,
                                    std::optional<WallTime> unused_since = std::nullopt);

}  // namespace dolmen::namenode::ops
