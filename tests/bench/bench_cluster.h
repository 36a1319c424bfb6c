// The cluster that is measured: real daemons with their default settings, but for what bench_cluster.cc says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/dolmen/client.h"
#include "tests/bench/machine.h"
#include "tests/support/external_cluster.h"

namespace dolmen::bench {

// One thread only.
class BenchCluster {
 public:
  // Formats, starts, waits until it can be written to.
  static absl::StatusOr<std::unique_ptr<BenchCluster>> Start();

  testing::ExternalCluster& daemons() { return *daemons_; }
  FileSystemClient& client() { return *client_; }
  uint16_t namenode_port() const { return port_; }
  pid_t namenode() { return daemons_->namenode().pid(); }
  std::vector<pid_t> processes();

  // After a delete that leaves `blocks`: waits until the datanodes have removed what it freed. Error: not within two
  // minutes.
  absl::Status WaitUntilFreed(uint64_t blocks);

 private:
  std::unique_ptr<testing::ExternalCluster> daemons_;
  std::unique_ptr<FileSystemClient> client_;
  uint16_t port_ = 0;
};

}  // namespace dolmen::bench
