// What namespace operations and queries need to know of datanodes and replicas; BlockManager implements it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/ids.h"
#include "common/protocol/client_namenode.h"
#include "common/protocol/types.h"
#include "common/random.h"

namespace dolmen::namenode {

// What is asked of the placement policy.
struct TargetRequest {
  uint32_t wanted = 0;                 // replicas still needed, >= 1
  uint64_t block_bytes = 0;            // the most the block may grow to
  std::string writer_host;             // a datanode on that host takes the first replica if it can
  std::vector<DatanodeUuid> existing;  // hold the block already; never chosen again
  std::vector<DatanodeUuid> excluded;  // the caller could not use them
};

// Core thread only.
class ReplicaView {
 public:
  virtual ~ReplicaView() = default;
  // Finalized replicas of exactly this block (id, stamp, length), confirmed by a report in their datanode's present
  // session, on distinct live datanodes.
  virtual int ConfirmedReplicas(const protocol::Block& block) const = 0;
  // Where they are, one place per datanode; `live_only`: without the datanodes that have been silent lately.
  virtual std::vector<protocol::ReplicaLocation> ConfirmedLocations(const protocol::Block& block,
                                                                    bool live_only) const = 0;
  // Datanodes that are live now.
  virtual size_t LiveDatanodes() const = 0;
  // 1..wanted targets in pipeline order. Error kNoDatanodes when none: lists every datanode and why it was refused;
  // kBusy instead as long as datanodes may still come back after a start of the namenode.
  virtual absl::StatusOr<std::vector<protocol::ReplicaLocation>> ChooseTargets(const TargetRequest& request,
                                                                               Random& random) const = 0;
  // Whether that datanode can be told anything now, whatever became of its storages.
  virtual bool IsRegistered(const DatanodeUuid& datanode) const = 0;
  // How to reach a replica's place; nothing when that datanode or storage is not registered now.
  virtual std::optional<protocol::ReplicaLocation> Locate(const DatanodeUuid& datanode,
                                                          const StorageId& storage) const = 0;
};

// Who the datanodes are, for queries: immutable, published by the core whenever it changes.
struct ClusterView {
  struct Storage {
    protocol::ReplicaLocation location;
    protocol::DatanodeLiveness liveness = protocol::DatanodeLiveness::kLive;
    uint64_t session = 0;
  };
  std::map<uint32_t, Storage> storages;  // by storage number (replica records carry numbers)
};

}  // namespace dolmen::namenode
