// rename, classic (boolean answer, moves into an existing directory) and with options (errors, no "into" rule). One
// record moves; what is below it is found by its id as before.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

namespace {

bool IsBelow(const InodePath& path, const InodePath& above) {
  return path.names.size() > above.names.size() &&
         std::equal(above.names.begin(), above.names.end(), path.names.begin());
}

// Both paths may pass the same directories; each holds its own copy of their records.
void CopyShared(const InodePath& from, InodePath* to) {
  const size_t shared = std::min(from.inodes.size(), to->inodes.size());
  for (size_t i = 0; i < shared && from.inodes[i].id == to->inodes[i].id; ++i) to->inodes[i] = from.inodes[i];
}

bool SameParent(const InodePath& a, const InodePath& b) { return a.Parent().id == b.Parent().id; }

absl::Status CheckLimits(const OperationContext& context, const InodePath& source, const InodePath& destination) {
  const size_t parent = destination.names.size() - 1;
  DOLMEN_RETURN_IF_ERROR(CheckNewName(destination.names.back(), destination.PathTo(parent), *context.settings));
  // Replacing an entry or moving within one directory takes no more room.
  if (destination.Exists() || SameParent(source, destination)) return absl::OkStatus();
  return CheckRoom(context, destination, parent);
}

// All checks are done: `destination` is replaced if it exists.
absl::Status Move(OperationContext& context, InodePath source, InodePath destination) {
  if (destination.Exists()) {
    DOLMEN_RETURN_IF_ERROR(Detach(context, &destination));
    CopyShared(destination, &source);
  }
  InodeRecord moved = source.Target();
  DOLMEN_RETURN_IF_ERROR(TakeEntry(context, &source));
  CopyShared(source, &destination);
  return AddEntry(context, &destination, std::move(moved));
}

absl::StatusOr<protocol::RenameReply> Classic(OperationContext& context, const PermissionChecker& checker,
                                              InodePath source, InodePath destination) {
  DOLMEN_RETURN_IF_ERROR(checker.CheckParent(source, Access::kWrite));
  if (destination.Exists() && destination.Target().is_directory && !source.IsRoot()) {
    DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(destination, Access::kExecute));
    const InodeId directory = destination.Target().id;
    destination.names.push_back(source.names.back());
    DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> child,
                            GetInode(*context.batch, directory, destination.names.back()));
    if (child.has_value()) destination.inodes.push_back(*std::move(child));
  }
  DOLMEN_RETURN_IF_ERROR(checker.CheckAncestor(destination, Access::kWrite));
  const protocol::RenameReply refused{.renamed = false};
  if (!source.Exists() || source.IsRoot()) return refused;
  if (source.names == destination.names) return protocol::RenameReply{.renamed = true};
  if (IsBelow(destination, source)) return refused;
  if (IsReserved(source.names) || IsReserved(destination.names)) return refused;
  if (destination.Exists() || !destination.ParentExists()) return refused;
  DOLMEN_RETURN_IF_ERROR(CheckLimits(context, source, destination));
  DOLMEN_RETURN_IF_ERROR(Move(context, std::move(source), std::move(destination)));
  return protocol::RenameReply{.renamed = true};
}

absl::Status CheckReplaced(const PermissionChecker& checker, const protocol::RenameRequest& request,
                           const InodePath& source, const InodePath& destination) {
  const InodeRecord& replaced = destination.Target();
  if (source.Target().is_directory != replaced.is_directory) {
    return MakeError(ErrorReason::kIo, absl::StrCat("Source ", request.source, " and destination ", request.destination,
                                                    " must both be directories"));
  }
  if (request.kind != protocol::RenameKind::kOverwrite) {
    return MakeError(ErrorReason::kFileAlreadyExists,
                     absl::StrCat("rename destination ", request.destination, " already exists"));
  }
  if (replaced.is_directory && replaced.child_count != 0) {
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("rename destination directory is not empty: ", request.destination));
  }
  // Stricter than HDFS, which lets a rename remove what the sticky bit protects from delete.
  return checker.CheckSticky(destination);
}

absl::StatusOr<protocol::RenameReply> WithOptions(OperationContext& context, const PermissionChecker& checker,
                                                  const protocol::RenameRequest& request, InodePath source,
                                                  InodePath destination) {
  DOLMEN_RETURN_IF_ERROR(checker.CheckParent(source, Access::kWrite));
  DOLMEN_RETURN_IF_ERROR(checker.CheckAncestor(destination, Access::kWrite));
  if (!source.Exists()) {
    return MakeError(ErrorReason::kFileNotFound, absl::StrCat("rename source ", request.source, " is not found."));
  }
  if (source.IsRoot()) return MakeError(ErrorReason::kIo, "rename source cannot be the root");
  if (source.names == destination.names) {
    return MakeError(ErrorReason::kFileAlreadyExists, absl::StrCat("The source ", request.source, " and destination ",
                                                                   request.destination, " are the same"));
  }
  if (IsBelow(destination, source)) {
    return MakeError(ErrorReason::kIo, absl::StrCat("Rename destination ", request.destination,
                                                    " is a directory or file under source ", request.source));
  }
  if (IsReserved(source.names) || IsReserved(destination.names)) {
    return MakeError(ErrorReason::kInvalidPath, "Cannot rename to or from /.reserved");
  }
  if (destination.IsRoot()) return MakeError(ErrorReason::kIo, "rename destination cannot be the root");
  if (destination.Exists()) DOLMEN_RETURN_IF_ERROR(CheckReplaced(checker, request, source, destination));
  if (!destination.ParentExists()) {
    return MakeError(ErrorReason::kFileNotFound,
                     absl::StrCat("rename destination parent ", request.destination, " not found."));
  }
  DOLMEN_RETURN_IF_ERROR(CheckLimits(context, source, destination));
  DOLMEN_RETURN_IF_ERROR(Move(context, std::move(source), std::move(destination)));
  return protocol::RenameReply{.renamed = true};
}

}  // namespace

absl::StatusOr<protocol::RenameReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::RenameRequest& request) {
  const CoreSettings& settings = *context.settings;
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string_view> destination_names,
                          ParsePath(request.destination, PathUse::kCreate, "rename", settings));
  const PermissionChecker checker(settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(
      InodePath source, ParseAndResolve(*context.batch, checker, settings, request.source, PathUse::kLookUp, "rename"));
  DOLMEN_ASSIGN_OR_RETURN(InodePath destination,
                          ResolvePath(*context.batch, checker, destination_names, PathUse::kCreate));
  if (request.kind == protocol::RenameKind::kClassic) {
    return Classic(context, checker, std::move(source), std::move(destination));
  }
  return WithOptions(context, checker, request, std::move(source), std::move(destination));
}

}  // namespace dolmen::namenode::ops
