// setReplication: the file's record changes at once, and so do as many of its blocks as one commit may change; the
// namenode goes on with the rest by itself, one step per commit. Copies are made and removed in the background.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

namespace {

// Changes the next blocks of a file, at most `budget`, and notes whether any are left.
absl::Status ChangeBlocks(OperationContext& context, const InodeRecord& file, uint64_t first, uint64_t budget) {
  const uint64_t end = first + std::min(budget, file.block_count - std::min(first, file.block_count));
  if (first < end) DOLMEN_RETURN_IF_ERROR(SetReplicasOfBlocks(context, file, first, end));
  if (end >= file.block_count) return RemoveReplicationChange(context, file.id);
  PutReplicationChange(context, {.inode = file.id, .next_index = end});
  return absl::OkStatus();
}

uint64_t BlocksPerStep(const OperationContext& context) {
  return std::max<uint64_t>(context.settings->replication_blocks_per_step, 1);
}

}  // namespace

absl::Status CheckReplication(const CoreSettings& settings, uint32_t replication, const std::string& path,
                              const std::string& holder) {
  const std::string where = holder.empty() ? path : absl::StrCat(path, ", clientName=", holder);
  if (replication > settings.max_replication) {
    return MakeError(ErrorReason::kIo, absl::StrCat("Requested replication factor of ", replication,
                                                    " exceeds maximum of ", settings.max_replication, " for ", where));
  }
  if (replication < settings.min_replication || replication == 0) {
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("Requested replication factor of ", replication,
                                  " is less than the required minimum of ", settings.min_replication, " for ", where));
  }
  return absl::OkStatus();
}

absl::StatusOr<protocol::SetReplicationReply> Decide(OperationContext& context, const Caller& caller,
                                                     const protocol::SetReplicationRequest& request) {
  DOLMEN_RETURN_IF_ERROR(CheckReplication(*context.settings, request.replication, request.path));
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ParseAndResolve(*context.batch, checker, *context.settings, request.path,
                                                          PathUse::kLookUp, "setReplication"));
  if (!path.Exists()) return protocol::SetReplicationReply{.done = false};
  DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kWrite));
  InodeRecord& file = path.Target();
  if (file.is_directory) return protocol::SetReplicationReply{.done = false};
  const uint32_t before = file.redundancy.replicas;
  if (before == request.replication) return protocol::SetReplicationReply{.done = true};

  const TotalsDelta less = BytesDelta(file, file.length).Negated();
  file.redundancy.replicas = request.replication;
  const std::vector<InodeId> above = path.Ids(path.names.size());  // first more, then less: never below zero
  DOLMEN_RETURN_IF_ERROR(AddToTotals(context, above, BytesDelta(file, file.length)));
  DOLMEN_RETURN_IF_ERROR(AddToTotals(context, above, less));
  PutAt(context, &path, path.names.size());
  DOLMEN_RETURN_IF_ERROR(ChangeBlocks(context, file, 0, BlocksPerStep(context)));
  return protocol::SetReplicationReply{.done = true};
}

absl::StatusOr<bool> ContinueSetReplication(OperationContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<ReplicationChange> change, FirstReplicationChange(*context.batch));
  if (!change.has_value()) return false;
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> file, GetInodeById(*context.batch, change->inode));
  if (file.has_value()) {
    DOLMEN_RETURN_IF_ERROR(ChangeBlocks(context, *file, change->next_index, BlocksPerStep(context)));
  } else {
    DOLMEN_RETURN_IF_ERROR(RemoveReplicationChange(context, change->inode));  // deleted meanwhile
  }
  DOLMEN_ASSIGN_OR_RETURN(change, FirstReplicationChange(*context.batch));
  return change.has_value();
}

}  // namespace dolmen::namenode::ops
