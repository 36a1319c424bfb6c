// Paths as people type them, and as they are shown again: relative stays relative, "hdfs:///x" keeps "hdfs:///".
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dolmen::cli {

struct PathText {
  std::string scheme;     // "" when none was typed
  std::string authority;  // "host:port"; "" when none was typed
  std::string path;       // the rest, as typed; "" only after an authority
  bool absolute() const { return !path.empty() && path[0] == '/'; }
  // What comes before the path: "hdfs://host:port", "hdfs://", or "".
  std::string Prefix() const;
};

// Splits `typed`. Errors (usage, in the words of HDFS's Path class): the empty string; a colon before the first slash
// that is not followed by an absolute path.
absl::StatusOr<PathText> ParsePathText(std::string_view typed);

// `authority` with the default port when it names none: "host" -> "host:7020".
std::string WithDefaultPort(std::string_view authority);

// How a child of a directory shown as `directory` is shown; children of "." are bare names, an empty name is the
// directory itself.
std::string ShownChild(std::string_view directory, std::string_view name);

// Whether the text of a destination says "this is a directory": ends in '/', "." or "..".
bool LooksLikeDirectory(std::string_view shown);

// `path` (absolute, normalised) as seen from `home` (likewise): "." for home itself, names below it, "../x" beside it.
std::string RelativeTo(std::string_view home, std::string_view path);

// Last component of an absolute normalised path; "" for "/".
std::string_view BaseName(std::string_view path);
// "/a/b" -> "/a", "/a" -> "/", "/" -> "/".
std::string_view ParentPath(std::string_view path);
// Joins an absolute directory and a name; an empty name is the directory itself.
std::string ChildPath(std::string_view directory, std::string_view name);
// Removes double and trailing slashes, "." and ".." from an absolute path, without looking at any file system.
std::string LexicallyNormal(std::string_view absolute);

// Removes one level of backslash quoting: "a\*b" -> "a*b".
std::string Unquote(std::string_view pattern);

}  // namespace dolmen::cli
