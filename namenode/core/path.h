// The server's rules for paths and names. Paths arrive absolute and normalised; what is not is refused, never repaired.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

inline constexpr std::string_view kSnapshotName = ".snapshot";  // reserved everywhere
inline constexpr std::string_view kReservedName = ".reserved";  // reserved below the root

// What a path is for. A path to be created must obey more rules, and a file where a directory is needed is another
// error for it (path_resolver.h).
enum class PathUse : uint8_t { kLookUp, kCreate };

// Splits "/a/b" into its components; none for "/". The views point into `path`.
// `operation`  HDFS's name of the call, for the error text.
// Errors: kNameTooLong "<operation>: Pathname too long.  Limit 8000 characters, 1000 levels."; kInvalidPath
// "Invalid file name: <path>" when it is not absolute, not UTF-8, holds NUL, an empty component, "." or "..", and, for
// a path to be created, a ':' in a component.
absl::StatusOr<std::vector<std::string_view>> ParsePath(std::string_view path, PathUse use, std::string_view operation,
                                                        const CoreSettings& settings);

// Whether `name` may be given to a new entry of the directory `parent_path`.
// Errors: kNameTooLong for more than max_component_bytes, kIllegalArgument for a reserved name.
absl::Status CheckNewName(std::string_view name, std::string_view parent_path, const CoreSettings& settings);

// True for /.reserved and everything below it.
template <typename Name>
bool IsReserved(const std::vector<Name>& components) {
  return !components.empty() && components[0] == kReservedName;
}

}  // namespace dolmen::namenode
