#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "client/cli/stat_format.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

void Print(CommandContext& context, const RemoteItem& item, const std::string& format, bool recursive) {
  if (!item.status.has_value()) {
    context.errors.Report(NoSuchFile(item.shown));
    return;
  }
  context.out << FormatStat(format, *item.status, BaseName(item.path)) << "\n";
  if (!recursive || !item.status->is_directory) return;
  const absl::StatusOr<std::vector<FileStatus>> entries = ListDirectory(item);
  if (!entries.ok()) {
    context.errors.Report(entries.status());
    return;
  }
  for (const FileStatus& entry : *entries) Print(context, ChildOf(item, entry), format, recursive);
}

}  // namespace

absl::Status RunStat(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.min_arguments = 1, .flags = {"R"}}, context.args));
  std::string format = "%y";
  if (context.args[0].find('%') != std::string::npos) {
    format = context.args[0];
    context.args.erase(context.args.begin());
    // The one word was the format. A path with a % needs one before it.
    if (context.args.empty()) return UsageError("Not enough arguments: expected 1 but got 0");
  }
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  for (const RemoteItem& item : items) Print(context, item, format, options.Has("R"));
  return absl::OkStatus();
}

}  // namespace dolmen::cli
