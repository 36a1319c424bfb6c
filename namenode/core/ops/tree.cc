#include "namenode/core/ops/tree.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/path.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

void PutAt(OperationContext& context, InodePath* path, size_t depth) {
  PutInode(context, depth == 0 ? InodeId() : path->inodes[depth - 1].id,
           depth == 0 ? std::string_view() : std::string_view(path->names[depth - 1]), &path->inodes[depth]);
}

// HDFS never sets a directory's time back.
void Touch(OperationContext& context, InodeRecord* directory) {
  directory->modified = std::max(directory->modified, context.now);
}

absl::Status CheckParentExists(const InodePath& path) {
  if (path.names.size() <= 1 || path.ParentExists()) return absl::OkStatus();
  return MakeError(ErrorReason::kFileNotFound,
                   absl::StrCat("Parent directory doesn't exist: ", path.PathTo(path.names.size() - 1)));
}

absl::Status CheckRoom(const OperationContext& context, const InodePath& path, size_t depth) {
  const uint64_t limit = context.settings->max_directory_items;
  const uint64_t items = path.inodes[depth].child_count;
  if (items < limit) return absl::OkStatus();
  return MakeError(ErrorReason::kDirectoryFull, absl::StrCat("The directory item limit of ", path.PathTo(depth),
                                                             " is exceeded: limit=", limit, " items=", items));
}

absl::Status CheckMissingNames(const OperationContext& context, const InodePath& path) {
  const size_t first = path.inodes.size() - 1;  // index of the first missing name
  for (size_t i = first; i < path.names.size(); ++i) {
    DOLMEN_RETURN_IF_ERROR(CheckNewName(path.names[i], path.PathTo(i), *context.settings));
    if (i == first) DOLMEN_RETURN_IF_ERROR(CheckRoom(context, path, i));
  }
  return absl::OkStatus();
}

absl::Status MakeDirectories(OperationContext& context, const Caller& caller, InodePath* path, size_t depth,
                             uint16_t permission) {
  while (path->inodes.size() <= depth) {
    const InodeId id = context.counters->next_inode;
    context.counters->next_inode = id.Next();
    DOLMEN_RETURN_IF_ERROR(AddEntry(context, path,
                                    {.id = id,
                                     .is_directory = true,
                                     .permission = permission,
                                     .owner = caller.user,
                                     .group = path->inodes.back().group,
                                     .modified = context.now}));
  }
  return absl::OkStatus();
}

absl::Status AddEntry(OperationContext& context, InodePath* path, InodeRecord record) {
  const size_t parent = path->inodes.size() - 1;
  DOLMEN_ASSIGN_OR_RETURN(TotalsDelta delta, ContributionOf(*context.batch, record));
  path->inodes.push_back(std::move(record));
  LinkInode(context, path->inodes[parent].id, path->names[parent], &path->inodes.back());
  ++path->inodes[parent].child_count;
  Touch(context, &path->inodes[parent]);
  PutAt(context, path, parent);
  return AddToTotals(context, path->Ids(parent + 1), delta);
}

absl::Status TakeEntry(OperationContext& context, InodePath* path) {
  const size_t parent = path->names.size() - 1;
  DOLMEN_ASSIGN_OR_RETURN(TotalsDelta delta, ContributionOf(*context.batch, path->Target()));
  UnlinkInode(context, path->inodes[parent].id, path->names[parent], path->Target().id);
  path->inodes.pop_back();
  --path->inodes[parent].child_count;
  Touch(context, &path->inodes[parent]);
  PutAt(context, path, parent);
  return AddToTotals(context, path->Ids(parent + 1), delta.Negated());
}

absl::Status Detach(OperationContext& context, InodePath* path) {
  InodeRecord inode = path->Target();
  DOLMEN_RETURN_IF_ERROR(TakeEntry(context, path));
  return PutIntoDetached(context, std::move(inode), context.now);
}

absl::Status PutIntoDetached(OperationContext& context, InodeRecord inode, WallTime deleted_at) {
  if (inode.is_directory) RemoveTotals(context, inode.id);
  if (inode.under_construction) {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<OpenRecord> open, GetOpen(*context.batch, inode.id));
    if (open.has_value()) DOLMEN_RETURN_IF_ERROR(CloseLease(context, inode.id, *open));
    inode.under_construction = false;
  }
  inode.changed_at = context.commit;
  if (context.reap != nullptr) context.reap->Add(inode.id);
  PutDetached(context, {.inode = std::move(inode), .deleted_at = deleted_at});
  return absl::OkStatus();
}

}  // namespace dolmen::namenode::ops
