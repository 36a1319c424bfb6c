#include "client/cli/path_text.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

std::vector<std::string_view> Components(std::string_view path) {
  std::vector<std::string_view> components;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (!component.empty()) components.push_back(component);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return components;
}

}  // namespace

std::string PathText::Prefix() const {
  if (scheme.empty()) return "";
  return absl::StrCat(scheme, "://", authority);
}

absl::StatusOr<PathText> ParsePathText(std::string_view typed) {
  if (typed.empty()) return UsageError("Can not create a Path from an empty string");
  PathText text;
  std::string_view rest = typed;
  const size_t colon = typed.find(':');
  const size_t slash = typed.find('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon < slash)) {
    if (colon == 0) {
      return UsageError(absl::StrCat("java.net.URISyntaxException: Expected scheme name at index 0: ", ToAbsl(typed)));
    }
    if (slash != colon + 1) {
      return UsageError(absl::StrCat("java.net.URISyntaxException: Relative path in absolute URI: ", ToAbsl(typed)));
    }
    text.scheme = std::string(typed.substr(0, colon));
    rest.remove_prefix(colon + 1);
    if (rest.starts_with("//")) {
      rest.remove_prefix(2);
      const size_t end = rest.find('/');
      text.authority = std::string(rest.substr(0, end));
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
    }
  }
  text.path = std::string(rest);
  return text;
}

std::string WithDefaultPort(std::string_view authority) {
  const size_t bracket = authority.rfind(']');  // of an IPv6 address
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  return colon == std::string_view::npos ? absl::StrCat(ToAbsl(authority), ":7020") : std::string(authority);
}

std::string ShownChild(std::string_view directory, std::string_view name) {
  if (name.empty()) return std::string(directory);
  if (directory == ".") return std::string(name);
  return absl::StrCat(ToAbsl(directory), directory.ends_with('/') ? "" : "/", ToAbsl(name));
}

bool LooksLikeDirectory(std::string_view shown) {
  const size_t slash = shown.rfind('/');
  const std::string_view last = slash == std::string_view::npos ? shown : shown.substr(slash + 1);
  return last.empty() || last == "." || last == "..";
}

std::string RelativeTo(std::string_view home, std::string_view path) {
  const std::vector<std::string_view> from = Components(home);
  const std::vector<std::string_view> to = Components(path);
  size_t common = 0;
  while (common < from.size() && common < to.size() && from[common] == to[common]) ++common;
  std::string relative;
  const auto append = [&relative](std::string_view component) {
    if (!relative.empty()) relative += '/';
    relative += component;
  };
  for (size_t i = common; i < from.size(); ++i) append("..");
  for (size_t i = common; i < to.size(); ++i) append(to[i]);
  return relative.empty() ? "." : relative;
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view ParentPath(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos || slash == 0 ? std::string_view("/") : path.substr(0, slash);
}

std::string ChildPath(std::string_view directory, std::string_view name) {
  if (name.empty()) return std::string(directory);
  return absl::StrCat(ToAbsl(directory), directory.ends_with('/') ? "" : "/", ToAbsl(name));
}

std::string LexicallyNormal(std::string_view absolute) {
  std::vector<std::string_view> kept;
  for (const std::string_view component : Components(absolute)) {
    if (component == ".") continue;
    if (component == "..") {
      if (!kept.empty()) kept.pop_back();
      continue;
    }
    kept.push_back(component);
  }
  if (kept.empty()) return "/";
  std::string normal;
  for (const std::string_view component : kept) absl::StrAppend(&normal, "/", ToAbsl(component));
  return normal;
}

std::string Unquote(std::string_view pattern) {
  std::string plain;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    plain += pattern[i];
  }
  return plain;
}

}  // namespace dolmen::cli
