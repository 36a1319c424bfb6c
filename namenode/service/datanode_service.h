// What datanodes call. Heartbeats are answered from the board on this queue's own thread, whatever the core thread is
// doing; registrations and reports go to the core thread.
#pragma once

#include "common/rpc/unary_server.h"
#include "namenode/service/core_thread.h"
#include "proto/datanode_namenode.grpc.pb.h"

namespace dolmen::namenode {

// Thread-safe. Everything given outlives this; this outlives the server it is added to.
class DatanodeService {
 public:
  DatanodeService(CoreThread* core, GuardedBoard* board, const Clock* clock, protocol::NamenodeIdentity identity);

  void AddTo(rpc::UnaryServer* server, rpc::UnaryQueue* queue);

 private:
  void Register(const v1::RegisterRequest& request, const std::string& peer_host,
                rpc::UnaryDone<v1::RegisterReply> done);
  void Heartbeat(const v1::HeartbeatRequest& request, const rpc::UnaryDone<v1::HeartbeatReply>& done);

  CoreThread* const core_;
  GuardedBoard* const board_;
  const Clock* const clock_;
  const protocol::NamenodeIdentity identity_;
  v1::DatanodeNamenode::AsyncService service_;
};

}  // namespace dolmen::namenode
