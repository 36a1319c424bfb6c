#include <memory>
#include <utility>

#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/copy_ends.h"
#include "client/cli/local_tree.h"
#include "client/cli/option_grammar.h"
#include "common/error.h"

namespace dolmen::cli {

absl::Status RunGet(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions parsed,
      ParseOptions(
          {.min_arguments = 1, .flags = {"f", "p", "ignoreCrc", "crc", kNoProgress}, .value_options = {"t", "q"}},
          context.args));
  CopyOptions options{.overwrite = parsed.Has("f")};
  if (parsed.Has("p")) options.preserve = AttributeSet::All();
  DOLMEN_ASSIGN_OR_RETURN(options.threads, ParseThreads(parsed));

  const std::unique_ptr<Tree> local = MakeLocalTree({.write_checksum_files = parsed.Has("crc")});
  DOLMEN_ASSIGN_OR_RETURN(const Destination destination, TakeLocalDestination(context, *local));
  SourceTrees trees(context.session.settings());
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<CopySource> sources, trees.Expand(context));
  const std::unique_ptr<ProgressBar> bar = MakeProgressBar(context.session, parsed);
  options.progress = bar.get();
  return CopyAll(sources, destination, options, context.session.interrupted(), context.errors);
}

}  // namespace dolmen::cli
