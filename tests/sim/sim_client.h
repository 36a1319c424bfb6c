// A client of the simulation: the real call tracker, writer, opener, reader and lease renewal, and a random workload.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/core/call_tracker.h"
#include "client/core/file_appender.h"
#include "client/core/file_opener.h"
#include "client/core/file_reader.h"
#include "client/core/file_writer.h"
#include "client/core/lease_renewal.h"
#include "client/core/packet_builder.h"
#include "common/random.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_datanode.h"
#include "tests/sim/sim_namenode.h"

namespace dolmen::sim {

// What is written to a file is a function of its inode and the offset, so nothing needs to be stored to check it.
char ContentAt(uint64_t inode, uint64_t offset);
std::string Content(uint64_t inode, uint64_t offset, size_t size);

// What clients tell the checker.
class ClientObserver {
 public:
  virtual ~ClientObserver() = default;
  // All bytes below `length` of the file are acknowledged by every datanode of their pipelines (flush or close).
  virtual void Acknowledged(uint64_t inode, const std::string& holder, uint64_t length, bool closed) = 0;
  // The writer failed and left the file open.
  virtual void GaveUp(uint64_t inode) = 0;
  // A reader saw this; `problem` is empty when all bytes were right and complete.
  virtual void ReadDone(uint64_t inode, const std::string& path, uint64_t length, MonotonicTime started,
                        const absl::Status& status, const std::string& problem) = 0;
  // What a file's bytes must be.
  virtual std::string ExpectedContent(uint64_t inode, uint64_t offset, size_t size) const = 0;
  // An operation of a client ended (any outcome).
  virtual void OperationDone(const std::string& kind, const absl::Status& status) = 0;
};

struct WorkloadSettings {
  Duration think_time = std::chrono::milliseconds(1500);  // mean pause between operations
  uint64_t max_file_bytes = 40'000;
  uint64_t block_bytes = 8192;
  uint32_t packet_bytes = 2048;
  uint32_t window_packets = 4;
};

class SimClient {
 public:
  SimClient(EventQueue* events, Network* network, NodeId node, SimNamenode* namenode,
            const DatanodeDirectory* datanodes, WorkloadSettings workload, uint64_t seed, ClientObserver* observer);
  ~SimClient();

  void Start();
  void Kill();  // all its streams and calls are gone; its files stay open until their leases expire
  bool running() const { return process_ != nullptr; }
  // No new operations; those under way end.
  void StopWorkload() { stopping_ = true; }
  bool idle() const { return UnderWay().empty(); }
  // What has not ended yet; empty when nothing.
  std::string UnderWay() const;
  // Reads the whole file and tells the observer. Needs a running process.
  void ReadFile(const std::string& path);

  const std::string& holder() const;
  uint64_t operations() const { return operations_; }

 private:
  struct Process;
  friend struct Process;
  std::string Host() const;
  SimDatanode* Find(const protocol::ReplicaLocation& location) const;

  EventQueue& events_;
  Network& network_;
  const NodeId node_;
  SimNamenode* const namenode_;
  const DatanodeDirectory& datanodes_;
  const WorkloadSettings workload_;
  Random random_;
  ClientObserver* const observer_;
  bool stopping_ = false;
  uint64_t operations_ = 0;
  uint64_t processes_ = 0;
  std::string holder_;
  std::vector<std::function<void()>> connections_;  // break those still open when the process dies
  std::unique_ptr<Process> process_;
};

}  // namespace dolmen::sim
