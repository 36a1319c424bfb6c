// setPermission, setOwner and setTimes in one call; what is absent stays as it is.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/utf8.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"

namespace dolmen::namenode::ops {

namespace {

// Chosen: far above any real account name.
constexpr size_t kMaxAccountBytes = 255;

absl::Status CheckAccount(std::string_view kind, const std::optional<std::string>& name) {
  if (!name.has_value()) return absl::OkStatus();
  if (!name->empty() && name->size() <= kMaxAccountBytes && ValidUtf8(*name) && name->find('\0') == std::string::npos) {
    return absl::OkStatus();
  }
  return MakeError(ErrorReason::kIllegalArgument,
                   absl::StrCat("Invalid ", ToAbsl(kind), " name '", Printable(*name), "': it must have 1 to ",
                                kMaxAccountBytes, " bytes of UTF-8"));
}

absl::Status CheckNewOwner(const Caller& caller, const protocol::SetAttributesRequest& request) {
  if (caller.is_superuser) return absl::OkStatus();
  if (request.owner.has_value() && *request.owner != caller.user) {
    return MakeError(ErrorReason::kAccessControl,
                     absl::StrCat("User ", caller.user, " is not a super user (non-super user cannot change owner)."));
  }
  if (request.group.has_value() &&
      std::find(caller.groups.begin(), caller.groups.end(), *request.group) == caller.groups.end()) {
    return MakeError(ErrorReason::kAccessControl,
                     absl::StrCat("User ", caller.user, " does not belong to ", *request.group));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<protocol::SetAttributesReply> Decide(OperationContext& context, const Caller& caller,
                                                    const protocol::SetAttributesRequest& request) {
  DOLMEN_RETURN_IF_ERROR(CheckAccount("user", request.owner));
  DOLMEN_RETURN_IF_ERROR(CheckAccount("group", request.group));
  const bool needs_owner = request.permission.has_value() || request.owner.has_value() || request.group.has_value();
  const bool sets_times = request.modified.has_value() || request.accessed.has_value();
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ParseAndResolve(*context.batch, checker, *context.settings, request.path,
                                                          PathUse::kLookUp, "setAttributes"));
  if (!path.Exists()) {
    return MakeError(ErrorReason::kFileNotFound,
                     needs_owner ? absl::StrCat("Directory/File does not exist ", request.path)
                                 : absl::StrCat("File/Directory ", request.path, " does not exist."));
  }
  if (needs_owner) {
    DOLMEN_RETURN_IF_ERROR(checker.CheckOwner(path));
    DOLMEN_RETURN_IF_ERROR(CheckNewOwner(caller, request));
  }
  if (sets_times) DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kWrite));

  InodeRecord& inode = path.Target();
  const InodeRecord before = inode;
  if (request.permission.has_value()) inode.permission = *request.permission & kPermissionMask;
  inode.owner = request.owner.value_or(inode.owner);
  inode.group = request.group.value_or(inode.group);
  inode.modified = request.modified.value_or(inode.modified);
  inode.accessed = request.accessed.value_or(inode.accessed);
  if (inode == before) return protocol::SetAttributesReply();
  PutAt(context, &path, path.names.size());
  return protocol::SetAttributesReply();
}

}  // namespace dolmen::namenode::ops
