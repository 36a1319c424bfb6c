// One attempt to recover the last block of a file whose writer is gone (decision 0013): which length it gets, and on
// which datanodes. A machine without I/O; FileRecovery drives it.
//
//   asking     every datanode of the block's pipeline is told to freeze its replica by this attempt's stamp, again and
//              again until it answers what it has; a frozen replica changes only by what this or a later attempt orders
//   finishing  the length is decided; those that have so much are told to cut their replica to it, to give it the
//              attempt's stamp and to finalize it
//   over       enough did: see outcome()
//
// The length. Every byte that was flushed had been acknowledged by every datanode of the pipeline, in its memory at
// least; what a replica has is a front of what the writer sent, whatever happened to the machine.
//   1. Replicas were finalized by the writer or by an earlier attempt: the longest of those.
//   2. Datanodes that have been running since they took part: the minimum, since each of them has all flushed bytes.
//      One that still has the replica as it was before the append took no part in it: nothing behind was flushed. But
//      no less than what any of them showed to readers.
//   3. Only datanodes that were started anew: the maximum, since each may have lost what was not synced.
// Of 1 and 2 the greater: both are at least what was flushed, and an earlier attempt may have guessed by 3. One answer
// of these kinds is enough to know, so nobody waits long for dead datanodes (kPatience). Answers of the third kind
// alone are not: somebody else may have more (kLongPatience). When all have answered and nobody has anything of use:
// nothing was flushed, and the block is dropped, or is again what it was before the append. Answers of damaged replicas
// do not let a block be dropped.
//
// Invariant: length_before <= the length decided <= that of every participant.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/protocol/datanode_namenode.h"
#include "namenode/core/heartbeat_board.h"
#include "namenode/core/operation.h"
#include "namenode/core/records.h"

namespace dolmen::namenode {

struct RecoveryPlan {
  BlockId block;
  GenerationStamp stamp;         // of the block's record
  GenerationStamp oldest_stamp;  // that a replica may have: before an append, else the same
  uint64_t length_before = 0;    // before an append: no less is left
  uint64_t max_length = 0;       // the file's block size
  GenerationStamp recovery;      // of this attempt, above all the others
  std::vector<OpenRecord::Target> targets;
  uint32_t min_replication = 1;
};

// One thread only.
class BlockRecovery {
 public:
  // All chosen. For datanodes that do not answer, from the first answer on that tells the length.
  static constexpr std::chrono::seconds kPatience{10};
  static constexpr std::chrono::minutes kLongPatience{5};
  // For further participants, when as many as needed have finished.
  static constexpr std::chrono::seconds kFinishPatience{3};
  static constexpr std::chrono::seconds kRepeat{2};          // of an order that was not carried out yet
  static constexpr std::chrono::seconds kLongestRepeat{30};  // to a datanode that is silent, each time twice as late
  // Without an answer or an order carried out: a new attempt is better.
  static constexpr std::chrono::seconds kNoProgress{30};

  BlockRecovery(RecoveryPlan plan, MonotonicTime now);

  // A datanode answered a freeze order; answers to other attempts are ignored.
  void OnAnswer(const DatanodeUuid& datanode, const StorageId& storage, const protocol::ReportedReplica& replica,
                MonotonicTime now);
  // A datanode has the replica finalized as decided.
  void OnFinished(const DatanodeUuid& datanode, MonotonicTime now);
  // Decides what time decides, and returns the orders that are due.
  std::vector<CommandFor> Step(MonotonicTime now);

  // The block as it will be, once that is decided and not that it be dropped.
  const std::optional<protocol::Block>& decided() const { return decided_; }
  const std::optional<RecoveryOutcome>& outcome() const { return outcome_; }
  // It only waits for datanodes that are silent, and can decide without them later.
  bool waits() const;
  // It led to nothing, or its outcome did not: begin anew, with another stamp.
  bool failed(MonotonicTime now) const;
  const RecoveryPlan& plan() const { return plan_; }
  std::vector<DatanodeUuid> participants() const;

 private:
  struct Target {
    StorageId storage;
    std::optional<protocol::ReportedReplica> answer;
    bool takes_part = false;
    bool finished = false;
    std::optional<MonotonicTime> ordered;  // last
    Duration repeat = kRepeat;             // of an order that is not answered
  };
  // What an answer says about the length; see above.
  enum class Kind { kMissing, kUseless, kFinalized, kRunning, kRestarted };
  Kind KindOf(const protocol::ReportedReplica& replica) const;
  void Decide(MonotonicTime now);
  void DecideLength(uint64_t length, MonotonicTime now);
  void TakePart(Target* target) const;

  const RecoveryPlan plan_;
  std::map<DatanodeUuid, Target> targets_;
  MonotonicTime progress_;  // the latest
  std::optional<MonotonicTime> first_telling_;
  std::optional<MonotonicTime> first_restarted_;
  std::optional<protocol::Block> decided_;
  bool guessed_ = false;     // by rule 3
  bool superseded_ = false;  // somebody knows better than what was guessed
  std::optional<MonotonicTime> enough_finished_;
  std::optional<RecoveryOutcome> outcome_;
};

}  // namespace dolmen::namenode
