#include "client/cli/command.h"
#include "client/cli/format.h"
#include "client/cli/option_grammar.h"
#include "client/cli/tree_walk.h"
#include "client/cli/usage_table.h"
#include "common/error.h"

namespace dolmen::cli {

absl::Status RunDf(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options, ParseOptions({.flags = {"h"}}, context.args));
  if (context.args.empty()) context.args.push_back("/");
  using enum UsageTable::Align;
  UsageTable table({kLeft, kRight, kRight, kRight, kRight}, {"Filesystem", "Size", "Used", "Available", "Use%"});
  const auto size = [&options](uint64_t bytes) { return options.Has("h") ? HumanSize(bytes) : std::to_string(bytes); };
  const absl::Status status = VisitArguments(context, /*recursive=*/false, [&](const RemoteItem& item) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(const ClusterStats stats, item.fs->GetStats());
    table.AddRow({QualifiedPath(*item.fs, ""), size(stats.capacity_bytes), size(stats.used_bytes),
                  size(stats.remaining_bytes),
                  Percent(static_cast<double>(stats.used_bytes), static_cast<double>(stats.capacity_bytes),
                          /*decimals=*/0)});
    return absl::OkStatus();
  });
  context.out << table.Text();
  return status;
}

}  // namespace dolmen::cli
