// The machine's own files behind the client's interface: what `file:///x` names.
#pragma once

#include <memory>

#include "client/dolmen/client.h"

namespace dolmen::cli {

// Links are followed. Its authority is empty, its home the working directory. Files have one replica. What only a
// cluster has (leases, datanodes, checksums, ...) is an error that says so. Unlike Hadoop's local file system it
// neither writes nor hides ".name.crc" files. Thread-safe.
std::unique_ptr<FileSystemClient> MakeLocalFileSystem();

}  // namespace dolmen::cli
