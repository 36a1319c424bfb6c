// The one writer of the namespace: operations wait here, are decided in order, committed in groups, published, answered.
//
//   Begin:   takes what is queued (bounded), decides each against the published view plus the batch being built,
//            and hands out ONE CommitBatch for the store.
//   Finish:  after the store's answer. OK: effects and answers come out, refusals and no-ops included, none of them
//            earlier. Failure: what is on disk is unknown; the queue stops for good and every caller is told to
//            retry against the restarted namenode, where its stored answer (or none) settles what happened.
//
// One batch is in flight at a time; later operations wait undecided, so the next batch grows by itself while the
// store syncs. A machine without threads: the server's core thread drives it, and so does the simulation.
//
// complete and addBlock wait here, bounded, until the minimum of replicas is reported: parked operations take no part in
// batches until ReplicasConfirmed names their file or their time is up.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/operation.h"

namespace dolmen::namenode {

// A client's mutation as the server received it.
struct ClientMutation {
  Caller caller;
  protocol::CallId id;
  protocol::Mutation request;
};

// The namenode's own work, decided and committed like any other operation.
struct CloseExpiredLease {
  std::string holder;
  InodeId inode;
};
struct ReapStep {};
struct ExpireSessionsStep {};
using InternalOperation = std::variant<CloseExpiredLease, ReapStep, ExpireSessionsStep>;

struct Finished {
  uint64_t ticket = 0;  // as given to Enqueue
  Answer answer;
  CommitNumber commit;  // the state the answer was decided on, now durable
};

// One thread only.
class CommitQueue {
 public:
  // `last_commit` is the number of the state Begin first sees. `settings`, `info`, `replicas`, `leases` outlive this.
  CommitQueue(const CoreSettings* settings, const NamespaceInfo* info, const ReplicaView* replicas,
              const LeaseView* leases, Counters counters, CommitNumber last_commit, uint64_t seed);

  // Errors, to be answered at once: kBusy when `max_queued_operations` wait, kStopped after a failed commit.
  absl::Status Enqueue(uint64_t ticket, ClientMutation operation, MonotonicTime now);
  void Enqueue(InternalOperation operation);
  // Replicas of a block of this file were confirmed: whoever waits for it is decided again.
  void ReplicasConfirmed(InodeId inode);
  // Parked operations whose time is up get their answer: complete says "not closed yet", addBlock kNotReplicatedYet.
  std::vector<Finished> ExpireParked(MonotonicTime now);

  // Nothing when there is no work or a batch is in flight. `safe_mode_tip`: set while in safe mode; mutations by clients
  // are then refused in HDFS's words.
  std::optional<CommitBatch> Begin(const MetaReader& published, MonotonicTime now, WallTime wall,
                                   const std::optional<std::string>& safe_mode_tip);

  struct Outcome {
    std::vector<Finished> answers;
    std::vector<Effect> effects;       // in order; empty after a failure
    bool deleted_something = false;    // there is work for ReapStep
  };
  // For the batch that Begin handed out.
  Outcome Finish(const absl::Status& committed);

  bool stopped() const { return stopped_; }
  bool in_flight() const { return in_flight_; }
  bool reap_left() const { return reap_left_; }
  size_t queued() const { return queue_.size() + internal_.size(); }
  size_t parked() const { return parked_count_; }
  CommitNumber last_commit() const { return last_commit_; }
  // Of the last durable commit.
  const Counters& counters() const { return counters_; }
  // Batches by number of operations: 1, 2-3, 4-7, ... (for the group commit histogram).
  const std::map<uint32_t, uint64_t>& batch_size_histogram() const { return histogram_; }
  // True once when the wall clock was found more than 10 s behind the last commit's time (the shell logs it).
  bool TakeClockJumped() { return std::exchange(clock_jumped_, false); }

 private:
  struct Waiting {
    uint64_t ticket = 0;
    ClientMutation operation;
    MonotonicTime enqueued;
  };
  void Decide(Waiting waiting, OperationContext& context, const std::optional<std::string>& safe_mode_tip);
  void DecideInternal(const InternalOperation& operation, OperationContext& context);
  WallTime CommitTime(WallTime wall);

  const CoreSettings& settings_;
  const NamespaceInfo& info_;
  const ReplicaView& replicas_;
  const LeaseView& leases_;
  Random random_;

  std::deque<Waiting> queue_;
  std::deque<InternalOperation> internal_;
  std::map<InodeId, std::vector<Waiting>> parked_;
  size_t parked_count_ = 0;

  // Of the batch in flight.
  bool in_flight_ = false;
  Counters next_counters_;
  std::vector<Effect> effects_;
  std::vector<Finished> answers_;
  bool deleted_something_ = false;

  Counters counters_;
  CommitNumber last_commit_;
  std::string session_cursor_;
  bool reap_left_ = true;  // look once after every start
  bool stopped_ = false;
  bool clock_jumped_ = false;
  std::map<uint32_t, uint64_t> histogram_;
};

// HDFS's refusal of a mutation in safe mode: "<prefix>. Name node is in safe mode.\n<tip>".
absl::Status SafeModeRefusal(const protocol::Mutation& request, const std::string& tip);

}  // namespace dolmen::namenode
