#include "namenode/core/subtree_access.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {

namespace {

struct Directory {
  std::string path;
  InodeRecord inode;
};

absl::Status CollectSubdirectories(const MetaReader& reader, const Directory& directory, SubtreeRule rule,
                                   std::vector<Directory>* out) {
  const std::string prefix = directory.path == "/" ? "/" : absl::StrCat(directory.path, "/");
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(
      reader.Scan(Family::kInodes, keys::InodePrefix(directory.inode.id), keys::InodePrefixEnd(directory.inode.id),
                  [&](std::string_view key, std::string_view value) {
                    absl::StatusOr<InodeRecord> child = DecodeInode(value);
                    absl::StatusOr<keys::InodeKey> place = keys::ParseInode(key);
                    failed = child.ok() ? place.status() : child.status();
                    if (!failed.ok()) return false;
                    if (child->is_directory && (child->child_count != 0 || rule == SubtreeRule::kAll)) {
                      out->push_back({absl::StrCat(prefix, ToAbsl(place->name)), *std::move(child)});
                    }
                    return true;
                  }));
  return failed;
}

}  // namespace

absl::Status CheckSubtreeAccess(const MetaReader& reader, const PermissionChecker& checker, const InodePath& path,
                                Access access, SubtreeRule rule) {
  if (!checker.ChecksAccess() || !path.Target().is_directory) return absl::OkStatus();
  if (path.Target().child_count == 0 && rule == SubtreeRule::kNotEmpty) return absl::OkStatus();
  std::vector<Directory> left = {{path.ToString(), path.Target()}};
  while (!left.empty()) {
    const Directory directory = std::move(left.back());
    left.pop_back();
    if (!checker.MayAccess(directory.inode, access)) return checker.Denied(directory.inode, directory.path, access);
    DOLMEN_ASSIGN_OR_RETURN(TotalsRecord totals, GetTotals(reader, directory.inode.id));
    if (totals.directories != 0) DOLMEN_RETURN_IF_ERROR(CollectSubdirectories(reader, directory, rule, &left));
  }
  return absl::OkStatus();
}

}  // namespace dolmen::namenode
