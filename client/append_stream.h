// Opens a file to write at its end: what carries out FileAppender's actions.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/dolmen/client.h"
#include "client/runtime.h"

namespace dolmen::client {

// Waits until the namenode has given the file and the pipeline of its last block is set up. `runtime` outlives the
// stream.
absl::StatusOr<std::unique_ptr<OutputStream>> OpenForAppend(Runtime* runtime, const std::string& path,
                                                            const AppendOptions& options);

}  // namespace dolmen::client
