#include <chrono>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/shell_error.h"
#include "client/cli/tree_walk.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr std::chrono::seconds kPoll{1};  // HDFS's

// Until its last block is cut: the file is open so long.
absl::Status WaitFor(CommandContext& context, const RemoteItem& item, uint64_t length) {
  context.out << "Waiting for " << item.shown << " ...\n";
  while (true) {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<FileStatus> status, item.fs->GetFileInfo(item.path));
    if (!status.has_value()) return NoSuchFile(item.shown);
    if (!status->under_construction) break;
    context.session.Sleep(kPoll);
  }
  context.out << "Truncated " << item.shown << " to length: " << length << "\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status RunTruncate(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.min_arguments = 2, .flags = {"w"}}, context.args));
  const absl::StatusOr<int64_t> parsed = ParseInteger(context.args[0]);
  if (!parsed.ok()) {
    context.errors.Warn("Illegal length, a non-negative integer expected");
    return parsed.status();
  }
  if (*parsed < 0) return UsageError("length must be >= 0");
  const auto length = static_cast<uint64_t>(*parsed);
  context.args.erase(context.args.begin());
  std::vector<RemoteItem> unfinished;
  DOLMEN_RETURN_IF_ERROR(VisitArguments(context, /*recursive=*/false, [&](const RemoteItem& item) -> absl::Status {
    if (item.status->is_directory) return IsADirectory(item.shown);
    if (length > item.status->length) {
      return UsageError(absl::StrCat("Cannot truncate to a larger file size. Current size: ", item.status->length,
                                     ", truncate size: ", length, "."));
    }
    DOLMEN_ASSIGN_OR_RETURN(const bool done, item.fs->Truncate(item.path, length));
    if (done) {
      context.out << "Truncated " << item.shown << " to length: " << length << "\n";
    } else if (options.Has("w")) {
      unfinished.push_back(item);
    } else {
      context.out << "Truncating " << item.shown << " to length: " << length
                  << ". Wait for block recovery to complete before further updating this file.\n";
    }
    return absl::OkStatus();
  }));
  for (const RemoteItem& item : unfinished) DOLMEN_RETURN_IF_ERROR(WaitFor(context, item, length));
  return absl::OkStatus();
}

}  // namespace dolmen::cli
