#include "client/cli/command.h"
#include "client/cli/count_format.h"
#include "client/cli/option_grammar.h"
#include "client/cli/tree_walk.h"
#include "common/error.h"

namespace dolmen::cli {

absl::Status RunCount(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions options,
      ParseOptions({.min_arguments = 1, .flags = {"q", "h", "v", "u", "x", "e", "s"}, .value_options = {"t"}},
                   context.args));
  CountStyle style{.quotas = options.Has("q"),
                   .quotas_only = options.Has("u"),
                   .human_sizes = options.Has("h"),
                   .erasure_coding = options.Has("e"),
                   .snapshots = options.Has("s")};
  const bool with_quotas = style.quotas || style.quotas_only;
  if (const auto types = options.values.find("t"); with_quotas && types != options.values.end()) {
    DOLMEN_ASSIGN_OR_RETURN(style.storage_types, ParseStorageTypes(types->second));
  }
  if (with_quotas && options.Has("x")) context.out << "q or u option is given, the -x option is ignored.\n";
  if (options.Has("v")) context.out << CountHeader(style) << "\n";
  return VisitArguments(context, /*recursive=*/false, [&](const RemoteItem& item) -> absl::Status {
    ContentSummary summary;
    if (style.counts()) {
      DOLMEN_ASSIGN_OR_RETURN(summary, item.fs->GetContentSummary(item.path));
    }
    context.out << CountLine(style, summary, item.shown) << "\n";
    return absl::OkStatus();
  });
}

}  // namespace dolmen::cli
