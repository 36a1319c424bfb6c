// The gRPC service for block bytes: raw methods where payload flows, so that it is never copied by protobuf. What is
// meant for another datanode is passed on (relay_stream.h).
#pragma once

#include "datanode/service/node.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::datanode {

// `node` is not owned and outlives the server.
class DataService final
    : public v1::DataTransfer::WithRawCallbackMethod_WriteBlock<v1::DataTransfer::WithRawCallbackMethod_ReadBlock<
          v1::DataTransfer::WithCallbackMethod_GetVisibleLength<v1::DataTransfer::WithCallbackMethod_GetLocalInfo<
              v1::DataTransfer::WithCallbackMethod_GetBlockChecksum<v1::DataTransfer::Service>>>>> {
 public:
  explicit DataService(Node* node) : node_(node) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* WriteBlock(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* ReadBlock(grpc::CallbackServerContext* context,
                                                        const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* GetVisibleLength(grpc::CallbackServerContext* context,
                                             const v1::VisibleLengthRequest* request,
                                             v1::VisibleLengthReply* reply) override;
  grpc::ServerUnaryReactor* GetLocalInfo(grpc::CallbackServerContext* context, const v1::LocalInfoRequest* request,
                                         v1::LocalInfoReply* reply) override;
  grpc::ServerUnaryReactor* GetBlockChecksum(grpc::CallbackServerContext* context,
                                             const v1::BlockChecksumRequest* request,
                                             v1::BlockChecksumReply* reply) override;

 private:
  Node* const node_;
};

}  // namespace dolmen::datanode
