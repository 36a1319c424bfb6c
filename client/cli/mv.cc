#include <string_view>

#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/copy_ends.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// Ports don't matter: two namenodes on one host count as one file system here, as in HDFS.
std::string_view HostOf(const FileSystemClient& fs) {
  const std::string_view authority = fs.authority();
  return authority.substr(0, authority.rfind(':'));
}

absl::Status MoveOne(const RemoteItem& source, FileSystemClient& target_fs, const Destination& destination) {
  if (!source.status.has_value()) return NoSuchFile(source.shown);
  DOLMEN_ASSIGN_OR_RETURN(const Node target, TargetFor(destination, BaseName(source.path)));
  if (source.status->is_directory && source.fs == &target_fs) {
    DOLMEN_RETURN_IF_ERROR(CheckNotInside(source.shown, QualifiedPath(*source.fs, source.path), target.shown,
                                          QualifiedPath(target_fs, target.path)));
  }
  if (HostOf(*source.fs) != HostOf(target_fs)) return PathError(source.shown, "Does not match target filesystem");
  if (target.info.has_value()) return FileExists(target.shown);
  DOLMEN_ASSIGN_OR_RETURN(const bool renamed, target_fs.Rename(source.path, target.path));
  return renamed ? absl::OkStatus() : InputOutputError(source.shown);
}

}  // namespace

absl::Status RunMv(CommandContext& context) {
  DOLMEN_RETURN_IF_ERROR(ParseOptions({.min_arguments = 2}, context.args).status());
  DOLMEN_ASSIGN_OR_RETURN(const RemoteDestination remote, TakeRemoteDestination(context));
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> sources, ExpandArguments(context));
  DOLMEN_RETURN_IF_ERROR(CheckDestination(remote.destination, sources.size(), /*overwrite=*/false));
  for (const RemoteItem& source : sources) context.errors.Report(MoveOne(source, *remote.item.fs, remote.destination));
  return absl::OkStatus();
}

}  // namespace dolmen::cli
