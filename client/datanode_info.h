// A question to one datanode that needs no namenode.
#pragma once

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "client/dolmen/client.h"
#include "common/rpc/unary_client.h"

namespace dolmen::client {

// As FileSystemClient::GetDatanodeLocalInfo. Waits at most `timeout`; not from a callback of `unary`.
absl::StatusOr<DatanodeLocalInfo> AskDatanode(const std::string& address, std::chrono::milliseconds timeout,
                                              rpc::UnaryClient* unary);

}  // namespace dolmen::client
