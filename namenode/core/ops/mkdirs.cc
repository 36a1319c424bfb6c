// mkdirs: success when the directory exists afterwards, whoever made it.
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"

namespace dolmen::namenode::ops {

absl::StatusOr<protocol::MkdirsReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::MkdirsRequest& request) {
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ParseAndResolve(*context.batch, checker, *context.settings, request.path,
                                                          PathUse::kCreate, "mkdirs"));
  if (path.Exists()) {
    if (path.Target().is_directory) return protocol::MkdirsReply();
    return MakeError(ErrorReason::kFileAlreadyExists, absl::StrCat("Path is not a directory: ", request.path));
  }
  DOLMEN_RETURN_IF_ERROR(checker.CheckAncestor(path, Access::kWrite));
  if (!request.create_parents) DOLMEN_RETURN_IF_ERROR(CheckParentExists(path));
  DOLMEN_RETURN_IF_ERROR(CheckMissingNames(context, path));

  // Parents made on the way get the leaf's mode, and u+wx so that their maker can go on.
  const uint16_t permission = request.permission & kPermissionMask;
  DOLMEN_RETURN_IF_ERROR(MakeDirectories(context, caller, &path, path.names.size() - 1, (permission & 0777) | 0300));
  DOLMEN_RETURN_IF_ERROR(MakeDirectories(context, caller, &path, path.names.size(), permission));
  return protocol::MkdirsReply();
}

}  // namespace dolmen::namenode::ops
