#include "client/cli/tree_walk.h"

#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status VisitTree(CommandContext& context, const RemoteItem& item, bool recursive, const ItemVisitor& visit) {
  const absl::Status visited = visit(item);
  if (IsUsageError(visited)) return visited;
  context.errors.Report(visited);
  if (!visited.ok() || !recursive || !item.status->is_directory) return absl::OkStatus();
  absl::Status ended;
  const absl::Status listed = item.fs->List(item.path, [&](const FileStatus& entry) {
    if (entry.name.empty()) return true;  // a file took its place meanwhile
    ended = VisitTree(context, ChildOf(item, entry), recursive, visit);
    return ended.ok();
  });
  DOLMEN_RETURN_IF_ERROR(ended);
  context.errors.Report(listed);
  return absl::OkStatus();
}

}  // namespace

absl::Status VisitArguments(CommandContext& context, bool recursive, const ItemVisitor& visit) {
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  for (const RemoteItem& item : items) {
    if (!item.status.has_value()) {
      context.errors.Report(NoSuchFile(item.shown));
      continue;
    }
    DOLMEN_RETURN_IF_ERROR(VisitTree(context, item, recursive, visit));
  }
  return absl::OkStatus();
}

}  // namespace dolmen::cli
