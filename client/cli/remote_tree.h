// Files behind the client's interface as a Tree.
#pragma once

#include <memory>

#include "client/cli/session.h"
#include "client/cli/tree.h"

namespace dolmen::cli {

// The tree of a file system: the local tree for the machine's own files; else one whose files are made with the
// settings' umask, replication and block size. `fs` must outlive the tree. Thread-safe.
std::unique_ptr<Tree> MakeTree(FileSystemClient& fs, const ShellSettings& settings);

NodeInfo InfoOf(const FileStatus& status);

// One stream of the client as a tree's.
std::unique_ptr<Reader> MakeReader(std::unique_ptr<InputStream> stream);
std::unique_ptr<Writer> MakeWriter(std::unique_ptr<OutputStream> stream);

}  // namespace dolmen::cli
