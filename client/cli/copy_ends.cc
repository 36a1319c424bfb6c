#include "client/cli/copy_ends.h"

#include <unistd.h>

#include <utility>

#include "client/cli/local_tree.h"
#include "client/cli/remote_tree.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

std::string TakeLastWord(CommandContext& context) {
  if (context.args.size() <= 1) return ".";
  std::string word = std::move(context.args.back());
  context.args.pop_back();
  return word;
}

}  // namespace

std::unique_ptr<ProgressBar> MakeProgressBar(const Session& session, const ParsedOptions& options, bool reads_input) {
  if (session.terminal() < 0 || !session.settings().progress || options.Has(kNoProgress)) return nullptr;
  if (reads_input && isatty(session.input_fd()) == 1) return nullptr;
  return std::make_unique<ProgressBar>(session.terminal());
}

absl::StatusOr<RemoteDestination> TakeRemoteDestination(CommandContext& context) {
  const std::string typed = TakeLastWord(context);
  DOLMEN_ASSIGN_OR_RETURN(std::vector<RemoteItem> matches, ExpandArgument(context.session, typed));
  if (matches.size() > 1) return PathError(typed, "Too many matches");
  RemoteDestination result;
  result.item = std::move(matches[0]);
  result.tree = MakeTree(*result.item.fs, context.session.settings());
  result.destination.tree = result.tree.get();
  result.destination.node = Node{.shown = result.item.shown, .path = result.item.path};
  if (result.item.status.has_value()) result.destination.node.info = InfoOf(*result.item.status);
  return result;
}

absl::StatusOr<Destination> TakeLocalDestination(CommandContext& context, Tree& local) {
  DOLMEN_ASSIGN_OR_RETURN(Node node, LookUpLocal(local, TakeLastWord(context)));
  return Destination{.tree = &local, .node = std::move(node)};
}

absl::StatusOr<std::vector<CopySource>> LocalSources(CommandContext& context, Tree& local) {
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

absl::StatusOr<CopySource> SourceTrees::SourceOf(const RemoteItem& item) {
  std::unique_ptr<Tree>& tree = trees_[item.fs];
  if (tree == nullptr) tree = MakeTree(*item.fs, settings_);
  CopySource source{.tree = tree.get(), .node = {.shown = item.shown, .path = item.path}};
  if (IsLocal(*item.fs)) {
    // A tree of the machine's files knows more of them than the client's interface tells.
    DOLMEN_ASSIGN_OR_RETURN(source.node.info, tree->Stat(item.path));
  } else if (item.status.has_value()) {
    source.node.info = InfoOf(*item.status);
  }
  return source;
}

absl::StatusOr<std::vector<CopySource>> SourceTrees::Expand(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  std::vector<CopySource> sources;
  for (const RemoteItem& item : items) {
    absl::StatusOr<CopySource> source = SourceOf(item);
    if (source.ok()) {
      sources.push_back(*std::move(source));
    } else {
      context.errors.Report(source.status());
    }
  }
  return sources;
}

}  // namespace dolmen::cli
