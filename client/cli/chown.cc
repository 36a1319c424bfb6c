// -chown and -chgrp.
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/owner_text.h"
#include "client/cli/tree_walk.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status ChangeOwners(CommandContext& context, absl::StatusOr<OwnerChange> (*parse)(std::string_view text)) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.min_arguments = 2, .flags = {"R"}}, context.args));
  DOLMEN_ASSIGN_OR_RETURN(const OwnerChange change, parse(context.args[0]));
  context.args.erase(context.args.begin());
  return VisitArguments(context, options.Has("R"), [&change](const RemoteItem& item) {
    const std::string owner = change.owner == item.status->owner ? "" : change.owner;
    const std::string group = change.group == item.status->group ? "" : change.group;
    if (owner.empty() && group.empty()) return absl::OkStatus();
    return Annotate(item.fs->SetOwner(item.path, owner, group),
                    absl::StrCat("changing ownership of '", item.shown, "'"));
  });
}

}  // namespace

absl::Status RunChown(CommandContext& context) { return ChangeOwners(context, ParseOwnerAndGroup); }
absl::Status RunChgrp(CommandContext& context) { return ChangeOwners(context, ParseGroup); }

}  // namespace dolmen::cli
