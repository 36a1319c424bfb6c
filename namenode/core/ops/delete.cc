// delete: the whole subtree leaves the namespace in one step, by moving one record to `detached`; the reaper frees the
// rest in paced steps.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

namespace {

struct Directory {
  std::string path;
  InodeRecord inode;
};

absl::Status CollectSubdirectories(const MetaReader& reader, const Directory& directory, std::vector<Directory>* out) {
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(
      reader.Scan(Family::kInodes, keys::InodePrefix(directory.inode.id), keys::InodePrefixEnd(directory.inode.id),
                  [&](std::string_view key, std::string_view value) {
                    absl::StatusOr<InodeRecord> child = DecodeInode(value);
                    absl::StatusOr<keys::InodeKey> place = keys::ParseInode(key);
                    failed = child.ok() ? place.status() : child.status();
                    if (!failed.ok()) return false;
                    if (child->is_directory && child->child_count != 0) {
                      out->push_back({absl::StrCat(directory.path, "/", ToAbsl(place->name)), *std::move(child)});
                    }
                    return true;
                  }));
  return failed;
}

// HDFS: deleting needs read, write and execute on every directory of the subtree that is not empty. The walk is over
// directories that have directories below them; the superuser never pays for it.
absl::Status CheckSubtree(const MetaReader& reader, const PermissionChecker& checker, const InodePath& path) {
  if (!checker.ChecksAccess() || path.IsRoot() || !path.Exists() || !path.Target().is_directory) {
    return absl::OkStatus();
  }
  if (path.Target().child_count == 0) return absl::OkStatus();
  std::vector<Directory> left = {{path.ToString(), path.Target()}};
  while (!left.empty()) {
    const Directory directory = std::move(left.back());
    left.pop_back();
    if (!checker.MayAccess(directory.inode, Access::kAll)) {
      return checker.Denied(directory.inode, directory.path, Access::kAll);
    }
    DOLMEN_ASSIGN_OR_RETURN(TotalsRecord totals, GetTotals(reader, directory.inode.id));
    if (totals.directories != 0) DOLMEN_RETURN_IF_ERROR(CollectSubdirectories(reader, directory, &left));
  }
  return absl::OkStatus();
}

}  // namespace

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
  DOLMEN_RETURN_IF_ERROR(CheckSubtree(*context.batch, checker, path));
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
