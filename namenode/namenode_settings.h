// The namenode's settings: one table, read once at start.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "common/settings.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// Every setting with default, bounds and one sentence; the sample configuration is generated from it.
std::vector<Setting> NamenodeSettingsTable();

// Values as the core wants them. Errors: combinations that make no sense (soft limit above hard limit, ...), naming
// both.
absl::StatusOr<CoreSettings> ToCoreSettings(const Settings& settings);

}  // namespace dolmen::namenode
