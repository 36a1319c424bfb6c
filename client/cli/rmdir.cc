#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/shell_error.h"
#include "client/cli/tree_walk.h"
#include "common/error.h"

namespace dolmen::cli {

absl::Status RunRmdir(CommandContext& context) {
  constexpr char kIgnore[] = "-ignore-fail-on-non-empty";
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.min_arguments = 1, .flags = {kIgnore}}, context.args));
  return VisitArguments(context, /*recursive=*/false, [&](const RemoteItem& item) -> absl::Status {
    if (!item.status->is_directory) return IsNotADirectory(item.shown);
    bool empty = true;
    DOLMEN_RETURN_IF_ERROR(item.fs->List(item.path, [&empty](const FileStatus&) {
      empty = false;
      return false;
    }));
    if (!empty) {
      return options.Has(kIgnore) ? absl::OkStatus() : PathError(item.shown, "Directory is not empty");
    }
    DOLMEN_ASSIGN_OR_RETURN(const bool deleted, item.fs->Delete(item.path, /*recursive=*/false));
    return deleted ? absl::OkStatus() : InputOutputError(item.shown);
  });
}

}  // namespace dolmen::cli
