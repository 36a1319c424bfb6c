// HDFS's permission rule of the calls that concern a whole subtree at once.
#pragma once

#include "absl/status/status.h"
#include "namenode/core/inode_path.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/permission.h"

namespace dolmen::namenode {

enum class SubtreeRule {
  kNotEmpty,  // delete: directories without entries need nothing of their own
  kAll,       // getContentSummary
};

// Whether the caller has `access` to the existing directory `path` and every directory below it; files are not asked.
// A walk over the directories that have directories below them; whoever passes every check never pays for it.
// Errors: kAccessControl naming the first directory without it; kDamaged and kIo from the store.
absl::Status CheckSubtreeAccess(const MetaReader& reader, const PermissionChecker& checker, const InodePath& path,
                                Access access, SubtreeRule rule);

}  // namespace dolmen::namenode
