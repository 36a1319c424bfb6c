// What the daemons' command lines, logs and start-up checks have in common.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/settings.h"

namespace dolmen {

// Exit codes of daemons.
inline constexpr int kExitFailed = 1;
inline constexpr int kExitBadUsage = 2;  // the command line or a setting is wrong; nothing was touched

struct DaemonFlags {
  bool help = false;
  bool print_config = false;
  std::string config_file;
  std::string port_file;
  std::vector<std::string> settings;  // for the settings table
};

// "--port" and the setting's flag that it stands for.
using ShortFlag = std::pair<std::string_view, std::string_view>;

// Takes --help, --print-config, --config FILE and --port-file FILE out of `args` (each also as --name=value) and spells
// short flags out. Error: kIllegalArgument naming the flag without its value.
absl::StatusOr<DaemonFlags> ParseDaemonFlags(const std::vector<std::string>& args, std::span<const ShortFlag> shorts);

// File, then environment, then flags. Errors: as Settings gives them; an argument that is no flag.
absl::Status LoadDaemonSettings(std::string_view program, const DaemonFlags& flags, Settings* settings);

// All logs of the process go to stderr from here on. Error: kIllegalArgument for an unknown level.
absl::Status StartLog(std::string_view component, const std::string& level);

// As long as callers are not authenticated, listening beyond loopback takes a word of consent: the boolean setting
// <component>_allow_remote. Error: kIllegalArgument when <component>_bind_host needs it and it is not given.
absl::Status CheckBindHost(const Settings& settings, std::string_view component);

// As many open files as the system lets this process have: the limit it starts with is often 1024, and every open
// replica takes two. Keeps the limit it has when that fails.
void RaiseOpenFileLimit();

// Appears whole: who waits for the file never reads half a number.
absl::Status WritePortFile(FileSystem& fs, const std::string& path, uint16_t port);

// "<program>: <message>" on stderr; returns `code`.
int FailDaemon(std::string_view program, const absl::Status& why, int code);

}  // namespace dolmen
