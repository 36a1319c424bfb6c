// The datanode's settings: one table, and what it makes of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/settings.h"
#include "datanode/datanode_server.h"

namespace dolmen::datanode {

std::vector<Setting> DatanodeSettingsTable();

// Errors name the setting, its value and what is allowed.
absl::StatusOr<DatanodeOptions> OptionsFromSettings(const Settings& settings);

// "/a,[SSD]/b" -> directories with their types (HDFS's form).
absl::StatusOr<std::vector<DataDirectory>> ParseDataDirectories(std::string_view text);
// "default=dn1:7066,host=127.0.0.1:17066" -> addresses; without a port: the one that is listened on.
absl::StatusOr<std::vector<protocol::Address>> ParseAddresses(std::string_view text);
// "host:port", "[::1]:port", or "host" with the port given.
absl::StatusOr<protocol::Address> ParseHostPort(std::string_view text, uint16_t default_port);

}  // namespace dolmen::datanode
