#include "client/cli/command.h"
#include "client/cli/format.h"
#include "client/cli/option_grammar.h"
#include "client/cli/tree_walk.h"
#include "client/cli/usage_table.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

struct Usage {
  uint64_t bytes = 0;
  uint64_t bytes_of_replicas = 0;
};

absl::StatusOr<Usage> UsageOf(const RemoteItem& item) {
  const FileStatus& status = *item.status;
  // What the listing says of a closed file is all there is to know.
  if (!status.is_directory && !status.under_construction) {
    return Usage{.bytes = status.length, .bytes_of_replicas = status.length * status.replication};
  }
  DOLMEN_ASSIGN_OR_RETURN(const ContentSummary summary, item.fs->GetContentSummary(item.path));
  return Usage{.bytes = summary.length, .bytes_of_replicas = summary.space_consumed};
}

}  // namespace

absl::Status RunDu(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options, ParseOptions({.flags = {"h", "s", "v", "x"}}, context.args));
  if (context.args.empty()) context.args.push_back(".");
  const bool sums = options.Has("s");
  std::vector<std::string> header;
  if (options.Has("v")) header = {"SIZE", "DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS", "FULL_PATH_NAME"};
  UsageTable table({UsageTable::Align::kLeft, UsageTable::Align::kLeft, UsageTable::Align::kLeft}, std::move(header));
  const auto size = [&options](uint64_t bytes) { return options.Has("h") ? HumanSize(bytes) : std::to_string(bytes); };
  const auto add = [&](const RemoteItem& item) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(const Usage usage, UsageOf(item));
    table.AddRow({size(usage.bytes), size(usage.bytes_of_replicas), item.shown});
    return absl::OkStatus();
  };
  const absl::Status status = VisitArguments(context, /*recursive=*/false, [&](const RemoteItem& item) -> absl::Status {
    if (sums || !item.status->is_directory) return add(item);
    return item.fs->List(item.path, [&](const FileStatus& entry) {
      context.errors.Report(add(ChildOf(item, entry)));
      return true;
    });
  });
  context.out << table.Text();
  return status;
}

}  // namespace dolmen::cli
