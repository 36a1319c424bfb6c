// Runs a benchmark in a process of its own, so that whatever happens to it nothing stays behind.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace dolmen::bench {

// First word of the supervised process's command line; then the directory, then `words`.
inline constexpr char kRunIn[] = "run-in";

// Makes a directory below `parent` (empty: the system's temporary one), starts this program again with kRunIn, the
// directory (which is its temporary directory, too) and `words`, and removes the directory when that process and all
// below it have ended. It is ended after `limit`, and when this process is told to end (SIGINT, SIGTERM, SIGHUP).
// Returns the exit code: the process's; 124 when the time was over, 130 when interrupted, 1 for anything else.
int RunSupervised(const std::string& parent, std::chrono::seconds limit, const std::vector<std::string>& words);

}  // namespace dolmen::bench
