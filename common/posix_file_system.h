// The machine's files. See file_system.h for the contract.
#pragma once

#include <memory>

#include "common/file_system.h"

namespace dolmen {

// Thread-safe; has no state.
std::unique_ptr<FileSystem> MakePosixFileSystem();

}  // namespace dolmen
