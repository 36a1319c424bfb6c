// Path arguments that name things in the file system: looked up, patterns expanded, shown as they were typed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/command.h"
#include "client/cli/session.h"
#include "client/dolmen/client.h"

namespace dolmen::cli {

struct RemoteItem {
  FileSystemClient* fs = nullptr;    // the session's
  std::string shown;                 // as typed, or its form after expansion
  std::string path;                  // absolute, normalised
  std::optional<FileStatus> status;  // nothing: does not exist
};

// Everything `typed` matches, in path order. A pattern without a match gives nothing; a plain name that does not exist
// gives one item without status.
absl::StatusOr<std::vector<RemoteItem>> ExpandGlob(Session& session, const std::string& typed);
// As ExpandGlob, but a pattern without a match is "No such file or directory".
absl::StatusOr<std::vector<RemoteItem>> ExpandArgument(Session& session, const std::string& typed);
// The one path `typed` names, patterns not expanded; without status if there is nothing.
absl::StatusOr<RemoteItem> LookUp(Session& session, const std::string& typed);
// All words of the command line, in order. Words that fail are reported and left out.
// Error: only what must end the command (a malformed path).
absl::StatusOr<std::vector<RemoteItem>> ExpandArguments(CommandContext& context);

// Entries of a directory, in name order.
absl::StatusOr<std::vector<FileStatus>> ListDirectory(const RemoteItem& directory);
RemoteItem ChildOf(const RemoteItem& directory, const FileStatus& status);

}  // namespace dolmen::cli
