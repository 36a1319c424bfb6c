// The values that travel between client, namenode and datanodes, as plain structs. The gRPC shells convert them to and
// from protobuf (common/rpc/convert.h); the simulation sends them as they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"

namespace dolmen::protocol {

// One version of one block. `length` in bytes.
struct Block {
  BlockId id;
  GenerationStamp stamp;
  uint64_t length = 0;
  friend bool operator==(const Block&, const Block&) = default;
};

// How far block ids and generation stamps have come.
struct IdMarks {
  BlockId block;
  GenerationStamp stamp;
  friend bool operator==(const IdMarks&, const IdMarks&) = default;
};

// One way to reach a node; nodes advertise several (network: a free label such as "default", "docker", "host").
struct Address {
  std::string network;
  std::string host;
  uint16_t port = 0;
  friend bool operator==(const Address&, const Address&) = default;
};

// Who a datanode is and how to reach it. The uuid is the identity; addresses may change between registrations.
struct DatanodeInfo {
  DatanodeUuid uuid;
  std::string host_name;
  std::vector<Address> addresses;  // data service (gRPC), best first; never empty
  std::string rack;                // "/default-rack" when unknown
  uint16_t http_port = 0;
  friend bool operator==(const DatanodeInfo&, const DatanodeInfo&) = default;
};

enum class StorageType : uint8_t { kDisk = 1, kSsd = 2, kArchive = 3, kRamDisk = 4 };

// One storage directory of a datanode.
struct StorageReport {
  StorageId id;
  StorageType type = StorageType::kDisk;
  bool failed = false;
  uint64_t capacity_bytes = 0;
  uint64_t used_bytes = 0;       // by replicas
  uint64_t remaining_bytes = 0;  // that Dolmen may still use
  uint64_t block_count = 0;
  friend bool operator==(const StorageReport&, const StorageReport&) = default;
};

struct FileStatus {
  InodeId inode;
  bool is_directory = false;
  std::string name;  // last component in listings; empty when the path itself was asked
  uint64_t length = 0;
  uint16_t permission = 0;  // 9 bits + sticky (01000)
  std::string owner;
  std::string group;
  WallTime modified;
  WallTime accessed;
  uint16_t replication = 0;  // 0 for directories
  uint64_t block_bytes = 0;  // 0 for directories
  uint32_t child_count = 0;  // directories
  bool under_construction = false;
  friend bool operator==(const FileStatus&, const FileStatus&) = default;
};

struct ReplicaLocation {
  DatanodeInfo datanode;
  StorageId storage;
  StorageType type = StorageType::kDisk;
  friend bool operator==(const ReplicaLocation&, const ReplicaLocation&) = default;
};

// A block of a file and where it is. For writing, `locations` is the pipeline in order.
struct LocatedBlock {
  Block block;
  uint64_t offset = 0;   // of its first byte in the file
  bool corrupt = false;  // every known replica is corrupt
  std::vector<ReplicaLocation> locations;
  std::string token;  // for the datanodes; grants what the call was for
  friend bool operator==(const LocatedBlock&, const LocatedBlock&) = default;
};

}  // namespace dolmen::protocol
