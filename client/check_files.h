// FileSystemClient::CheckFiles: a walk through a tree, page by page.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "client/dolmen/client.h"
#include "client/runtime.h"

namespace dolmen::client {

// Waits for each page; the next one is asked for when all entries of the one before were visited.
absl::Status CheckFiles(Runtime* runtime, const std::string& path,
                        const std::function<bool(const CheckedEntry&)>& visit);

}  // namespace dolmen::client
