// FileSystemClient::GetFileChecksum: asks the datanodes for the checksums of a file's blocks.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/dolmen/client.h"
#include "client/runtime.h"

namespace dolmen::client {

// Several blocks are asked for side by side, the replicas of each one after the other; what fails everywhere is tried
// again with new locations, a bounded number of times. Waits for the answers.
absl::StatusOr<FileChecksum> GetFileChecksum(Runtime* runtime, const std::string& path, uint64_t length);

}  // namespace dolmen::client
