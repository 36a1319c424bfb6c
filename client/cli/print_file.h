// Bytes of files on standard output: what -cat, -head, -tail and -text share.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/remote_item.h"
#include "client/dolmen/client.h"

namespace dolmen::cli {

// Errors: it does not exist, or is a directory.
absl::StatusOr<std::unique_ptr<InputStream>> OpenFile(const RemoteItem& item);

// Error: nobody takes it ("Unable to write to output stream.").
absl::Status PrintBytes(std::ostream& out, std::string_view data);

// Prints from the stream's position on, at most `most` bytes. `buffer` is used as it is, or made 1 MiB if empty.
absl::Status PrintStream(InputStream& in, std::ostream& out, std::vector<char>& buffer, uint64_t most = UINT64_MAX);

}  // namespace dolmen::cli
