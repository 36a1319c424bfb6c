#include <chrono>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/format.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status MakeEmptyFile(const CommandContext& context, const RemoteItem& item) {
  const ShellSettings& settings = context.session.settings();
  const CreateOptions options{.overwrite = true,
                              .permission = static_cast<uint16_t>(0666 & ~settings.umask),
                              .replication = settings.replication,
                              .block_bytes = settings.block_bytes};
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<OutputStream> stream, item.fs->Create(item.path, options));
  return stream->Close();
}

// A new file needs a directory to be in.
absl::Status CheckParent(const RemoteItem& item) {
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<FileStatus> parent,
                          item.fs->GetFileInfo(std::string(ParentPath(item.path))));
  return parent.has_value() ? absl::OkStatus() : NoSuchFile(item.shown, QualifiedPath(*item.fs, item.path));
}

absl::Status Touchz(const CommandContext& context, const RemoteItem& item) {
  if (!item.status.has_value()) {
    DOLMEN_RETURN_IF_ERROR(CheckParent(item));
  } else if (item.status->is_directory) {
    return IsADirectory(item.shown);
  } else if (item.status->length != 0) {
    return PathError(item.shown, "Not a zero-length file");
  }
  return MakeEmptyFile(context, item);
}

struct TouchOptions {
  bool only_accessed = false;
  bool only_modified = false;
  bool only_existing = false;
  std::optional<int64_t> time_ms;  // nothing: now
};

absl::Status Touch(const CommandContext& context, const RemoteItem& item, const TouchOptions& options) {
  if (!item.status.has_value()) {
    DOLMEN_RETURN_IF_ERROR(CheckParent(item));
    if (options.only_existing) return absl::OkStatus();
    DOLMEN_RETURN_IF_ERROR(MakeEmptyFile(context, item));
    if (!options.time_ms.has_value()) return absl::OkStatus();  // its times are now
  } else if (item.status->is_directory) {
    return IsADirectory(item.shown);
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t time = options.time_ms.value_or(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  const bool both = options.only_accessed == options.only_modified;
  return item.fs->SetTimes(item.path, both || options.only_modified ? std::optional(time) : std::nullopt,
                           both || options.only_accessed ? std::optional(time) : std::nullopt);
}

// "-t" and the word after it, from anywhere before "--". Nothing if it is not there.
absl::StatusOr<std::optional<std::string>> TakeTimestamp(std::vector<std::string>& args) {
  for (auto word = args.begin(); word != args.end() && *word != "--"; ++word) {
    if (*word != "-t") continue;
    if (word + 1 == args.end()) return UsageError("option -t requires 1 argument.");
    std::string timestamp = *(word + 1);
    args.erase(word, word + 2);
    return timestamp;
  }
  return std::nullopt;
}

}  // namespace

absl::Status RunTouchz(CommandContext& context) {
  DOLMEN_RETURN_IF_ERROR(ParseOptions({.min_arguments = 1}, context.args).status());
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  for (const RemoteItem& item : items) context.errors.Report(Touchz(context, item));
  return absl::OkStatus();
}

absl::Status RunTouch(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> timestamp, TakeTimestamp(context.args));
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions parsed,
                          ParseOptions({.min_arguments = 1, .flags = {"a", "m", "c"}}, context.args));
  TouchOptions options{
      .only_accessed = parsed.Has("a"), .only_modified = parsed.Has("m"), .only_existing = parsed.Has("c")};
  if (timestamp.has_value()) {
    // Looked at before anything is made; HDFS leaves an empty file behind when the time is none.
    options.time_ms = ParseLocalSecond(*timestamp);
    if (!options.time_ms.has_value()) {
      return UsageError(absl::StrCat("Unable to parse the specified timestamp ", *timestamp,
                                     ". The expected format is yyyyMMdd:HHmmss"));
    }
  }
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  for (const RemoteItem& item : items) context.errors.Report(Touch(context, item, options));
  return absl::OkStatus();
}

}  // namespace dolmen::cli
