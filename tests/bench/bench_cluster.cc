#include "tests/bench/bench_cluster.h"

#include <filesystem>

#include "common/error.h"
#include "tests/bench/options.h"

namespace dolmen::bench {

absl::StatusOr<std::unique_ptr<BenchCluster>> BenchCluster::Start() {
  auto cluster = std::make_unique<BenchCluster>();
  testing::ExternalCluster::Options options;
  options.datanodes = kDatanodes;
  // Everything as it is shipped, but for more room in one directory (a million files is its limit), and deleted bytes
  // that go at once (the disk of a benchmark is not endless).
  options.namenode_flags = {"--namenode-max-directory-items=100000000"};
  options.datanode_flags = {"--datanode-trash-grace-s=0"};
  cluster->daemons_ = std::make_unique<testing::ExternalCluster>(options);
  if (!cluster->daemons_->Start()) return MakeError(ErrorReason::kIo, "the cluster did not start");
  DOLMEN_ASSIGN_OR_RETURN(const DolmenUri uri, ParseDolmenUri(cluster->daemons_->uri()));
  cluster->port_ = uri.port;
  DOLMEN_ASSIGN_OR_RETURN(cluster->client_, FileSystemClient::Connect(cluster->daemons_->uri(), {}));
  return cluster;
}

std::vector<pid_t> BenchCluster::processes() {
  std::vector<pid_t> all = {daemons_->namenode().pid()};
  for (int i = 0; i < kDatanodes; ++i) all.push_back(daemons_->datanode(i).pid());
  return all;
}

absl::Status BenchCluster::WaitUntilFreed(uint64_t blocks) {
  absl::StatusOr<ClusterStats> stats;
  const auto freed = [&] {
    stats = client_->GetStats();
    if (!stats.ok()) return false;
    if (stats->blocks > blocks || stats->pending_deletion_blocks > 0) return false;
    for (int i = 0; i < kDatanodes; ++i) {
      uint64_t files = 0;  // data and checksums
      for (const auto& entry : std::filesystem::recursive_directory_iterator(
               daemons_->DataDir(i), std::filesystem::directory_options::skip_permission_denied)) {
        if (entry.path().filename().string().starts_with("blk_")) ++files;
      }
      if (files > 2 * blocks) return false;
    }
    return true;
  };
  const auto ask = [&] {
    try {
      return freed();
    } catch (const std::filesystem::filesystem_error&) {
      return false;  // an entry went away while it was listed
    }
  };
  if (Eventually(ask, std::chrono::minutes(2))) return absl::OkStatus();
  return stats.ok() ? MakeError(ErrorReason::kIo, "the datanodes did not remove deleted blocks within two minutes")
                    : stats.status();
}

}  // namespace dolmen::bench
