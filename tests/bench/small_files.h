// Many small files by several threads: through a client, and with the machine's own files in three directories.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/dolmen/client.h"

namespace dolmen::bench {

struct SmallFiles {
  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t threads = 1;
};

// In Dolmen, below `root`: create, write, close; and open, read, close.
absl::Status WriteSmallFiles(const SmallFiles& files, const std::string& root, FileSystemClient* client);
absl::Status ReadSmallFiles(const SmallFiles& files, const std::string& root, FileSystemClient* client);

// `cp` plus fsync to each of `directories`: write, fsync, close, and fsync the directory, so that the name stays, too.
absl::Status CopySmallFiles(const SmallFiles& files, const std::vector<std::string>& directories);
absl::Status ReadCopies(const SmallFiles& files, const std::string& directory);

}  // namespace dolmen::bench
