// create: a new file, open for its creator. Overwriting replaces an existing file by a new inode in one step.
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/file_status.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

namespace {

// Chosen: ten times what clients use for a lease holder's name.
constexpr size_t kMaxHolderBytes = 1024;

absl::Status CheckArguments(const OperationContext& context, const protocol::CreateRequest& request) {
  const CoreSettings& settings = *context.settings;
  if (request.holder.empty() || request.holder.size() > kMaxHolderBytes) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("The lease holder's name must have 1 to ", kMaxHolderBytes, " bytes, not ",
                                  request.holder.size()));
  }
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

// A lease opened earlier in this batch is not yet known to the lease view.
bool SoftLimitExpired(const OperationContext& context, const std::string& holder) {
  for (const Effect& effect : *context.effects) {
    const auto* opened = std::get_if<LeaseOpened>(&effect);
    if (opened != nullptr && opened->holder == holder) return false;
  }
  return context.leases->SoftLimitExpired(holder);
}

// The file exists and may not be overwritten: who is told what.
absl::Status RefuseExisting(OperationContext& context, const Caller& caller, const protocol::CreateRequest& request,
                            const InodeRecord& file) {
  if (!file.under_construction) {
    return MakeError(ErrorReason::kFileAlreadyExists,
                     absl::StrCat(request.path, " for client ", caller.host, " already exists"));
  }
  const auto refuse = [&](ErrorReason reason, const std::string& because) {
    return MakeError(reason, absl::StrCat("Failed to CREATE_FILE ", request.path, " for ", request.holder, " on ",
                                          caller.host, " because ", because));
  };
  DOLMEN_ASSIGN_OR_RETURN(std::optional<OpenRecord> open, GetOpen(*context.batch, file.id));
  if (!open.has_value()) {
    return refuse(ErrorReason::kAlreadyBeingCreated, "the file is under construction but no leases found.");
  }
  if (open->holder == request.holder) {
    return refuse(ErrorReason::kAlreadyBeingCreated,
                  absl::StrCat(request.holder, " is already the current lease holder."));
  }
  if (context.overdue != nullptr && SoftLimitExpired(context, open->holder)) {
    context.overdue->push_back({.holder = open->holder, .inode = file.id});
    return refuse(ErrorReason::kRecoveryInProgress, "lease recovery is in progress. Try again later.");
  }
  return refuse(ErrorReason::kAlreadyBeingCreated,
                absl::StrCat("this file lease is currently owned by ", open->holder, " on ", open->client_host));
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
    if (!request.overwrite) return RefuseExisting(context, caller, request, path.Target());
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
