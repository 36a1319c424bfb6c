// HDFS's permission model: user, group, other, sticky directories, superuser.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "namenode/core/inode_path.h"
#include "namenode/core/operation.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

enum class Access : uint8_t {
  kExecute = 1,
  kWrite = 2,
  kWriteExecute = 3,
  kRead = 4,
  kReadExecute = 5,
  kReadWrite = 6,
  kAll = 7,
};
std::string_view ToString(Access access);  // HDFS's words: "READ_EXECUTE"

inline constexpr uint16_t kStickyBit = 01000;
inline constexpr uint16_t kPermissionMask = 01777;  // nine bits and the sticky bit

// "drwxr-xr-x", "-rw-r--r--", with t or T for the sticky bit.
std::string PermissionText(const InodeRecord& inode);

// Checks of one caller. Every refusal is kAccessControl with HDFS's text. The superuser passes everything; with
// permissions switched off only the checks of ownership and of the superuser role stay.
// `settings` and `caller` outlive this. Thread-safe.
class PermissionChecker {
 public:
  PermissionChecker(const CoreSettings& settings, const Caller& caller) : settings_(settings), caller_(caller) {}

  // Whether access bits matter for this caller at all.
  bool ChecksAccess() const { return settings_.permissions_enabled && !caller_.is_superuser; }

  // The caller is in exactly one class: owner, else member of the group, else other.
  bool MayAccess(const InodeRecord& inode, Access access) const;
  // The inode at `depth` of `path` (0: the root).
  absl::Status CheckAccess(const InodePath& path, size_t depth, Access access) const;
  // The nearest existing directory above the target.
  absl::Status CheckAncestor(const InodePath& path, Access access) const;
  // The target's parent, if it exists, and the sticky rule for an existing target: in a sticky directory only the
  // owner of the entry or of the directory may remove or move it.
  absl::Status CheckParent(const InodePath& path, Access access) const;
  absl::Status CheckSticky(const InodePath& path) const;
  // The target, which exists.
  absl::Status CheckTarget(const InodePath& path, Access access) const;
  absl::Status CheckOwner(const InodePath& path) const;
  absl::Status CheckSuperuser(std::string_view operation) const;

  absl::Status Denied(const InodeRecord& inode, std::string_view path, Access access) const;
  const Caller& caller() const { return caller_; }

 private:
  const CoreSettings& settings_;
  const Caller& caller_;
};

}  // namespace dolmen::namenode
