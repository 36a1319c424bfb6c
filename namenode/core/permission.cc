#include "namenode/core/permission.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::namenode {

std::string_view ToString(Access access) {
  switch (access) {
    case Access::kExecute:
      return "EXECUTE";
    case Access::kWrite:
      return "WRITE";
    case Access::kWriteExecute:
      return "WRITE_EXECUTE";
    case Access::kRead:
      return "READ";
    case Access::kReadExecute:
      return "READ_EXECUTE";
    case Access::kReadWrite:
      return "READ_WRITE";
    case Access::kAll:
      return "ALL";
  }
  return "NONE";
}

std::string PermissionText(const InodeRecord& inode) {
  std::string text(1, inode.is_directory ? 'd' : '-');
  for (int shift = 6; shift >= 0; shift -= 3) {
    const int bits = inode.permission >> shift;
    text += (bits & 4) != 0 ? 'r' : '-';
    text += (bits & 2) != 0 ? 'w' : '-';
    text += (bits & 1) != 0 ? 'x' : '-';
  }
  if ((inode.permission & kStickyBit) != 0) text.back() = text.back() == 'x' ? 't' : 'T';
  return text;
}

bool PermissionChecker::MayAccess(const InodeRecord& inode, Access access) const {
  int bits = inode.permission;
  if (inode.owner == caller_.user) {
    bits >>= 6;
  } else if (std::find(caller_.groups.begin(), caller_.groups.end(), inode.group) != caller_.groups.end()) {
    bits >>= 3;
  }
  const int wanted = static_cast<int>(access);
  return (bits & wanted) == wanted;
}

absl::Status PermissionChecker::Denied(const InodeRecord& inode, std::string_view path, Access access) const {
  return MakeError(
      ErrorReason::kAccessControl,
      absl::StrCat("Permission denied: user=", caller_.user, ", access=", ToAbsl(ToString(access)), ", inode=\"",
                   ToAbsl(path), "\":", inode.owner, ":", inode.group, ":", PermissionText(inode)));
}

absl::Status PermissionChecker::CheckAccess(const InodePath& path, size_t depth, Access access) const {
  if (!ChecksAccess() || MayAccess(path.inodes[depth], access)) return absl::OkStatus();
  return Denied(path.inodes[depth], path.PathTo(depth), access);
}

absl::Status PermissionChecker::CheckAncestor(const InodePath& path, Access access) const {
  if (path.IsRoot()) return absl::OkStatus();
  return CheckAccess(path, std::min(path.inodes.size(), path.names.size()) - 1, access);
}

absl::Status PermissionChecker::CheckSticky(const InodePath& path) const {
  if (!ChecksAccess() || path.IsRoot() || !path.Exists()) return absl::OkStatus();
  const InodeRecord& parent = path.Parent();
  const InodeRecord& target = path.Target();
  if ((parent.permission & kStickyBit) == 0) return absl::OkStatus();
  if (parent.owner == caller_.user || target.owner == caller_.user) return absl::OkStatus();
  return MakeError(ErrorReason::kAccessControl,
                   absl::StrCat("Permission denied by sticky bit: user=", caller_.user, ", path=\"", path.ToString(),
                                "\":", target.owner, ":", target.group, ":", PermissionText(target), ", parent=\"",
                                path.PathTo(path.names.size() - 1), "\":", parent.owner, ":", parent.group, ":",
                                PermissionText(parent)));
}

absl::Status PermissionChecker::CheckParent(const InodePath& path, Access access) const {
  if (path.IsRoot() || !path.ParentExists()) return absl::OkStatus();
  DOLMEN_RETURN_IF_ERROR(CheckSticky(path));
  return CheckAccess(path, path.names.size() - 1, access);
}

absl::Status PermissionChecker::CheckTarget(const InodePath& path, Access access) const {
  return CheckAccess(path, path.names.size(), access);
}

absl::Status PermissionChecker::CheckOwner(const InodePath& path) const {
  if (caller_.is_superuser || path.Target().owner == caller_.user) return absl::OkStatus();
  return MakeError(ErrorReason::kAccessControl, absl::StrCat("Permission denied. user=", caller_.user,
                                                             " is not the owner of inode=", path.ToString()));
}

absl::Status PermissionChecker::CheckSuperuser(std::string_view operation) const {
  if (caller_.is_superuser) return absl::OkStatus();
  return MakeError(ErrorReason::kAccessControl,
                   absl::StrCat("Access denied for user ", caller_.user,
                                ". Superuser privilege is required for operation ", ToAbsl(operation)));
}

}  // namespace dolmen::namenode
