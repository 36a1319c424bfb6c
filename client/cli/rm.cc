#include <unistd.h>

#include <cctype>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

struct RmOptions {
  bool force = false;
  bool directories = false;
  bool skip_trash = false;
  bool safely = false;
};

absl::StatusOr<uint64_t> CountFiles(const RemoteItem& item) {
  if (!item.status->is_directory) return 1;
  uint64_t count = 0;
  std::vector<std::string> todo = {item.path};
  while (!todo.empty()) {
    const std::string directory = std::move(todo.back());
    todo.pop_back();
    DOLMEN_RETURN_IF_ERROR(item.fs->List(directory, [&](const FileStatus& entry) {
      if (entry.is_directory) {
        todo.push_back(ChildPath(directory, entry.name));
      } else {
        ++count;
      }
      return true;
    }));
  }
  return count;
}

// One line of standard input; nothing at its end.
std::optional<std::string> ReadAnswer(int fd) {
  std::string line;
  char c = 0;
  while (true) {
    const ssize_t got = read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return line.empty() ? std::nullopt : std::optional(line);
    if (c == '\n') return line;
    if (c != '\r' && line.size() < 1000) line += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
}

bool Confirm(Session& session, const std::string& question) {
  while (true) {
    session.out().flush();
    session.err() << question << " (Y or N) " << std::flush;
    const std::optional<std::string> answer = ReadAnswer(session.input_fd());
    if (!answer.has_value() || answer == "n" || answer == "no") return false;
    if (answer == "y" || answer == "yes") return true;
    session.err() << "Invalid input: " << *answer << "\n";
  }
}

// Asks before many files go. False: the person said no.
absl::StatusOr<bool> MayDelete(Session& session, const RemoteItem& item) {
  const int64_t limit = session.settings().safe_delete_limit;
  if (limit <= 0) return true;
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t files, CountFiles(item));
  if (files <= static_cast<uint64_t>(limit)) return true;
  if (Confirm(session, absl::StrCat("Proceed deleting ", files, " files?"))) return true;
  session.err() << "Delete aborted at user request.\n\n";
  return false;
}

absl::Status RemoveOne(CommandContext& context, const RemoteItem& item, const RmOptions& options) {
  if (!item.status.has_value()) return options.force ? absl::OkStatus() : NoSuchFile(item.shown);
  if (item.status->is_directory && !options.directories) return IsADirectory(item.shown);
  if (!options.skip_trash && context.session.settings().trash_interval > 0) {
    // Better to delete nothing than to delete for good what was meant to be kept.
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("Failed to move to trash: ", QualifiedPath(*item.fs, item.path),
                                  ": there is no trash here (fs.trash.interval is ",
                                  context.session.settings().trash_interval, "). Consider using -skipTrash option"));
  }
  if (options.safely) {
    DOLMEN_ASSIGN_OR_RETURN(const bool may, MayDelete(context.session, item));
    if (!may) return absl::OkStatus();
  }
  DOLMEN_ASSIGN_OR_RETURN(const bool deleted, item.fs->Delete(item.path, options.directories));
  if (!deleted) return InputOutputError(item.shown);
  context.out << "Deleted " << item.shown << "\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status RunRm(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions parsed,
      ParseOptions({.min_arguments = 1, .flags = {"f", "r", "R", "skipTrash", "safely"}}, context.args));
  const RmOptions options{.force = parsed.Has("f"),
                          .directories = parsed.Has("r") || parsed.Has("R"),
                          .skip_trash = parsed.Has("skipTrash"),
                          .safely = parsed.Has("safely")};
  std::vector<RemoteItem> all;
  for (const std::string& word : context.args) {
    absl::StatusOr<std::vector<RemoteItem>> items = ExpandGlob(context.session, word);
    if (!items.ok()) {
      if (IsUsageError(items.status())) return items.status();
      context.errors.Report(items.status());
    } else if (items->empty() && !options.force) {
      context.errors.Report(NoSuchFile(word));
    } else {
      std::move(items->begin(), items->end(), std::back_inserter(all));
    }
  }
  for (const RemoteItem& item : all) context.errors.Report(RemoveOne(context, item, options));
  return absl::OkStatus();
}

}  // namespace dolmen::cli
