// What `dolmen fsck` prints of a walk: HDFS's texts (NamenodeFsck), and the counters of its summary. Values only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/dolmen/client.h"

namespace dolmen::cli {

struct FsckOptions {
  bool files = false;
  bool blocks = false;
  bool locations = false;
  bool racks = false;
  bool replica_details = false;
  bool upgrade_domains = false;  // nobody has one
  bool open_for_write = false;   // check files that are being written, too
  bool maintenance = false;      // nobody is in it
};

// How a block is, as far as fsck cares.
struct BlockVerdict {
  uint32_t live = 0;     // replicas
  bool corrupt = false;  // it has replicas and all of them are corrupt
  bool missing = false;  // it has none
  bool bad() const { return corrupt || missing; }
};
BlockVerdict Judge(const CheckedBlock& block);

// Java's text of a float: "3.0", "66.666664", "1.0E-4".
std::string JavaFloat(float value);

// One thread only. Keeps numbers only, however many entries come.
class FsckReport {
 public:
  struct Cluster {
    uint64_t live_datanodes = 0;
    uint64_t racks = 0;
    uint32_t default_replication = 0;
  };
  FsckReport(FsckOptions options, Cluster cluster) : options_(options), cluster_(cluster) {}

  // Takes the next entry of the walk; what is to be printed for it. `is_bad` is set when it is a closed file with
  // missing or corrupt blocks.
  std::string Add(const CheckedEntry& entry, bool* is_bad);

  bool healthy() const { return missing_blocks_ == 0 && corrupt_blocks_ == 0; }
  // From the empty line before "Status:" to the line before "FSCK ended".
  std::string Summary() const;

 private:
  std::string AddFile(const CheckedEntry& entry, bool* is_bad);
  void CountBlock(const CheckedEntry& entry, const CheckedBlock& block, const BlockVerdict& verdict);
  std::string ReplicaList(const CheckedBlock& block) const;
  std::string CorruptSection() const;

  const FsckOptions options_;
  const Cluster cluster_;

  uint64_t directories_ = 0;
  uint64_t files_ = 0;
  uint64_t bytes_ = 0;
  uint64_t blocks_ = 0;
  uint64_t open_files_ = 0;  // that were skipped
  uint64_t open_bytes_ = 0;
  uint64_t open_blocks_ = 0;
  uint64_t replicas_ = 0;
  uint64_t expected_replicas_ = 0;
  uint64_t missing_replicas_ = 0;
  uint64_t minimally_replicated_ = 0;
  uint64_t under_minimum_ = 0;
  uint64_t over_replicated_ = 0;
  uint64_t under_replicated_ = 0;
  uint64_t badly_placed_ = 0;
  uint64_t corrupt_files_ = 0;
  uint64_t missing_blocks_ = 0;
  uint64_t missing_bytes_ = 0;
  uint64_t corrupt_blocks_ = 0;
  uint64_t corrupt_bytes_ = 0;
};

}  // namespace dolmen::cli
