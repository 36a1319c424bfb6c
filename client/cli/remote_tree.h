// Dolmen's files as a Tree.
#pragma once

#include <memory>

#include "client/cli/session.h"
#include "client/cli/tree.h"

namespace dolmen::cli {

// Files are made with the settings' umask, replication and block size. `fs` must outlive the tree. Thread-safe.
std::unique_ptr<Tree> MakeRemoteTree(FileSystemClient& fs, const ShellSettings& settings);

NodeInfo InfoOf(const FileStatus& status);

}  // namespace dolmen::cli
