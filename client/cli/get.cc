#include <map>
#include <memory>
#include <utility>

#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/local_tree.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/remote_tree.h"
#include "common/error.h"

namespace dolmen::cli {

absl::Status RunGet(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions parsed,
      ParseOptions({.min_arguments = 1, .flags = {"f", "p", "ignoreCrc", "crc"}, .value_options = {"t"}},
                   context.args));
  CopyOptions options{.overwrite = parsed.Has("f"), .preserve = parsed.Has("p")};
  DOLMEN_ASSIGN_OR_RETURN(options.threads, ParseThreads(parsed));

  std::string typed = ".";
  if (context.args.size() > 1) {
    typed = context.args.back();
    context.args.pop_back();
  }
  const std::unique_ptr<Tree> local = MakeLocalTree({.write_checksum_files = parsed.Has("crc")});
  Destination destination{.tree = local.get()};
  DOLMEN_ASSIGN_OR_RETURN(destination.node, LookUpLocal(*local, typed));

  DOLMEN_ASSIGN_OR_RETURN(std::vector<RemoteItem> items, ExpandArguments(context));
  std::map<FileSystemClient*, std::unique_ptr<Tree>> trees;
  std::vector<CopySource> sources;
  for (RemoteItem& item : items) {
    std::unique_ptr<Tree>& tree = trees[item.fs];
    if (tree == nullptr) tree = MakeRemoteTree(*item.fs, context.session.settings());
    CopySource source{.tree = tree.get(), .node = {.shown = std::move(item.shown), .path = std::move(item.path)}};
    if (item.status.has_value()) source.node.info = InfoOf(*item.status);
    sources.push_back(std::move(source));
  }
  return CopyAll(sources, destination, options, context.session.interrupted(), context.errors);
}

}  // namespace dolmen::cli
