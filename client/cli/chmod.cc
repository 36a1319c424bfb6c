#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/mode_change.h"
#include "client/cli/option_grammar.h"
#include "client/cli/shell_error.h"
#include "client/cli/tree_walk.h"
#include "common/error.h"

namespace dolmen::cli {

absl::Status RunChmod(CommandContext& context) {
  // A mode may begin with a dash.
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.min_arguments = 2, .flags = {"R"}, .keep_unknown = true}, context.args));
  const std::optional<ModeChange> change = ModeChange::Parse(context.args[0]);
  if (!change.has_value()) {
    return UsageError(absl::StrCat("chmod : mode '", context.args[0], "' does not match the expected pattern."));
  }
  context.args.erase(context.args.begin());
  return VisitArguments(context, options.Has("R"), [&change](const RemoteItem& item) {
    const uint16_t permission = change->Apply(item.status->permission, item.status->is_directory);
    if (permission == item.status->permission) return absl::OkStatus();
    return Annotate(item.fs->SetPermission(item.path, permission),
                    absl::StrCat("changing permissions of '", item.shown, "'"));
  });
}

}  // namespace dolmen::cli
