// The input stream of the public interface: the file reader behind an inbox, and sequential reads ahead.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/core/file_opener.h"
#include "client/dolmen/client.h"
#include "client/runtime.h"

namespace dolmen::client {

// Finds out where the blocks of `path` are and how long it is; waits for the answers.
absl::StatusOr<OpenedFile> OpenForReading(Runtime* runtime, const std::string& path);

// Opens `path` for reading; waits for the answers. `runtime` outlives the stream.
absl::StatusOr<std::unique_ptr<InputStream>> OpenInputStream(Runtime* runtime, const std::string& path);
// Of a file whose blocks are known.
std::unique_ptr<InputStream> MakeInputStream(Runtime* runtime, OpenedFile file);

}  // namespace dolmen::client
