// The output stream of the public interface: the packet builder in the writing thread, the file writer behind an inbox.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "client/core/file_writer.h"
#include "client/dolmen/client.h"
#include "client/runtime.h"

namespace dolmen::client {

// `file` as Create answered it, or as Append did when its next byte begins a new block. `runtime` outlives the stream.
std::unique_ptr<OutputStream> MakeOutputStream(Runtime* runtime, WriterFile file, PacketStart start = {});

// Sets up the pipeline of the last block of `file`, and waits for that. A failure: no stream, and the datanode to blame
// if it was one.
struct ReopenedStream {
  absl::Status status;
  std::unique_ptr<OutputStream> stream;
  std::optional<DatanodeUuid> culprit;
};
ReopenedStream ReopenOutputStream(Runtime* runtime, WriterFile file, PacketStart start);

}  // namespace dolmen::client
