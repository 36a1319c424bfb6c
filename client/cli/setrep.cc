#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/shell_error.h"
#include "client/cli/tree_walk.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr std::chrono::seconds kPoll{10};  // HDFS's

// As Java reads a short.
absl::StatusOr<int64_t> ParseShort(const std::string& text) {
  DOLMEN_ASSIGN_OR_RETURN(const int64_t value, ParseInteger(text));
  if (value != static_cast<int32_t>(value)) return UsageError(absl::StrCat("For input string: \"", text, "\""));
  if (value != static_cast<int16_t>(value)) {
    return UsageError(absl::StrCat("Value out of range. Value:\"", text, "\" Radix:10"));
  }
  return value;
}

// Until every block has exactly `wanted` replicas.
absl::Status WaitFor(CommandContext& context, const RemoteItem& item, size_t wanted) {
  context.out << "Waiting for " << item.shown << " ..." << std::flush;
  bool warned = false;
  while (true) {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<FileStatus> status, item.fs->GetFileInfo(item.path));
    if (!status.has_value()) return NoSuchFile(item.shown);
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<BlockLocation> blocks,
                            item.fs->GetBlockLocations(item.path, 0, status->length));
    const auto other = std::find_if(blocks.begin(), blocks.end(),
                                    [wanted](const BlockLocation& block) { return block.hosts.size() != wanted; });
    if (other == blocks.end()) break;
    if (other->hosts.size() > wanted && !warned) {
      context.out << "\nWARNING: the waiting time may be long for DECREASING the number of replications.\n";
      warned = true;
    }
    context.out << ".";
    context.session.Sleep(kPoll);
  }
  context.out << " done\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status RunSetrep(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.min_arguments = 2, .flags = {"R", "w"}}, context.args));
  const absl::StatusOr<int64_t> parsed = ParseShort(context.args[0]);
  if (!parsed.ok()) {
    context.errors.Warn("Illegal replication, a positive integer expected");
    return parsed.status();
  }
  if (*parsed < 1) return UsageError("replication must be >= 1");
  const auto replication = static_cast<uint32_t>(*parsed);
  context.args.erase(context.args.begin());
  std::vector<RemoteItem> changed;
  DOLMEN_RETURN_IF_ERROR(VisitArguments(context, /*recursive=*/true, [&](const RemoteItem& item) -> absl::Status {
    if (item.status->is_directory) return absl::OkStatus();
    DOLMEN_ASSIGN_OR_RETURN(const bool set, item.fs->SetReplication(item.path, replication));
    if (!set) return MakeError(ErrorReason::kIo, absl::StrCat("Could not set replication for: ", item.shown));
    context.out << "Replication " << replication << " set: " << item.shown << "\n";
    if (options.Has("w")) changed.push_back(item);
    return absl::OkStatus();
  }));
  for (const RemoteItem& item : changed) DOLMEN_RETURN_IF_ERROR(WaitFor(context, item, replication));
  return absl::OkStatus();
}

}  // namespace dolmen::cli
