// A namenode of the simulation: the real core and commit queue on the memory store, driven by the event queue instead
// of threads. The process can be killed and started again at any moment; its disk stays.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/random.h"
#include "namenode/core/namenode_core.h"
#include "namenode/storage/memory_meta_store.h"
#include "namenode/storage/memory_replica_store.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/network.h"

namespace dolmen::sim {

// What the checker is told, in the order of execution.
class NamenodeObserver {
 public:
  virtual ~NamenodeObserver() = default;
  // The operation was decided with this answer and its batch is durable.
  virtual void Executed(const namenode::ClientMutation& operation, const namenode::Answer& answer,
                        CommitNumber commit) = 0;
  // A batch (of clients' or the namenode's own operations) is durable and published.
  virtual void Published(const namenode::MetaView& view) = 0;
  // A new process reads this state.
  virtual void Started(const namenode::MetaView& view) = 0;
};

struct SimNamenodeCounts {
  uint64_t starts = 0;
  uint64_t commits = 0;
  uint64_t crashes_before_commit = 0;  // a batch was decided but never reached the disk
  uint64_t crashes_after_commit = 0;   // it reached the disk, nobody was answered
  uint64_t failed_commits = 0;
};

class SimNamenode {
 public:
  SimNamenode(EventQueue* events, Network* network, NodeId node, namenode::CoreSettings settings, uint64_t seed,
              NamenodeObserver* observer);

  void Start();
  // kill -9. A batch under way is on disk or not, as the seed decides. `lose_hints`: the replica store, which is never
  // synced, is gone too (power loss).
  void Crash(bool lose_hints);
  // The same in the middle of the next batch; `then` runs afterwards.
  void CrashInNextBatch(bool lose_hints, std::function<void()> then) {
    crash_in_batch_ = {lose_hints, std::move(then)};
  }
  bool running() const { return core_ != nullptr; }
  // The next commit fails, applied or not; the process then stops by itself (and is started again by the caller).
  void FailNextCommit(bool applied);

  // What was armed above and has not fired does not fire any more.
  void DisarmFaults() {
    crash_in_batch_ = {};
    disk_->ForgetFailure();
  }

  NodeId node() const { return node_; }
  const SimNamenodeCounts& counts() const { return counts_; }
  namenode::NamenodeCore& core() { return *core_; }
  std::shared_ptr<const namenode::MetaView> StoredView() const { return store_->View(); }
  const std::map<uint32_t, uint64_t>& batch_sizes() const { return batch_sizes_; }

  // ---- messages, as delivered ----------------------------------------------------------------------------------
  using MutationDone = std::function<void(namenode::Answer)>;
  void OnMutation(namenode::ClientMutation operation, MutationDone done);
  using QueryDone = std::function<void(absl::StatusOr<protocol::QueryReply>)>;
  void OnQuery(const namenode::Caller& caller, const protocol::Query& query, const QueryDone& done);
  absl::StatusOr<protocol::RegisterReply> OnRegister(const protocol::RegisterRequest& request);
  protocol::HeartbeatReply OnHeartbeat(const protocol::HeartbeatRequest& request);
  protocol::ReportReply OnIncrementalReport(const protocol::IncrementalReportRequest& request);
  protocol::ReportReply OnFullReport(const protocol::FullReportSlice& slice);

  // The wall clock of this machine; can be set by faults (F-110).
  WallTime Wall() const;
  void JumpWallClock(int64_t ms) { wall_offset_ms_ += ms; }

 private:
  struct Waiting {
    namenode::ClientMutation operation;
    MutationDone done;
  };
  void ScheduleTick();
  void Pump();
  void CommitNow();
  void Deliver(std::vector<namenode::Finished> finished, bool executed, bool reply = true);

  EventQueue& events_;
  Network& network_;
  const NodeId node_;
  const namenode::CoreSettings settings_;
  Random random_;
  NamenodeObserver* const observer_;
  SimNamenodeCounts counts_;
  std::map<uint32_t, uint64_t> batch_sizes_;
  int64_t wall_offset_ms_ = 0;
  bool failure_was_applied_ = false;
  std::pair<bool, std::function<void()>> crash_in_batch_;  // armed when it has a function

  // Stable.
  std::shared_ptr<namenode::MemoryMetaDisk> disk_ = std::make_shared<namenode::MemoryMetaDisk>();
  std::unique_ptr<namenode::MemoryReplicaStore> replicas_ = std::make_unique<namenode::MemoryReplicaStore>();

  // Of the process; gone at a crash.
  std::unique_ptr<namenode::MemoryMetaStore> store_;
  std::unique_ptr<namenode::NamenodeCore> core_;
  std::unique_ptr<namenode::HeartbeatBoard> board_;
  std::map<uint64_t, Waiting> waiting_;
  uint64_t next_ticket_ = 1;
  std::optional<namenode::CommitBatch> in_flight_;
  uint64_t process_ = 0;  // rises per start: events of older processes do nothing
};

}  // namespace dolmen::sim
