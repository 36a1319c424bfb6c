// What the heartbeat thread needs to answer at once, so that heartbeats never wait behind clients or reports. The shell
// guards it with a mutex of its own; both sides hold it only for a copy.
//
//   heartbeat thread: OnHeartbeat
//   core thread:      DrainArrivals, PutCommands, SetSessions
//
// After a registration the core sets the sessions before the datanode gets its answer; otherwise the first heartbeat
// would be told to register again (harmless, once).
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/protocol/datanode_namenode.h"

namespace dolmen::namenode {

// The newest heartbeat of a datanode since the last exchange.
struct HeartbeatFacts {
  DatanodeUuid datanode;
  uint64_t session = 0;
  MonotonicTime at;  // stamped at receipt
  std::vector<protocol::StorageReport> storages;
  uint32_t active_streams = 0;
  friend bool operator==(const HeartbeatFacts&, const HeartbeatFacts&) = default;
};

using CommandFor = std::pair<DatanodeUuid, protocol::DatanodeCommand>;

// Externally synchronised.
class HeartbeatBoard {
 public:
  // Commands waiting for one datanode; more are dropped, the core orders again what is still needed. Above what the
  // core orders of it at a time: copies (twice copies_per_datanode), deletions, recoveries.
  static constexpr size_t kMaxWaitingCommands = 256;

  explicit HeartbeatBoard(protocol::NamenodeIdentity identity) : identity_(std::move(identity)) {}

  // Commands are handed out once. A heartbeat of an unknown or older session is told to register and leaves no trace.
  protocol::HeartbeatReply OnHeartbeat(const protocol::HeartbeatRequest& request, MonotonicTime now);

  // By uuid, at most one per datanode.
  std::vector<HeartbeatFacts> DrainArrivals();
  // Commands for datanodes without a session are dropped.
  void PutCommands(std::vector<CommandFor> commands);
  // Replaces the known sessions. Where a session changed, waiting commands and facts of the older one are dropped.
  void SetSessions(const std::map<DatanodeUuid, uint64_t>& sessions);

  // Dropped since the start because an outbox was full.
  uint64_t dropped_commands() const { return dropped_commands_; }

 private:
  struct Entry {
    uint64_t session = 0;
    bool arrived = false;
    HeartbeatFacts facts;  // when arrived
    std::vector<protocol::DatanodeCommand> outbox;
  };

  const protocol::NamenodeIdentity identity_;
  std::map<DatanodeUuid, Entry> entries_;
  uint64_t dropped_commands_ = 0;
};

}  // namespace dolmen::namenode
