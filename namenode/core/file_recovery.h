// The files that the namenode itself holds open (kNamenodeHolder), until they are closed: those it took from their
// writers, and those it truncates. Asks the datanodes for what is needed, and the commit queue for the operations that
// follow. Nothing here is stored: after a start the open records tell which files these are, and each begins anew.
//
//   writer gone   ContinueRecovery closes the file, or begins an attempt with a new stamp (RecoveryStarted)
//   attempt       is a BlockRecovery; FinishRecovery closes the file; an attempt that failed begins anew
//   truncation    every datanode that has the last block is told to copy its beginning, again and again; when all that
//                 were there at the beginning did, or enough and the others let wait, FinishTruncation closes the file
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "namenode/core/block_recovery.h"
#include "namenode/core/commit_queue.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/replica_view.h"
#include "namenode/core/report_processor.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// One thread only. Bounded by the number of open files; work per tick is bounded by kMaxUnderWay.
class FileRecovery {
 public:
  // Files worked on at the same time; the others wait their turn. Chosen so that the orders for all of them fit what
  // waits for one datanode (HeartbeatBoard::kMaxWaitingCommands). Those that only wait for silent datanodes cost next
  // to nothing and keep nobody from his turn, up to a bound of their own.
  static constexpr size_t kMaxUnderWay = 40;
  static constexpr size_t kMaxAttempts = 4096;
  // All chosen. Between two looks at a file that waits for replicas of its last block; at one none of whose datanodes
  // is there; files looked at in one tick.
  static constexpr std::chrono::seconds kLookAgain{1};
  static constexpr std::chrono::seconds kNobodyThere{10};
  static constexpr size_t kLooksPerTick = 200;

  // `settings` and `replicas` outlive this.
  FileRecovery(const CoreSettings* settings, const ReplicaView* replicas)
      : settings_(*settings), replicas_(*replicas) {}
  FileRecovery(const FileRecovery&) = delete;
  FileRecovery& operator=(const FileRecovery&) = delete;

  // The namenode holds the file from now on, or no longer.
  void Add(InodeId inode);
  void Remove(InodeId inode);
  // An attempt to recover its last block is on disk.
  absl::Status Started(InodeId inode, const MetaReader& published, MonotonicTime now);
  void OnAnswers(const std::vector<FrozenReplica>& answers, MonotonicTime now);

  // Not in safe mode. `may_begin`: operations that were asked for before are done or forgotten; only then more are.
  // What can't be read is told in the log and tried again.
  void Tick(const MetaReader& published, MonotonicTime now, bool may_begin);
  // What was decided since the last call.
  std::vector<CommandFor> TakeCommands() { return std::exchange(commands_, {}); }
  std::vector<InternalOperation> TakeOperations() { return std::exchange(operations_, {}); }

  size_t held() const { return waiting_.size() + attempts_.size() + truncations_.size(); }
  size_t under_way() const;

 private:
  struct Truncation {
    protocol::Block source;
    protocol::Block target;
    std::optional<MonotonicTime> ordered;  // last
    std::optional<MonotonicTime> enough;   // since when as many as needed have it
    std::optional<MonotonicTime> ended;    // last, that is: when its end was asked for
    MonotonicTime progress;
    size_t wanted = 1;  // datanodes that had the block, and were not silent, at the beginning
    size_t copies = 0;
  };
  struct Waiting {
    InodeId inode;
    MonotonicTime not_before{};
  };

  void Wait(InodeId inode, MonotonicTime not_before);
  void StepAttempts(MonotonicTime now, bool may_begin);
  void StepTruncations(MonotonicTime now, bool may_begin);
  void BeginWaiting(const MetaReader& published, MonotonicTime now);
  absl::Status Begin(InodeId inode, const MetaReader& published, MonotonicTime now);
  bool IsAnybodyThere(const OpenRecord& open) const;
  absl::Status BeginTruncation(InodeId inode, const OpenRecord& open, const MetaReader& published, MonotonicTime now);

  const CoreSettings& settings_;
  const ReplicaView& replicas_;
  // A file is in one of these.
  std::deque<Waiting> waiting_;
  std::map<InodeId, BlockRecovery> attempts_;
  std::map<InodeId, Truncation> truncations_;
  std::map<BlockId, InodeId> attempted_;  // blocks of attempts_
  std::vector<CommandFor> commands_;
  std::vector<InternalOperation> operations_;
  std::optional<MonotonicTime> last_tick_;
};

}  // namespace dolmen::namenode
