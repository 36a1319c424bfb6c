// Drives the NamenodeSession: its requests go out over gRPC, heartbeats on a connection of their own.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "common/mutex.h"
#include "common/rpc/unary_client.h"
#include "datanode/core/namenode_session.h"
#include "datanode/service/node.h"
#include "datanode/service/work_queue.h"
#include "proto/datanode_namenode.grpc.pb.h"

namespace dolmen::datanode {

// Thread-safe.
class NamenodeLink {
 public:
  // Called once, from the link's thread, when this datanode must not go on.
  using OnStop = std::function<void(const absl::Status&)>;

  // `node` outlives this.
  NamenodeLink(Node* node, const std::string& namenode_host, uint16_t namenode_port, SessionOptions options,
               uint64_t seed, OnStop on_stop);
  ~NamenodeLink();  // Stop

  // Begins to register.
  void Start();

  // Leaves at once, or with the next message when one is under way.
  void Report(const StorageId& storage, const protocol::ReportedReplica& replica);
  bool registered() const;
  void Stop();

 private:
  void Run();
  void Enqueue(SessionEvent event);

  // Says so when they differ by much.
  void CompareClocks(WallTime namenode) const;
  void Do(session_action::SendRegister& action);
  void Do(session_action::SendHeartbeat& action);
  void Do(session_action::SendIncremental& action);
  void Do(session_action::SendSlice& action);
  void Do(session_action::RecordIdentity& action);
  void Do(session_action::UseTokenKey& action);
  void Do(session_action::Execute& action);
  void Do(session_action::Stop& action);
  void Do(session_action::Notice& action);
  template <typename Event, typename Plain, typename Stub, typename Prepare, typename Request>
  void Call(Stub* stub, Prepare prepare, const Request& request, uint64_t number, Duration timeout);

  Node* const node_;
  const std::string namenode_;  // host:port
  const SessionOptions options_;
  const OnStop on_stop_;
  const std::unique_ptr<v1::DatanodeNamenode::Stub> heartbeats_;
  const std::unique_ptr<v1::DatanodeNamenode::Stub> reports_;
  NamenodeSession session_;  // of the link's thread alone

  mutable Mutex mutex_;
  CondVar changed_;
  // Bounded: answers by the requests under way, changes by the streams and commands that make them; Run empties it.
  std::deque<SessionEvent> events_ ABSL_GUARDED_BY(mutex_);
  bool registered_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  WorkQueue recorder_;  // writes identities: the one thing here that waits for a disk
  rpc::UnaryClient client_;
  std::thread thread_;
};

}  // namespace dolmen::datanode
