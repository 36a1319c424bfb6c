// A datanode of the simulation: the real block store on a memory disk, the real pipeline hops, copies and namenode
// session, driven by the event queue instead of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/memory_file_system.h"
#include "common/protocol/data_transfer.h"
#include "common/protocol/datanode_namenode.h"
#include "common/random.h"
#include "tests/sim/connection.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_namenode.h"

namespace dolmen::sim {

using WriteFrame = std::variant<protocol::WriteSetup, protocol::Packet>;
using WriteConnection = Connection<WriteFrame, protocol::Ack>;
// Nothing flows forward once a read is asked for.
using ReadConnection = Connection<std::monostate, protocol::ReadChunk>;

class SimDatanode;
// Who can be reached under a name: datanodes by the host of their address.
using DatanodeDirectory = std::map<std::string, SimDatanode*>;

struct SimDatanodeCounts {
  uint64_t starts = 0;
  uint64_t crashes = 0;
  uint64_t power_losses = 0;
  uint64_t replicas_finalized = 0;
  uint64_t copies_done = 0;
  uint64_t replicas_frozen = 0;
  uint64_t recoveries_finished = 0;
  uint64_t prefixes_copied = 0;
};

class SimDatanode {
 public:
  SimDatanode(EventQueue* events, Network* network, NodeId node, NodeId namenode_node, SimNamenode* namenode,
              const DatanodeDirectory* directory, std::string rack, int volumes, uint64_t seed);
  ~SimDatanode();

  void Start();
  void Crash();      // kill -9: written bytes stay
  void PowerLoss();  // unsynced bytes and names may be gone or torn
  bool running() const;

  NodeId node() const { return node_; }
  std::string host() const;
  const SimDatanodeCounts& counts() const { return counts_; }
  MemoryFileSystem& disk() { return disk_; }
  std::vector<protocol::Block> Finalized() const;  // only while running
  // All finalized replicas, read back and verified against their checksums. Only while running.
  std::vector<std::pair<protocol::Block, absl::Status>> VerifyFinalized();
  // Bytes of a finalized replica; only while running.
  absl::StatusOr<std::string> ReadFinalized(const protocol::Block& block);
  // Work that must have ended when the cluster is at rest: streams, copies.
  std::string LeftOpen() const;

  // ---- what arrives --------------------------------------------------------------------------------------------
  void AcceptWrite(const std::shared_ptr<WriteConnection>& connection);
  void AcceptRead(const std::shared_ptr<ReadConnection>& connection, const protocol::ReadRequest& request);
  absl::StatusOr<protocol::VisibleLengthReply> VisibleLength(const protocol::VisibleLengthRequest& request);
  absl::StatusOr<protocol::BlockChecksumReply> Checksum(const protocol::Block& block);

 private:
  struct Process;

  EventQueue& events_;
  Network& network_;
  const NodeId node_;
  const NodeId namenode_node_;
  SimNamenode* const namenode_;
  const DatanodeDirectory& directory_;
  const std::string rack_;
  const int volumes_;
  Random random_;
  MemoryFileSystem disk_;
  SimDatanodeCounts counts_;
  std::unique_ptr<Process> process_;
};

}  // namespace dolmen::sim
