// Calls that are passed on to another datanode, for clients that can't reach it themselves (common/rpc/relay.h). Bytes
// are not looked at, but for the token: without a good one only GetLocalInfo is passed on.
#pragma once

#include <functional>
#include <memory>

#include "datanode/service/node.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_callback.h"
#include "grpcpp/support/server_callback.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::datanode {

// The reactors of calls for which rpc::IsRelayed holds. At most one message is under way in each direction. What the
// other datanode answers, errors too, reaches the caller as it is. Errors of their own: kUnreachable naming the other
// datanode's addresses; kBusy; those of a bad token. `node` outlives the server.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* RelayWriteBlock(Node* node,
                                                                             grpc::CallbackServerContext* context);
grpc::ServerWriteReactor<grpc::ByteBuffer>* RelayReadBlock(Node* node, grpc::CallbackServerContext* context,
                                                           const grpc::ByteBuffer& request);

// Prepares the call to the other datanode; runs at most once. What it takes lives until the caller's call has ended.
using UnaryRelay = std::function<void(v1::DataTransfer::Stub*, grpc::ClientContext*, grpc::ClientUnaryReactor*)>;
// `allowed`: what was made of the request's token.
grpc::ServerUnaryReactor* RelayUnary(Node* node, grpc::CallbackServerContext* context, const absl::Status& allowed,
                                     UnaryRelay call);

}  // namespace dolmen::datanode
