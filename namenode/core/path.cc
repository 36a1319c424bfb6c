#include "namenode/core/path.h"

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/utf8.h"

namespace dolmen::namenode {

namespace {

absl::Status InvalidName(std::string_view path) {
  return MakeError(ErrorReason::kInvalidPath, absl::StrCat("Invalid file name: ", Printable(path)));
}

}  // namespace

absl::StatusOr<std::vector<std::string_view>> ParsePath(std::string_view path, PathUse use, std::string_view operation,
                                                        const CoreSettings& settings) {
  const auto too_long = [&] {
    return MakeError(ErrorReason::kNameTooLong,
                     absl::StrCat(ToAbsl(operation), ": Pathname too long.  Limit ", settings.max_path_bytes,
                                  " characters, ", settings.max_path_depth, " levels."));
  };
  if (path.size() > settings.max_path_bytes) return too_long();
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string_view::npos || !ValidUtf8(path)) {
    return InvalidName(path);
  }
  std::vector<std::string_view> components;
  if (path == "/") return components;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    if (name.empty() || name == "." || name == "..") return InvalidName(path);
    if (use == PathUse::kCreate && name.find(':') != std::string_view::npos) return InvalidName(path);
    if (components.size() == settings.max_path_depth) return too_long();
    components.push_back(name);
    begin = end + 1;
  }
  return components;
}

absl::Status CheckNewName(std::string_view name, std::string_view parent_path, const CoreSettings& settings) {
  if (settings.max_component_bytes != 0 && name.size() > settings.max_component_bytes) {
    return MakeError(
        ErrorReason::kNameTooLong,
        absl::StrCat("The maximum path component name limit of ", ToAbsl(name), " in directory ", ToAbsl(parent_path),
                     " is exceeded: limit=", settings.max_component_bytes, " length=", name.size()));
  }
  if (name == kSnapshotName) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("\"", ToAbsl(kSnapshotName), "\" is a reserved name."));
  }
  if (parent_path == "/" && name == kReservedName) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("File name \"", ToAbsl(kReservedName), "\" is reserved and cannot be created."));
  }
  return absl::OkStatus();
}

}  // namespace dolmen::namenode
