// append: opens a closed file to write at its end. A last block that has room is opened again with a new stamp, on the
// replicas it has; it keeps its place and its bytes in the file all the while (contract C-5), and the open record keeps
// the stamp it was closed with, for the datanodes that do not hear of the writer (see FileRecovery).
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/file_status.h"
#include "namenode/core/ops/lease.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"

namespace dolmen::namenode::ops {

namespace {

absl::StatusOr<WrittenFile> FindFileToAppendTo(OperationContext& context, const Caller& caller,
                                               const protocol::AppendRequest& request) {
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ParseAndResolve(*context.batch, checker, *context.settings, request.path,
                                                          PathUse::kLookUp, "append"));
  if (path.Exists() && path.Target().is_directory) {
    return MakeError(ErrorReason::kFileAlreadyExists,
                     absl::StrCat("Cannot append to directory ", request.path, "; already exists as a directory."));
  }
  if (!path.Exists()) {
    return MakeError(ErrorReason::kFileNotFound,
                     absl::StrCat("Failed to append to non-existent file ", request.path, " for client ", caller.host));
  }
  DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kWrite));
  return ToWrittenFile(*context.batch, request.path, std::move(path));
}

absl::Status NotReplicatedYet(const FileBlock& last, const WrittenFile& file) {
  return MakeError(ErrorReason::kNotReplicatedYet,
                   absl::StrCat("append: lastBlock=", BlockText(last.AsBlock()), " of src=", file.path,
                                " is not sufficiently replicated yet."));
}

// Where a pipeline through the replicas of `last` may go: not through datanodes that have been silent lately, unless
// there are too few others; the one on the writer's own machine first.
std::vector<protocol::ReplicaLocation> PipelineOf(OperationContext& context, const Caller& caller,
                                                  const protocol::AppendRequest& request, const FileBlock& last,
                                                  size_t enough) {
  const auto usable = [&](bool live_only) {
    std::vector<protocol::ReplicaLocation> found = context.replicas->ConfirmedLocations(last.AsBlock(), live_only);
    std::erase_if(found, [&](const protocol::ReplicaLocation& location) {
      return std::find(request.excluded.begin(), request.excluded.end(), location.datanode.uuid) !=
             request.excluded.end();
    });
    return found;
  };
  std::vector<protocol::ReplicaLocation> pipeline = usable(/*live_only=*/true);
  if (pipeline.size() < enough) pipeline = usable(/*live_only=*/false);
  std::stable_partition(pipeline.begin(), pipeline.end(), [&](const protocol::ReplicaLocation& location) {
    return location.datanode.host_name == caller.host ||
           std::any_of(location.datanode.addresses.begin(), location.datanode.addresses.end(),
                       [&](const protocol::Address& address) { return address.host == caller.host; });
  });
  return pipeline;
}

}  // namespace

absl::StatusOr<protocol::AppendReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::AppendRequest& request) {
  DOLMEN_RETURN_IF_ERROR(CheckHolder(request.holder));
  DOLMEN_ASSIGN_OR_RETURN(WrittenFile file, FindFileToAppendTo(context, caller, request));
  if (file.open.has_value()) {
    DOLMEN_RETURN_IF_ERROR(MakeWay(context, {"APPEND_FILE", request.path, request.holder, caller}, &file));
  }
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file.inode, 1));
  context.waits_for = file.inode.id;
  const size_t enough =
      std::max<size_t>(std::min<size_t>(context.settings->min_replication, context.replicas->LiveDatanodes()), 1);
  if (last.has_value()) {
    if (context.replicas->ConfirmedReplicas(last->AsBlock()) < static_cast<int>(enough)) {
      return NotReplicatedYet(*last, file);
    }
  }

  OpenRecord open{.holder = request.holder, .client_host = caller.host};
  protocol::AppendReply reply;
  if (last.has_value() && last->record.length < file.inode.block_bytes && !request.new_block) {
    std::vector<protocol::ReplicaLocation> pipeline = PipelineOf(context, caller, request, *last, enough);
    if (pipeline.size() < enough) return NotReplicatedYet(*last, file);
    for (const protocol::ReplicaLocation& location : pipeline)
      open.last_pipeline.push_back({.datanode = location.datanode.uuid, .storage = location.storage});
    open.stamp_before_append = last->record.stamp;
    reply.last_stamp = last->record.stamp;
    ReopenBlock(context, &*last);
    reply.last = protocol::LocatedBlock{
        .block = last->AsBlock(), .offset = file.inode.length - last->record.length, .locations = std::move(pipeline)};
  }
  file.inode.under_construction = true;
  PutFile(context, &file);
  OpenLease(context, file.inode.id, open);
  reply.status = StatusOf(file.inode);
  return reply;
}

}  // namespace dolmen::namenode::ops
