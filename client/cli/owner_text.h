// What the first word of -chown and -chgrp says.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dolmen::cli {

struct OwnerChange {
  std::string owner;  // empty: leave as it is
  std::string group;  // likewise
};

// "owner", "owner:group", "owner:", ":group"; names of letters, digits and - + _ . / @; spaces around are ignored.
// Errors (usage): "'x' does not match expected pattern for [owner][:group].", "'x' does not specify owner or group."
absl::StatusOr<OwnerChange> ParseOwnerAndGroup(std::string_view text);
// Error (usage): "'x' does not match expected pattern for group".
absl::StatusOr<OwnerChange> ParseGroup(std::string_view text);

}  // namespace dolmen::cli
