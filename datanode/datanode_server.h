// A whole datanode: store, threads, gRPC server and its link to the namenode. main() and in-process tests start it
// alike.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/file_system.h"
#include "common/mutex.h"
#include "datanode/core/namenode_session.h"
#include "datanode/service/node.h"
#include "datanode/storage/block_store.h"

namespace dolmen::datanode {

struct DatanodeOptions {
  BlockStoreOptions store;
  NodeOptions node;
  SessionOptions session;  // session.info is filled in: uuid, port and, where empty, addresses, host name and rack
  std::string namenode_host;
  uint16_t namenode_port = 0;
  std::string bind_host = "127.0.0.1";
  uint16_t port = 0;  // 0: a free one
  // How long Stop waits for streams to end and disks to answer before it gives them up.
  Duration stop_timeout = std::chrono::seconds(10);
};

// Start and Stop are for one thread; the rest is thread-safe.
class DatanodeServer {
 public:
  // Opens the directories, listens, and begins to register; does not wait for the namenode. `fs` and `clock` are not
  // owned and outlive this. `on_fatal` is called at most once, from another thread, when the datanode must not go on
  // (it belongs to another cluster, or all its volumes failed); the owner then stops it.
  // Errors: as BlockStore::Open; kUnreachable or similar when the port is taken, naming it.
  static absl::StatusOr<std::unique_ptr<DatanodeServer>> Start(FileSystem* fs, const Clock* clock,
                                                               DatanodeOptions options,
                                                               std::function<void(const absl::Status&)> on_fatal);
  ~DatanodeServer();  // Stop
  DatanodeServer(const DatanodeServer&) = delete;
  DatanodeServer& operator=(const DatanodeServer&) = delete;

  uint16_t port() const { return port_; }
  bool registered() const;
  Node& node() { return *node_; }
  BlockStore& store() { return *store_; }

  // Takes no more work, ends the streams (their replicas stay being written), finishes what the disks have in hand, and
  // releases the directories. Safe at any moment. False when a disk did not let go within the time: the process should
  // then end without waiting for its threads. Idempotent.
  bool Stop();

 private:
  class Grpc;  // server and link: keeps gRPC's headers out of this one

  DatanodeServer(const Clock* clock, Duration stop_timeout);
  void RunTimers();
  void Fatal(const absl::Status& why);

  const Clock* const clock_;
  const Duration stop_timeout_;
  std::function<void(const absl::Status&)> on_fatal_;
  std::atomic<bool> fatal_told_{false};
  std::unique_ptr<BlockStore> store_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Grpc> grpc_;
  uint16_t port_ = 0;

  Mutex timer_mutex_;
  CondVar timer_stop_;
  bool timers_stopping_ ABSL_GUARDED_BY(timer_mutex_) = false;
  std::thread timers_;
  bool stopped_ = false;
};

}  // namespace dolmen::datanode
