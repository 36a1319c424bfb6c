// Answers one GetBlockChecksum on a reader thread of the replica's volume.
#pragma once

#include <memory>

#include "common/mutex.h"
#include "datanode/service/node.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "proto/data_transfer.pb.h"

namespace dolmen::datanode {

// Thread-safe; nothing blocks. Counts as a read stream of the volume while it waits and runs; answers "busy" at once
// when there are too many. Lives until the disk is done with it.
class BlockChecksumCall final : public LiveStream, public std::enable_shared_from_this<BlockChecksumCall> {
 public:
  // Answers the reactor of a new call. `reply` lives until the reactor has finished. `node` outlives the server.
  static grpc::ServerUnaryReactor* Begin(Node* node, grpc::CallbackServerContext* context,
                                         const v1::BlockChecksumRequest& request, v1::BlockChecksumReply* reply);
  ~BlockChecksumCall() override;

  void Tick(MonotonicTime) override {}  // a disk that hangs is the volume's matter
  void Cancel() override;

 private:
  BlockChecksumCall(Node* node, grpc::ServerUnaryReactor* reactor, v1::BlockChecksumReply* reply)
      : node_(node), reactor_(reactor), reply_(reply) {}

  absl::Status Start(const v1::BlockChecksumRequest& request);
  absl::StatusOr<protocol::BlockChecksumReply> Compute(const protocol::Block& block) const;
  // Only the first answer counts.
  void Answer(const absl::StatusOr<protocol::BlockChecksumReply>& checksum);

  Node* const node_;
  std::shared_ptr<Node::Slot> slot_;  // constant once started

  Mutex mutex_;
  grpc::ServerUnaryReactor* reactor_ ABSL_GUARDED_BY(mutex_);  // nullptr once it has finished
  v1::BlockChecksumReply* const reply_;                        // as long as reactor_
};

}  // namespace dolmen::datanode
