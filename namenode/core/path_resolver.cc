#include "namenode/core/path_resolver.h"

#include <optional>
#include <string>
#include <utility>

#include "common/error.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {

absl::StatusOr<InodePath> ResolvePath(const MetaReader& reader, const PermissionChecker& checker,
                                      const std::vector<std::string_view>& components, PathUse use) {
  InodePath path;
  path.names.assign(components.begin(), components.end());
  path.inodes.reserve(components.size() + 1);
  DOLMEN_ASSIGN_OR_RETURN(InodeRecord root, GetRoot(reader));
  path.inodes.push_back(std::move(root));
  for (size_t depth = 0; depth < path.names.size(); ++depth) {
    const InodeRecord& directory = path.inodes[depth];
    if (!directory.is_directory) {
      return MakeError(use == PathUse::kCreate ? ErrorReason::kParentNotDirectory : ErrorReason::kAccessControl,
                       absl::StrCat(path.PathTo(depth), " (is not a directory)"));
    }
    DOLMEN_RETURN_IF_ERROR(checker.CheckAccess(path, depth, Access::kExecute));
    DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> child, GetInode(reader, directory.id, path.names[depth]));
    if (!child.has_value()) break;
    path.inodes.push_back(*std::move(child));
  }
  return path;
}

absl::StatusOr<InodePath> ParseAndResolve(const MetaReader& reader, const PermissionChecker& checker,
                                          const CoreSettings& settings, std::string_view path, PathUse use,
                                          std::string_view operation) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string_view> components, ParsePath(path, use, operation, settings));
  return ResolvePath(reader, checker, components, use);
}

}  // namespace dolmen::namenode
