#include "client/cli/owner_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

std::string_view WithoutSpaceAround(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

bool OnlyAllowed(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-+_./@").find(c) != std::string_view::npos;
  });
}

}  // namespace

absl::StatusOr<OwnerChange> ParseOwnerAndGroup(std::string_view text) {
  const std::string_view trimmed = WithoutSpaceAround(text);
  const size_t colon = trimmed.find(':');
  const std::string_view owner = trimmed.substr(0, colon);
  const std::string_view group = colon == std::string_view::npos ? std::string_view() : trimmed.substr(colon + 1);
  if (!OnlyAllowed(owner) || !OnlyAllowed(group)) {
    return UsageError(absl::StrCat("'", ToAbsl(text), "' does not match expected pattern for [owner][:group]."));
  }
  if (owner.empty() && group.empty()) {
    return UsageError(absl::StrCat("'", ToAbsl(text), "' does not specify owner or group."));
  }
  return OwnerChange{.owner = std::string(owner), .group = std::string(group)};
}

absl::StatusOr<OwnerChange> ParseGroup(std::string_view text) {
  const std::string_view group = WithoutSpaceAround(text);
  if (group.empty() || !OnlyAllowed(group)) {
    return UsageError(absl::StrCat("'", ToAbsl(text), "' does not match expected pattern for group"));
  }
  return OwnerChange{.group = std::string(group)};
}

}  // namespace dolmen::cli
