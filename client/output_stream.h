// The output stream of the public interface: the packet builder in the writing thread, the file writer behind an inbox.
#pragma once

#include <memory>

#include "client/core/file_writer.h"
#include "client/dolmen/client.h"
#include "client/runtime.h"

namespace dolmen::client {

// `file` as Create answered it. `runtime` outlives the stream.
std::unique_ptr<OutputStream> MakeOutputStream(Runtime* runtime, WriterFile file);

}  // namespace dolmen::client
