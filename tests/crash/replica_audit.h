// Looks at the datanodes' directories from outside: what replicas are there, and whether their bytes are right. Shares
// no code with the datanode; the layout is that of docs/formats/replica-files.md.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "tests/crash/file_load.h"
#include "tests/support/external_cluster.h"

namespace dolmen::testing {

class ReplicaAudit {
 public:
  ReplicaAudit(const ExternalCluster* cluster, int datanodes) : cluster_(cluster), datanodes_(datanodes) {}

  // Data files below one directory of a datanode's data directory, by block id. A file that goes away meanwhile is
  // counted or not.
  std::map<uint64_t, std::string> DataFiles(int datanode, const std::string& below) const {
    std::map<uint64_t, std::string> files;
    std::error_code gone;
    std::filesystem::recursive_directory_iterator at(cluster_->DataDir(datanode) + "/" + below, gone);
    for (; !gone && at != std::filesystem::recursive_directory_iterator(); at.increment(gone)) {
      const std::string name = at->path().filename().string();
      uint64_t id = 0;
      if (name.starts_with("blk_") && absl::SimpleAtoi(name.substr(4), &id)) files[id] = at->path().string();
    }
    return files;
  }
  size_t BeingWritten() const {
    size_t count = 0;
    for (int i = 0; i < datanodes_; ++i)
      count += DataFiles(i, "current/being_written").size() + DataFiles(i, "temporary").size();
    return count;
  }
  // Some bytes are in a replica that is being written on this datanode.
  bool HasUnfinishedBytes(int datanode) const {
    for (const auto& [id, path] : DataFiles(datanode, "current/being_written")) {
      std::error_code gone;
      if (std::filesystem::file_size(path, gone) > 0 && !gone) return true;
    }
    return false;
  }
  // Files that a start of a datanode put aside because nothing explained them.
  std::vector<std::string> Quarantined() const {
    std::vector<std::string> files;
    for (int i = 0; i < datanodes_; ++i) {
      const std::string directory = cluster_->DataDir(i) + "/quarantine";
      if (!std::filesystem::exists(directory)) continue;
      for (const auto& entry : std::filesystem::directory_iterator(directory)) files.push_back(entry.path().string());
    }
    return files;
  }
  size_t Finalized() const {
    size_t count = 0;
    for (int i = 0; i < datanodes_; ++i) count += DataFiles(i, "current/finalized").size();
    return count;
  }

  // Every block of every closed file of the load has exactly `wanted` finalized replicas, all with the right bytes.
  absl::Status CheckReplicas(const FileLoad& load, FileSystemClient& client, size_t wanted) const {
    std::map<uint64_t, std::vector<std::string>> replicas;
    for (int i = 0; i < datanodes_; ++i)
      for (const auto& [id, path] : DataFiles(i, "current/finalized")) replicas[id].push_back(path);
    absl::Status status;
    for (const auto& worker : load.workers()) {
      worker->ForEachClosed([&](const std::string& path, const Pattern& pattern, uint64_t size) {
        if (status.ok()) status = CheckFile(client, path, pattern, size, wanted, replicas);
      });
    }
    return status;
  }

 private:
  static absl::Status CheckFile(FileSystemClient& client, const std::string& path, const Pattern& pattern,
                                uint64_t size, size_t wanted,
                                const std::map<uint64_t, std::vector<std::string>>& replicas) {
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<BlockLocation> blocks, client.GetBlockLocations(path, 0, size));
    uint64_t covered = 0;
    for (const BlockLocation& block : blocks) {
      const auto found = replicas.find(block.block_id);
      const size_t count = found == replicas.end() ? 0 : found->second.size();
      if (count != wanted) {
        return absl::DataLossError(
            absl::StrCat("block ", block.block_id, " of ", path, " has ", count, " replicas on disk"));
      }
      for (const std::string& file : found->second) {
        const std::string bytes = ExternalCluster::ReadFile(file);
        if (bytes.size() != block.length || pattern.FirstDifference(block.offset, bytes).has_value()) {
          return absl::DataLossError(
              absl::StrCat(file, " is not bytes ", block.offset, " to ", block.offset + block.length, " of ", path));
        }
      }
      covered += block.length;
    }
    if (covered == size) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("the blocks of ", path, " cover ", covered, " of ", size, " bytes"));
  }

  const ExternalCluster* const cluster_;
  const int datanodes_;
};

}  // namespace dolmen::testing
