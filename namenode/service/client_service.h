// What clients call. Each method is the same five moves: convert in, find out who calls, submit, convert out, map the
// status; the names of the operations come from one list (common/rpc/convert_client.h).
#pragma once

#include <memory>
#include <string>

#include "common/rpc/convert_client.h"
#include "common/rpc/unary_server.h"
#include "common/worker_pool.h"
#include "namenode/service/caller_resolver.h"
#include "namenode/service/core_thread.h"
#include "namenode/service/home_directories.h"
#include "proto/client_namenode.grpc.pb.h"

namespace dolmen::namenode {

// Thread-safe. Everything given outlives this; this outlives the server it is added to.
class ClientService {
 public:
  // `homes`: nullptr when home directories are not made for users.
  ClientService(CoreThread* core, const ReplicaStore* replicas, CallerResolver* callers, HomeDirectories* homes,
                WorkerPool* queries, const Clock* clock, const NamenodeCore& description);

  // Adds all methods to the queue and the service to the server. `reserved` takes what must get through when clients
  // have filled the queue: lease renewals.
  void AddTo(rpc::UnaryServer* server, rpc::UnaryQueue* queue, rpc::UnaryQueue* reserved);

 private:
  template <typename Op, typename WireRequest, typename WireReply>
  void Mutate(const WireRequest& request, const std::string& peer_host, rpc::UnaryDone<WireReply> done);
  template <typename WireRequest, typename WireReply, typename Run>
  void Query(const WireRequest& request, const std::string& peer_host, rpc::UnaryDone<WireReply> done, Run run);
  template <typename WireReply, typename Request, typename Run>
  void AnswerQuery(const Caller& caller, const Request& query, const rpc::UnaryDone<WireReply>& done, Run run);
  template <typename WireRequest, typename WireReply, typename Run>
  void OnCore(const WireRequest& request, const std::string& peer_host, rpc::UnaryDone<WireReply> done, Run run);
  void RenewLease(const v1::RenewLeaseRequest& request, rpc::UnaryDone<v1::RenewLeaseReply> done);
  template <typename WireReply, typename Next>
  void AsCaller(const std::string& user, const std::string& peer_host, const rpc::UnaryDone<WireReply>& done,
                Next next);
  bool HasHome(const std::string& user) const { return homes_ == nullptr || homes_->IsSettled(user); }
  template <typename WireReply, typename Next>
  void OnQueryThread(const Caller& caller, const rpc::UnaryDone<WireReply>& done, Next next);

  CoreThread* const core_;
  const ReplicaStore* const replicas_;
  CallerResolver* const callers_;
  HomeDirectories* const homes_;
  WorkerPool* const queries_;
  const Clock* const clock_;
  // Constant for the life of the process.
  const CoreSettings settings_;
  const TokenKey token_key_;
  const protocol::GetServerDefaultsReply defaults_;
  const std::string block_pool_;
  v1::ClientNamenode::AsyncService service_;
};

}  // namespace dolmen::namenode
