// create: a new file, open for its creator. Overwriting replaces an existing file by a new inode in one step.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/file_status.h"
#include "namenode/core/ops/lease.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

namespace {

absl::Status CheckArguments(const OperationContext& context, const protocol::CreateRequest& request) {
  const CoreSettings& settings = *context.settings;
  DOLMEN_RETURN_IF_ERROR(CheckHolder(request.holder));
  DOLMEN_RETURN_IF_ERROR(CheckReplication(settings, request.replication, request.path, request.holder));
  if (request.block_bytes < settings.min_block_bytes || request.block_bytes == 0) {
    return MakeError(ErrorReason::kIo, absl::StrCat("Specified block size is less than configured minimum value "
                                                    "(dfs.namenode.fs-limits.min-block-size): ",
                                                    request.block_bytes, " < ", settings.min_block_bytes));
  }
  if (request.block_bytes > settings.max_block_bytes) {
    return MakeError(ErrorReason::kIo, absl::StrCat("Specified block size is more than configured maximum value: ",
                                                    request.block_bytes, " > ", settings.max_block_bytes));
  }
  return absl::OkStatus();
}

// The file exists and may not be overwritten: who is told what.
absl::Status RefuseExisting(OperationContext& context, const Caller& caller, const protocol::CreateRequest& request,
                            InodePath path) {
  DOLMEN_ASSIGN_OR_RETURN(WrittenFile file, ToWrittenFile(*context.batch, request.path, std::move(path)));
  if (file.open.has_value()) {
    const Opener opener{"CREATE_FILE", request.path, request.holder, caller};
    DOLMEN_RETURN_IF_ERROR(MakeWay(context, opener, &file));
  }
  return MakeError(ErrorReason::kFileAlreadyExists,
                   absl::StrCat(request.path, " for client ", caller.host, " already exists"));
}

}  // namespace

absl::StatusOr<protocol::CreateReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::CreateRequest& request) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string_view> components,
                          ParsePath(request.path, PathUse::kCreate, "create", *context.settings));
  DOLMEN_RETURN_IF_ERROR(CheckArguments(context, request));
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ResolvePath(*context.batch, checker, components, PathUse::kCreate));
  DOLMEN_RETURN_IF_ERROR(checker.CheckAncestor(path, Access::kWrite));
  if (path.Exists()) {
    if (path.Target().is_directory) {
      return MakeError(ErrorReason::kFileAlreadyExists, absl::StrCat(request.path, " already exists as a directory"));
    }
    if (!request.overwrite) return RefuseExisting(context, caller, request, std::move(path));
    DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kWrite));
  } else {
    if (!request.create_parents) DOLMEN_RETURN_IF_ERROR(CheckParentExists(path));
    DOLMEN_RETURN_IF_ERROR(CheckMissingNames(context, path));
  }

  if (path.Exists()) DOLMEN_RETURN_IF_ERROR(Detach(context, &path));
  // Parents made on the way get the mode of the nearest existing directory, and u+wx.
  const uint16_t parent_permission = (path.inodes.back().permission & 0777) | 0300;
  DOLMEN_RETURN_IF_ERROR(MakeDirectories(context, caller, &path, path.names.size() - 1, parent_permission));
  const InodeId id = context.counters->next_inode;
  context.counters->next_inode = id.Next();
  DOLMEN_RETURN_IF_ERROR(AddEntry(context, &path,
                                  {.id = id,
                                   .permission = static_cast<uint16_t>(request.permission & kPermissionMask),
                                   .owner = caller.user,
                                   .group = path.inodes.back().group,
                                   .modified = context.now,
                                   .accessed = context.now,
                                   .redundancy = {.replicas = request.replication},
                                   .block_bytes = request.block_bytes,
                                   .under_construction = true}));
  OpenLease(context, id, {.holder = request.holder, .client_host = caller.host});
  return protocol::CreateReply{.status = StatusOf(path.Target())};
}

}  // namespace dolmen::namenode::ops
