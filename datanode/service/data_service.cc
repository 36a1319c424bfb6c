#include "datanode/service/data_service.h"

#include "common/error.h"
#include "common/rpc/frames.h"
#include "common/rpc/status_grpc.h"
#include "datanode/service/read_stream.h"
#include "datanode/service/write_stream.h"

namespace dolmen::datanode {

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

}  // namespace dolmen::datanode
