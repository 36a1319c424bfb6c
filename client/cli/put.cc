#include <algorithm>
#include <memory>
#include <utility>

#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/copy_ends.h"
#include "client/cli/local_tree.h"
#include "client/cli/option_grammar.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status Put(CommandContext& context, const ParsedOptions& parsed, bool move) {
  CopyOptions options{
      .overwrite = parsed.Has("f"), .direct = parsed.Has("d"), .lazy_persist = parsed.Has("l"), .move = move};
  if (parsed.Has("p")) options.preserve = AttributeSet::All();
  DOLMEN_ASSIGN_OR_RETURN(options.threads, ParseThreads(parsed));
  DOLMEN_ASSIGN_OR_RETURN(const RemoteDestination remote, TakeRemoteDestination(context));
  const bool reads_input = context.args.size() == 1 && context.args[0] == "-";
  const std::unique_ptr<ProgressBar> bar = MakeProgressBar(context.session, parsed, reads_input);
  options.progress = bar.get();

  if (reads_input) {
    DOLMEN_ASSIGN_OR_RETURN(const Node target, TargetFor(remote.destination, "-"));
    if (bar != nullptr) bar->StreamFound();
    FileProgress progress(bar.get(), 0);
    FdReader input(context.session.input_fd(), "standard input");
    return CopyStream(input, UINT64_MAX - 1, *remote.tree, target, options, progress, context.session.interrupted());
  }
  const std::unique_ptr<Tree> local = MakeLocalTree({});
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<CopySource> sources, LocalSources(context, *local));
  return CopyAll(sources, remote.destination, options, context.session.interrupted(), context.errors);
}

}  // namespace

absl::Status RunPut(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions parsed,
      ParseOptions({.min_arguments = 1, .flags = {"f", "p", "l", "d", kNoProgress}, .value_options = {"t", "q"}},
                   context.args));
  return Put(context, parsed, /*move=*/false);
}

absl::Status RunMoveFromLocal(CommandContext& context) {
  // Refused wherever it stands, as in HDFS.
  if (std::find(context.args.begin(), context.args.end(), "-t") != context.args.end()) {
    return UsageError("Illegal option -t");
  }
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions parsed,
                          ParseOptions({.min_arguments = 1, .flags = {"f", "p", "l", "d", kNoProgress}}, context.args));
  return Put(context, parsed, /*move=*/true);
}

}  // namespace dolmen::cli
