// The namenode as one object: built in main (or a test), started, stopped in reverse.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "common/rpc/unary_server.h"
#include "common/settings.h"
#include "common/worker_pool.h"
#include "namenode/service/caller_resolver.h"
#include "namenode/service/client_service.h"
#include "namenode/service/core_thread.h"
#include "namenode/service/datanode_service.h"
#include "namenode/storage/metadata_directory.h"

namespace dolmen::namenode {

struct NamenodeServerOptions {
  std::string metadata_dir;
  std::string bind_host = "127.0.0.1";
  uint16_t port = 7020;  // 0: a free one
  int query_threads = 2;
  uint64_t block_cache_bytes = 256 << 20;
  CoreSettings core;
  std::string group_mapping_file;  // empty: groups come from the OS only
  bool create_home_directories = false;
  // Called once, from the core thread, when the namenode can change nothing any more: the process should end.
  std::function<void(absl::Status why)> on_stop = [](const absl::Status&) {};
};

// Thread-safe after Start. Stopping while busy is safe: calls under way are answered or dropped, what was committed
// stays.
class NamenodeServer {
 public:
  // Opens the directory (raising the epoch) and serves. Errors: MetadataDirectory::Open's, kUnavailable for the port.
  static absl::StatusOr<std::unique_ptr<NamenodeServer>> Start(FileSystem* fs, NamenodeServerOptions options);
  ~NamenodeServer();

  // Idempotent.
  void Stop();

  uint16_t port() const { return port_; }
  const NamespaceInfo& info() const { return directory_->info(); }
  Epoch epoch() const { return directory_->counters().epoch; }
  CoreThread& core() { return *core_; }

 private:
  explicit NamenodeServer(NamenodeServerOptions options) : options_(std::move(options)) {}

  const NamenodeServerOptions options_;
  SystemClock clock_;
  // In the order of starting.
  std::unique_ptr<MetadataDirectory> directory_;
  std::unique_ptr<GuardedBoard> board_;
  std::unique_ptr<CoreThread> core_;
  std::unique_ptr<WorkerPool> queries_;
  std::unique_ptr<CallerResolver> callers_;
  std::unique_ptr<HomeDirectories> homes_;
  std::unique_ptr<ClientService> clients_;
  std::unique_ptr<DatanodeService> datanodes_;
  std::unique_ptr<rpc::UnaryServer> server_;
  uint16_t port_ = 0;
};

// The key that block access tokens are signed with: kept in the metadata directory (mode 0600), so that a restart does
// not void tokens. Made on first use.
absl::StatusOr<TokenKey> LoadOrMakeTokenKey(FileSystem& fs, const std::string& metadata_dir);

}  // namespace dolmen::namenode
