#include "datanode/service/data_service.h"

#include <chrono>

#include "common/error.h"
#include "common/rpc/convert_data.h"
#include "common/rpc/relay.h"
#include "common/rpc/status_grpc.h"
#include "common/version.h"
#include "datanode/service/block_checksum.h"
#include "datanode/service/read_stream.h"
#include "datanode/service/relay_stream.h"
#include "datanode/service/write_stream.h"

namespace dolmen::datanode {
namespace {

// Of the set of settings a datanode understands; raised when one changes its meaning.
constexpr char kConfigVersion[] = "datanode-1";

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* DataService::WriteBlock(
    grpc::CallbackServerContext* context) {
  if (rpc::IsRelayed(*context)) return RelayWriteBlock(node_, context);
  return WriteStream::Begin(node_, context);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* DataService::ReadBlock(grpc::CallbackServerContext* context,
                                                                   const grpc::ByteBuffer* request) {
  if (rpc::IsRelayed(*context)) return RelayReadBlock(node_, context, *request);
  return ReadStream::Begin(node_, context, *request);
}

grpc::ServerUnaryReactor* DataService::GetVisibleLength(grpc::CallbackServerContext* context,
                                                        const v1::VisibleLengthRequest* request,
                                                        v1::VisibleLengthReply* reply) {
  const absl::StatusOr<protocol::VisibleLengthRequest> asked = rpc::FromProto(*request);
  absl::Status status = asked.status();
  if (status.ok()) {
    status = node_->keys().Verify(asked->token, asked->block.id, BlockAccess::kRead, node_->clock().WallNow());
  }
  if (rpc::IsRelayed(*context)) {
    return RelayUnary(node_, context, status, [request, reply](auto* stub, auto* peer, auto* reactor) {
      stub->async()->GetVisibleLength(peer, request, reply, reactor);
    });
  }
  if (status.ok()) {
    const absl::StatusOr<uint64_t> length = node_->store().VisibleLength(asked->block);  // from memory
    status = length.status();
    if (length.ok()) reply->set_length(*length);
  }
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpc(status));
  return reactor;
}

grpc::ServerUnaryReactor* DataService::GetLocalInfo(grpc::CallbackServerContext* context,
                                                    const v1::LocalInfoRequest* request, v1::LocalInfoReply* reply) {
  if (rpc::IsRelayed(*context)) {
    return RelayUnary(node_, context, absl::OkStatus(), [request, reply](auto* stub, auto* peer, auto* reactor) {
      stub->async()->GetLocalInfo(peer, request, reply, reactor);
    });
  }
  reply->set_uptime_seconds(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(node_->Uptime()).count()));
  reply->set_software_version(kVersion);
  reply->set_config_version(kConfigVersion);
  reply->set_datanode(node_->store().identity().datanode.value());
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* DataService::GetBlockChecksum(grpc::CallbackServerContext* context,
                                                        const v1::BlockChecksumRequest* request,
                                                        v1::BlockChecksumReply* reply) {
  if (!rpc::IsRelayed(*context)) return BlockChecksumCall::Begin(node_, context, *request, reply);
  const absl::StatusOr<protocol::BlockChecksumRequest> asked = rpc::FromProto(*request);
  absl::Status status = asked.status();
  if (status.ok()) {
    status = node_->keys().Verify(asked->token, asked->block.id, BlockAccess::kRead, node_->clock().WallNow());
  }
  return RelayUnary(node_, context, status, [request, reply](auto* stub, auto* peer, auto* reactor) {
    stub->async()->GetBlockChecksum(peer, request, reply, reactor);
  });
}

}  // namespace dolmen::datanode
