#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/local_tree.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/remote_tree.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::StatusOr<std::vector<CopySource>> LookUpSources(CommandContext& context, Tree& local) {
  std::vector<CopySource> sources;
  for (const std::string& word : context.args) {
    absl::StatusOr<Node> node = LookUpLocal(local, word);
    if (node.ok()) {
      sources.push_back(CopySource{.tree = &local, .node = *std::move(node)});
    } else if (IsUsageError(node.status())) {
      return node.status();
    } else {
      context.errors.Report(node.status());
    }
  }
  return sources;
}

}  // namespace

absl::Status RunPut(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions parsed,
      ParseOptions({.min_arguments = 1, .flags = {"f", "p", "l", "d"}, .value_options = {"t"}}, context.args));
  CopyOptions options{.overwrite = parsed.Has("f"),
                      .preserve = parsed.Has("p"),
                      .direct = parsed.Has("d"),
                      .lazy_persist = parsed.Has("l")};
  DOLMEN_ASSIGN_OR_RETURN(options.threads, ParseThreads(parsed));

  std::string typed = ".";
  if (context.args.size() > 1) {
    typed = context.args.back();
    context.args.pop_back();
  }
  DOLMEN_ASSIGN_OR_RETURN(std::vector<RemoteItem> matches, ExpandArgument(context.session, typed));
  if (matches.size() > 1) return PathError(typed, "Too many matches");
  const RemoteItem& item = matches[0];
  const std::unique_ptr<Tree> remote = MakeRemoteTree(*item.fs, context.session.settings());
  Destination destination{.tree = remote.get(), .node = {.shown = item.shown, .path = item.path}};
  if (item.status.has_value()) destination.node.info = InfoOf(*item.status);

  if (context.args.size() == 1 && context.args[0] == "-") {
    DOLMEN_ASSIGN_OR_RETURN(const Node target, TargetFor(destination, "-"));
    FdReader input(context.session.input_fd(), "standard input");
    return CopyStream(input, UINT64_MAX - 1, *remote, target, options, context.session.interrupted());
  }
  const std::unique_ptr<Tree> local = MakeLocalTree({});
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<CopySource> sources, LookUpSources(context, *local));
  return CopyAll(sources, destination, options, context.session.interrupted(), context.errors);
}

}  // namespace dolmen::cli
