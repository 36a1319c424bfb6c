// The input stream of the public interface: the file reader behind an inbox, and sequential reads ahead.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/dolmen/client.h"
#include "client/runtime.h"

namespace dolmen::client {

// Opens `path` for reading; waits for the answers. `runtime` outlives the stream.
absl::StatusOr<std::unique_ptr<InputStream>> OpenInputStream(Runtime* runtime, const std::string& path);

}  // namespace dolmen::client
