// Reaching a datanode through another one: a call of proto/data_transfer.proto that carries a datanode in its metadata
// is passed on to it, message by message. Who calls sees the same as if it had called there.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/protocol/types.h"
#include "grpcpp/channel.h"
#include "grpcpp/server_context.h"

namespace dolmen::rpc {

// A data channel to the datanode at host:port, which is asked to pass each call on to `target`. Each channel has a
// connection of its own.
std::shared_ptr<grpc::Channel> MakeRelayedDataChannel(std::string_view host, uint16_t port,
                                                      const protocol::DatanodeInfo& target);

// Whether the call is to be passed on, and to whom. Error of the second: kInvalidArgument when that can't be read.
bool IsRelayed(const grpc::ServerContextBase& context);
absl::StatusOr<protocol::DatanodeInfo> RelayTarget(const grpc::ServerContextBase& context);

}  // namespace dolmen::rpc
