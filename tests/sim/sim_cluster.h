// A whole cluster under one seed: one namenode, a few datanodes and clients, the real cores of all of them, virtual
// time, faults, and the checks of fault-scenarios (I-1..I-18 as far as they apply) after every commit and at rest.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/event_queue.h"
#include "tests/sim/namespace_model.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_datanode.h"
#include "tests/sim/sim_namenode.h"

namespace dolmen::sim {

struct RunGoals {
  uint64_t operations = 200;
  Duration virtual_time = std::chrono::minutes(10);
  uint64_t faults = 5;
};

struct RunReport {
  uint64_t seed = 0;
  std::string violation;  // empty: none
  uint64_t operations = 0;
  Duration virtual_time{};
  std::map<std::string, uint64_t> faults;                 // by kind, fired
  std::map<std::string, uint64_t> operations_by_outcome;  // "create ok", "read failed", ...
  std::map<std::string, uint64_t> probes;                 // interesting branches that were taken
  uint64_t events = 0;
  uint64_t trace_hash = 0;
  std::vector<std::string> last_events;  // the newest lines of the trace
  uint64_t fault_count() const {
    uint64_t sum = 0;
    for (const auto& [kind, count] : faults) sum += count;
    return sum;
  }
};

// Runs one seed from start to rest.
RunReport RunSeed(uint64_t seed, const RunGoals& goals);

class SimCluster final : public NamenodeObserver, public ClientObserver {
 public:
  SimCluster(uint64_t seed, const RunGoals& goals);
  ~SimCluster() override;

  RunReport Run();

  // NamenodeObserver.
  void Executed(const namenode::ClientMutation& operation, const namenode::Answer& answer,
                CommitNumber commit) override;
  void Published(const namenode::MetaView& view) override;
  void Started(const namenode::MetaView& view) override;
  // ClientObserver.
  void Acknowledged(uint64_t inode, const std::string& holder, uint64_t length, bool closed) override;
  void GaveUp(uint64_t inode) override { given_up_.insert(inode); }
  void ReadDone(uint64_t inode, const std::string& path, uint64_t length, MonotonicTime started,
                const absl::Status& status, const std::string& problem) override;
  std::string ExpectedContent(uint64_t inode, uint64_t offset, size_t size) const override {
    return model_.ExpectedContent(inode, offset, size);
  }
  void OperationDone(const std::string& kind, const absl::Status& status) override;

 private:
  void Trace(const std::string& line);
  void Violation(const std::string& what);
  void TakeOverClosed(const namenode::MetaView& view, const std::string& when);
  void CheckStored(const namenode::MetaView& view, const std::string& when);
  bool MayExpire(const ModelFile& file) const;
  // What was acknowledged of a file that is truncated counts no longer; one that is appended to may grow.
  void Truncated(const protocol::TruncateRequest& request);
  void Appended(const protocol::AppendRequest& request);

  void ScheduleFault();
  void OneFault();
  void Fired(const std::string& kind);
  void Heal();
  bool AtRest(std::string* why_not);
  void RunUntil(MonotonicTime until);
  void CheckAtRest();
  void CheckReplicas();
  uint64_t Operations() const;
  Duration Between(int64_t low_ms, int64_t high_ms) {
    return std::chrono::milliseconds(random_.Between(low_ms, high_ms));
  }

  const uint64_t seed_;
  const RunGoals goals_;
  Random random_;
  EventQueue events_;
  Network network_;
  NamespaceModel model_;
  std::unique_ptr<SimNamenode> namenode_;
  DatanodeDirectory directory_;
  std::vector<std::unique_ptr<SimDatanode>> datanodes_;
  std::vector<std::unique_ptr<SimClient>> clients_;

  bool healing_ = false;
  bool at_rest_ = false;
  uint64_t commits_checked_ = 0;
  MonotonicTime last_disturbance_{};
  MonotonicTime last_checked_{};  // the stored state, before now
  MonotonicTime last_datanode_fault_{};
  MonotonicTime last_power_loss_{};  // of a datanode
  struct Ack {
    MonotonicTime at;
    uint64_t length = 0;
    bool closed = false;
    // By the latest close or truncation: no fault may take that away.
    MonotonicTime committed_at;
    uint64_t committed = 0;
    bool exact = false;  // nobody opened it since to append
  };
  std::map<uint64_t, Ack> acknowledged_;  // by inode
  std::set<uint64_t> given_up_;
  uint64_t reads_at_rest_ = 0;
  RunReport report_;
};

}  // namespace dolmen::sim
