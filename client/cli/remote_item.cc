#include "client/cli/remote_item.h"

#include <algorithm>
#include <utility>

#include "client/cli/glob.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

struct Match {
  std::string path;
  std::optional<FileStatus> status;  // nothing: not looked up yet
};

// A path that can't be one is a bad argument, as in HDFS.
absl::StatusOr<std::string> AbsolutePath(std::string_view path, std::string_view home) {
  absl::StatusOr<std::string> absolute = NormalizePath(path, home);
  if (!absolute.ok()) return UsageError(MessageOf(absolute.status()));
  return absolute;
}

bool Missing(const absl::Status& status) { return ReasonOf(status) == ErrorReason::kFileNotFound; }

// Walks one pattern (absolute, normalised) from the root. Sets `saw_wildcard` if some component is a pattern.
absl::StatusOr<std::vector<Match>> Walk(FileSystemClient& fs, std::string_view pattern, bool& saw_wildcard) {
  std::vector<Match> matches = {Match{"/", std::nullopt}};
  std::string_view rest = pattern.substr(1);
  while (!rest.empty() && !matches.empty()) {
    const size_t slash = rest.find('/');
    const bool last = slash == std::string_view::npos;
    DOLMEN_ASSIGN_OR_RETURN(const GlobPattern component, GlobPattern::Compile(rest.substr(0, slash)));
    rest = last ? std::string_view() : rest.substr(slash + 1);
    if (!component.has_wildcard()) {
      for (Match& match : matches) match = Match{ChildPath(match.path, component.literal()), std::nullopt};
      continue;
    }
    saw_wildcard = true;
    std::vector<Match> next;
    for (const Match& directory : matches) {
      const absl::Status listed = fs.List(directory.path, [&](const FileStatus& entry) {
        // A file lists itself with an empty name; only directories have something below them.
        if (!entry.name.empty() && (last || entry.is_directory) && component.Matches(entry.name)) {
          next.push_back(Match{ChildPath(directory.path, entry.name), entry});
        }
        return true;
      });
      if (!listed.ok() && !Missing(listed)) return listed;
    }
    matches = std::move(next);
  }
  std::vector<Match> existing;
  for (Match& match : matches) {
    if (!match.status.has_value()) {
      DOLMEN_ASSIGN_OR_RETURN(match.status, fs.GetFileInfo(match.path));
    }
    if (match.status.has_value()) existing.push_back(std::move(match));
  }
  return existing;
}

}  // namespace

absl::StatusOr<std::vector<RemoteItem>> ExpandGlob(Session& session, const std::string& typed) {
  DOLMEN_ASSIGN_OR_RETURN(const PathText text, ParsePathText(typed));
  DOLMEN_ASSIGN_OR_RETURN(FileSystemClient* const fs, session.FileSystemFor(text));
  const std::string home = fs->HomeDirectory();
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> patterns,
                          ExpandBracesWithSlash(text.path.empty() ? "." : text.path));
  bool saw_wildcard = false;
  std::vector<RemoteItem> items;
  for (const std::string& pattern : patterns) {
    DOLMEN_ASSIGN_OR_RETURN(const std::string absolute, AbsolutePath(pattern, QuoteGlob(home)));
    DOLMEN_ASSIGN_OR_RETURN(std::vector<Match> matches, Walk(*fs, absolute, saw_wildcard));
    for (Match& match : matches) {
      RemoteItem item{.fs = fs, .path = std::move(match.path), .status = std::move(match.status)};
      if (!text.scheme.empty()) {
        item.shown = text.Prefix() + item.path;
      } else {
        item.shown = text.absolute() ? item.path : RelativeTo(home, item.path);
      }
      items.push_back(std::move(item));
    }
  }
  if (items.empty() && !saw_wildcard && patterns.size() <= 1) {
    RemoteItem missing{.fs = fs, .shown = Unquote(typed)};
    DOLMEN_ASSIGN_OR_RETURN(missing.path, AbsolutePath(text.path.empty() ? "." : Unquote(text.path), home));
    items.push_back(std::move(missing));
  }
  std::sort(items.begin(), items.end(), [](const RemoteItem& a, const RemoteItem& b) { return a.path < b.path; });
  return items;
}

absl::StatusOr<std::vector<RemoteItem>> ExpandArgument(Session& session, const std::string& typed) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<RemoteItem> items, ExpandGlob(session, typed));
  if (items.empty()) return NoSuchFile(typed);
  return items;
}

absl::StatusOr<RemoteItem> LookUp(Session& session, const std::string& typed) {
  DOLMEN_ASSIGN_OR_RETURN(const PathText text, ParsePathText(typed));
  RemoteItem item{.shown = typed};
  DOLMEN_ASSIGN_OR_RETURN(item.fs, session.FileSystemFor(text));
  DOLMEN_ASSIGN_OR_RETURN(item.path, AbsolutePath(text.path.empty() ? "." : text.path, item.fs->HomeDirectory()));
  DOLMEN_ASSIGN_OR_RETURN(item.status, item.fs->GetFileInfo(item.path));
  return item;
}

absl::StatusOr<std::vector<RemoteItem>> ExpandArguments(CommandContext& context) {
  std::vector<RemoteItem> all;
  for (const std::string& word : context.args) {
    absl::StatusOr<std::vector<RemoteItem>> items = ExpandArgument(context.session, word);
    if (!items.ok()) {
      if (IsUsageError(items.status())) return items.status();
      context.errors.Report(items.status());
      continue;
    }
    std::move(items->begin(), items->end(), std::back_inserter(all));
  }
  return all;
}

absl::StatusOr<std::vector<FileStatus>> ListDirectory(const RemoteItem& directory) {
  std::vector<FileStatus> entries;
  DOLMEN_RETURN_IF_ERROR(directory.fs->List(directory.path, [&entries](const FileStatus& entry) {
    entries.push_back(entry);
    return true;
  }));
  return entries;
}

RemoteItem ChildOf(const RemoteItem& directory, const FileStatus& status) {
  return RemoteItem{.fs = directory.fs,
                    .shown = ShownChild(directory.shown, status.name),
                    .path = ChildPath(directory.path, status.name),
                    .status = status};
}

}  // namespace dolmen::cli
