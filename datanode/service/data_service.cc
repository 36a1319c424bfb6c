#include "datanode/service/data_service.h"

#include <chrono>

#include "common/error.h"
#include "common/rpc/frames.h"
#include "common/rpc/status_grpc.h"
#include "common/version.h"
#include "datanode/service/block_checksum.h"
#include "datanode/service/read_stream.h"
#include "datanode/service/write_stream.h"

namespace dolmen::datanode {
namespace {

// Of the set of settings a datanode understands; raised when one changes its meaning.
constexpr char kConfigVersion[] = "datanode-1";

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* DataService::WriteBlock(
    grpc::CallbackServerContext* context) {
  return WriteStream::Begin(node_, context);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* DataService::ReadBlock(grpc::CallbackServerContext* context,
                                                                   const grpc::ByteBuffer* request) {
  return ReadStream::Begin(node_, context, *request);
}

grpc::ServerUnaryReactor* DataService::GetVisibleLength(grpc::CallbackServerContext* context,
                                                        const grpc::ByteBuffer* request, grpc::ByteBuffer* reply) {
  const auto answer = [&]() -> absl::StatusOr<uint64_t> {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::VisibleLengthRequest asked, rpc::DecodeVisibleLengthRequest(*request));
    DOLMEN_RETURN_IF_ERROR(
        node_->keys().Verify(asked.token, asked.block.id, BlockAccess::kRead, node_->clock().WallNow()));
    return node_->store().VisibleLength(asked.block);  // from memory
  };
  const absl::StatusOr<uint64_t> length = answer();
  if (length.ok()) *reply = rpc::EncodeVisibleLengthReply({.length = *length});
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpc(length.status()));
  return reactor;
}

grpc::ServerUnaryReactor* DataService::GetLocalInfo(grpc::CallbackServerContext* context, const v1::LocalInfoRequest*,
                                                    v1::LocalInfoReply* reply) {
  reply->set_uptime_seconds(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(node_->Uptime()).count()));
  reply->set_software_version(kVersion);
  reply->set_config_version(kConfigVersion);
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* DataService::GetBlockChecksum(grpc::CallbackServerContext* context,
                                                        const v1::BlockChecksumRequest* request,
                                                        v1::BlockChecksumReply* reply) {
  return BlockChecksumCall::Begin(node_, context, *request, reply);
}

}  // namespace dolmen::datanode
