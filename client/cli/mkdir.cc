#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status MakeOne(const CommandContext& context, const RemoteItem& item, bool create_parents) {
  if (item.status.has_value()) {
    if (!item.status->is_directory) return IsNotADirectory(item.shown);
    return create_parents ? absl::OkStatus() : FileExists(item.shown);
  }
  if (!create_parents) {
    const std::string parent(ParentPath(item.path));
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<FileStatus> status, item.fs->GetFileInfo(parent));
    if (!status.has_value()) return NoSuchFile(QualifiedPath(*item.fs, parent));
  }
  const auto permission = static_cast<uint16_t>(0777 & ~context.session.settings().umask);
  return item.fs->Mkdirs(item.path, permission, create_parents);
}

}  // namespace

absl::Status RunMkdir(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.min_arguments = 1, .flags = {"p"}}, context.args));
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  for (const RemoteItem& item : items) context.errors.Report(MakeOne(context, item, options.Has("p")));
  return absl::OkStatus();
}

}  // namespace dolmen::cli
