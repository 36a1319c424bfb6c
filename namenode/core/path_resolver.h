// From a path to the inodes on it.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "namenode/core/inode_path.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/path.h"
#include "namenode/core/permission.h"

namespace dolmen::namenode {

// Follows `components` from the root as far as they exist, asking for EXECUTE on every directory passed.
// Errors: kAccessControl without EXECUTE; a file where a directory is needed is "<path> (is not a directory)", as
// kParentNotDirectory for a path to be created and, as in HDFS, as kAccessControl for all others.
absl::StatusOr<InodePath> ResolvePath(const MetaReader& reader, const PermissionChecker& checker,
                                      const std::vector<std::string_view>& components, PathUse use);

// ParsePath, then ResolvePath.
absl::StatusOr<InodePath> ParseAndResolve(const MetaReader& reader, const PermissionChecker& checker,
                                          const CoreSettings& settings, std::string_view path, PathUse use,
                                          std::string_view operation);

}  // namespace dolmen::namenode
