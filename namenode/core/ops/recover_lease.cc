// recoverLease: takes a file from its writer. Asked again while the namenode recovers the file, the call waits for the
// end of that, bounded (see CommitQueue), and then says that it is not closed yet. A caller that names a holder leaves
// the file to anybody else who holds it by now.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/lease.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"

namespace dolmen::namenode::ops {

absl::StatusOr<protocol::RecoverLeaseReply> Decide(OperationContext& context, const Caller& caller,
                                                   const protocol::RecoverLeaseRequest& request) {
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ParseAndResolve(*context.batch, checker, *context.settings, request.path,
                                                          PathUse::kLookUp, "recoverLease"));
  if (!path.Exists()) {
    return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: ", request.path));
  }
  if (path.Target().is_directory) {
    return MakeError(ErrorReason::kFileNotFound, absl::StrCat("Path is not a file: ", request.path));
  }
  if (!path.Target().under_construction) return protocol::RecoverLeaseReply{.closed = true};
  DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kWrite));
  DOLMEN_ASSIGN_OR_RETURN(WrittenFile file, ToWrittenFile(*context.batch, request.path, std::move(path)));
  if (!request.holder.empty() && file.open->holder != kNamenodeHolder) {
    DOLMEN_RETURN_IF_ERROR(CheckLease(file, request.holder));
  }
  if (file.open->holder != kNamenodeHolder) {
    DOLMEN_ASSIGN_OR_RETURN(bool closed, ReleaseLease(context, &file));
    return protocol::RecoverLeaseReply{.closed = closed};
  }
  DOLMEN_ASSIGN_OR_RETURN(bool closed, CloseIfDone(context, &file));
  context.waits_for = file.inode.id;
  if (!closed) return NotReplicatedYet(file);
  return protocol::RecoverLeaseReply{.closed = true};
}

}  // namespace dolmen::namenode::ops
