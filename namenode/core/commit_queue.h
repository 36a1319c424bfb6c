// The one writer of the namespace: operations wait here, are decided in order, committed in groups, published,
// answered.
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
// complete, addBlock and append wait here, bounded, until the minimum of replicas is reported, and recoverLease until
// the namenode has closed the file: parked operations take no part in batches until ReplicasConfirmed or FileClosed
// names their file or their time is up.
//
// Answers are stored for retries (contract C-9) but for refusals that say "not now": safe mode, busy, not replicated
// yet. The operation was not decided then, and whoever asks again with the same id has it decided.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/operation.h"
#include "namenode/core/retry_sessions.h"

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
// For files that the namenode holds; see ContinueRecovery, FinishRecovery and FinishTruncation of ops.h.
struct RecoverFile {
  InodeId inode;
};
struct EndRecovery {
  InodeId inode;
  GenerationStamp recovery;
  RecoveryOutcome outcome;
};
struct EndTruncation {
  InodeId inode;
  BlockId copy;
};
struct ReapStep {};
struct ReplicationStep {};
struct ExpireSessionsStep {};
// Ids below these were seen on datanodes (the namespace is a restored backup): never hand them out. `quarantined` says
// which ids are jumped over (Quarantine::AddRange); it is stored in the same commit.
struct RaiseCounters {
  BlockId next_block;
  GenerationStamp next_stamp;
  std::vector<MetaWrite> quarantined;
};
using InternalOperation = std::variant<CloseExpiredLease, RecoverFile, EndRecovery, EndTruncation, ReapStep,
                                       ReplicationStep, ExpireSessionsStep, RaiseCounters>;

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
  // The namenode closed this file: the same.
  void FileClosed(InodeId inode) { ReplicasConfirmed(inode); }
  // Parked operations whose time is up get their answer: complete and recoverLease say "not closed yet", addBlock and
  // append kNotReplicatedYet.
  std::vector<Finished> ExpireParked(MonotonicTime now);

  // Nothing when there is no work or a batch is in flight. `safe_mode_tip`: set while in safe mode; mutations by
  // clients are then refused in HDFS's words, and own work but RaiseCounters is dropped (the next tick asks for it
  // again).
  std::optional<CommitBatch> Begin(const MetaReader& published, MonotonicTime now, WallTime wall,
                                   const std::optional<std::string>& safe_mode_tip);

  struct Outcome {
    std::vector<Finished> answers;
    std::vector<Effect> effects;     // in order; empty after a failure
    bool deleted_something = false;  // there is work for ReapStep
  };
  // For the batch that Begin handed out.
  Outcome Finish(const absl::Status& committed);

  // Stops for good although no commit failed: everybody who waits gets `why`, and so do later callers. A batch in
  // flight is still to be finished.
  std::vector<Finished> Stop(absl::Status why);

  bool stopped() const { return !stopped_.ok(); }
  bool in_flight() const { return in_flight_; }
  bool reap_left() const { return reap_left_; }
  // There is work for ReplicationStep.
  bool replication_left() const { return replication_left_; }
  // The last ExpireSessionsStep found so many that the next one should not wait.
  bool many_sessions_expired() const { return many_sessions_expired_; }
  size_t queued() const { return queue_.size() + internal_.size(); }
  // Own operations that wait for a batch. While there are any, more of them would only be repetitions.
  size_t own_work_queued() const { return internal_.size(); }
  size_t parked() const { return parked_count_; }
  CommitNumber last_commit() const { return last_commit_; }
  // Decided in the batch in flight, not given to anybody: for checkers, when a failed commit turns out to be on disk.
  const std::vector<Finished>& undelivered() const { return answers_; }
  // Of the last durable commit.
  const Counters& counters() const { return counters_; }
  // Of the batch in flight, if there is one: the ids below these may have been handed out.
  const Counters& newest_counters() const { return in_flight_ ? next_counters_ : counters_; }
  // Batches by number of answers: 1, 2-3, 4-7, ... (for the group commit histogram). Own work alone does not count.
  const std::map<uint32_t, uint64_t>& batch_size_histogram() const { return histogram_; }
  // True once after a commit whose time is behind an earlier one's: the wall clock went back by 10 s or more.
  bool TakeClockJumped() { return std::exchange(clock_jumped_, false); }

 private:
  struct Waiting {
    uint64_t ticket = 0;
    ClientMutation operation;
    MonotonicTime enqueued;
    absl::Status refused;  // when parked: why it was not done
  };
  void Decide(Waiting waiting, OperationContext& context, RetrySessions& sessions,
              const std::optional<std::string>& safe_mode_tip);
  void DecideInternal(const InternalOperation& operation, OperationContext& context);
  WallTime CommitTime(WallTime wall) const;
  void NoteCommitTime(MonotonicTime now, WallTime time);
  std::optional<WallTime> SessionsUnusedSince() const;

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
  bool replication_begun_ = false;
  bool counters_raised_ = false;

  Counters counters_;
  CommitNumber last_commit_;
  std::string session_cursor_;
  bool many_sessions_expired_ = false;
  // The lowest commit times of the present and of the last period, each `retry_retention` long by the monotonic clock:
  // a session used since the last period began bears no lower time, whatever the wall clock did meanwhile (F-110).
  std::optional<MonotonicTime> period_began_;
  WallTime period_floor_;
  std::optional<WallTime> last_period_floor_;
  bool reap_left_ = true;         // look once after every start
  bool replication_left_ = true;  // the same
  ReapBacklog reap_backlog_;
  absl::Status stopped_;  // why, when stopped
  bool clock_jumped_ = false;
  std::map<uint32_t, uint64_t> histogram_;
};

// HDFS's refusal of a mutation in safe mode: "<prefix>. Name node is in safe mode.\n<tip>".
absl::Status SafeModeRefusal(const protocol::Mutation& request, const std::string& tip);

}  // namespace dolmen::namenode
