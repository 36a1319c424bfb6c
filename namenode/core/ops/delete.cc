// delete: the whole subtree leaves the namespace in one step, by moving one record to `detached`; the reaper frees the
// rest in paced steps.
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/subtree_access.h"

namespace dolmen::namenode::ops {

absl::StatusOr<protocol::DeleteReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::DeleteRequest& request) {
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string_view> components,
                          ParsePath(request.path, PathUse::kLookUp, "delete", *context.settings));
  if (components.size() == 1 && IsReserved(components)) {
    return MakeError(ErrorReason::kInvalidPath, request.path);
  }
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ResolvePath(*context.batch, checker, components, PathUse::kLookUp));
  DOLMEN_RETURN_IF_ERROR(checker.CheckParent(path, Access::kWrite));
  if (path.Exists() && !path.IsRoot()) {
    DOLMEN_RETURN_IF_ERROR(CheckSubtreeAccess(*context.batch, checker, path, Access::kAll, SubtreeRule::kNotEmpty));
  }
  if (!path.Exists()) return protocol::DeleteReply{.deleted = false};
  if (!request.recursive && path.Target().is_directory && path.Target().child_count != 0) {
    return MakeError(ErrorReason::kDirectoryNotEmpty,
                     absl::StrCat("`", request.path, " is non empty': Directory is not empty"));
  }
  if (path.IsRoot()) return protocol::DeleteReply{.deleted = false};
  DOLMEN_RETURN_IF_ERROR(Detach(context, &path));
  return protocol::DeleteReply{.deleted = true};
}

}  // namespace dolmen::namenode::ops
