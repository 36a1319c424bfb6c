#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// Asks the namenode by doing what a reader does first.
absl::StatusOr<bool> MayRead(const RemoteItem& item) {
  const absl::Status status = item.status->is_directory
                                  ? item.fs->List(item.path, [](const FileStatus&) { return false; })
                                  : item.fs->GetBlockLocations(item.path, 0, 1).status();
  if (ReasonOf(status) == ErrorReason::kAccessControl) return false;
  if (!status.ok()) return status;
  return true;
}

// There is no question about writing that changes nothing, so the bits decide. Which groups the caller is in is the
// namenode's knowledge: members count as others here. The owner of the root is the superuser and may do everything.
absl::StatusOr<bool> MayWrite(const RemoteItem& item) {
  const FileStatus& status = *item.status;
  const int shift = status.owner == item.fs->user() ? 6 : 0;
  if ((status.permission >> shift & 02) != 0) return true;
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<FileStatus> root, item.fs->GetFileInfo("/"));
  return root.has_value() && root->owner == item.fs->user();
}

absl::StatusOr<bool> Answer(char question, const RemoteItem& item) {
  const FileStatus& status = *item.status;
  switch (question) {
    case 'd':
      return status.is_directory;
    case 'f':
      return !status.is_directory;
    case 's':
      return !status.is_directory && status.length > 0;
    case 'z':
      return status.is_directory || status.length == 0;
    case 'r':
      return MayRead(item);
    case 'w':
      return MayWrite(item);
    default:
      return true;  // 'e'
  }
}

}  // namespace

absl::Status RunTest(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions options,
      ParseOptions({.min_arguments = 1, .max_arguments = 1, .flags = {"d", "e", "f", "s", "w", "r", "z"}},
                   context.args));
  if (options.flags.empty()) return UsageError("No test flag given");
  if (options.flags.size() > 1) return UsageError("Only one test flag is allowed");
  const char question = (*options.flags.begin())[0];
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  for (const RemoteItem& item : items) {
    if (!item.status.has_value()) {
      context.answer_is_no = true;
      continue;
    }
    const absl::StatusOr<bool> answer = Answer(question, item);
    if (!answer.ok()) {
      context.errors.Report(answer.status());
    } else if (!*answer) {
      context.answer_is_no = true;
    }
  }
  return absl::OkStatus();
}

}  // namespace dolmen::cli
