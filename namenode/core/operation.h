// One operation on its way through the core: who asks, what it may read and write, and what follows from it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/protocol/client_namenode.h"
#include "common/random.h"
#include "namenode/core/meta_batch.h"
#include "namenode/core/records.h"
#include "namenode/core/replica_view.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// Identity as the server established it: the name is claimed by the client ("simple" mode), groups and the superuser
// role come from the server.
struct Caller {
  std::string user;
  std::vector<std::string> groups;
  bool is_superuser = false;
  std::string host;  // of the client's connection
};

// The namenode as the holder of a lease: of files that it took from their writers, and of those it truncates. It closes
// them itself (FileRecovery); such a lease never runs out.
inline constexpr char kNamenodeHolder[] = "Dolmen_NameNode";

// How the recovery of a file's last block ended.
struct RecoveryOutcome {
  enum class Kind {
    kRecovered,      // it has `length` bytes, on enough datanodes
    kNothingThere,   // nobody has anything of it, and nothing of it was closed before: it is dropped
    kNothingUsable,  // nobody of the append's pipeline has anything of use: it is again as before the append
  };
  Kind kind = Kind::kRecovered;
  uint64_t length = 0;
  friend bool operator==(const RecoveryOutcome&, const RecoveryOutcome&) = default;
};
inline RecoveryOutcome Recovered(uint64_t length) { return {.length = length}; }

// Soft-state consequences of an operation, applied only after its batch is durable. Losing them at a crash is harmless:
// everything here is derived again from stored state.
struct LeaseOpened {
  std::string holder;
  InodeId inode;
};
struct LeaseClosed {
  std::string holder;
  InodeId inode;
};
// An attempt to recover the last block of this file began: OpenRecord::recovery was set anew.
struct RecoveryStarted {
  InodeId inode;
};
// A block's length was fixed: its replicas count from now on.
struct BlockCommitted {
  protocol::Block block;
  uint32_t replicas_wanted = 0;
};
// A block record was removed: its replicas may be deleted.
struct BlockFreed {
  protocol::Block block;
};
// A committed block is to have another number of replicas.
struct BlockReplicasChanged {
  BlockId block;
};
using Effect =
    std::variant<LeaseOpened, LeaseClosed, RecoveryStarted, BlockCommitted, BlockFreed, BlockReplicasChanged>;

// Whether a lease holder has been silent too long; LeaseManager implements it. Core thread only.
class LeaseView {
 public:
  virtual ~LeaseView() = default;
  // Beyond the soft limit another client's create, append or truncate has the file taken from its holder.
  virtual bool SoftLimitExpired(const std::string& holder) const = 0;
};

// What the reaper knows of its work beyond what is stored (the `detached` family), which is all it needs; this only
// spares it looking for work among the remains of what it has removed: until a compaction, a scan passes every deleted
// record, so that a scan from the start for each deletion costs the square of their number. May be dropped at any time.
struct ReapBacklog {
  static constexpr size_t kMostRoots = 100'000;  // bounds memory; what is beyond is found by scanning

  std::deque<InodeId> roots;  // deleted; one that is not stored was reaped already, or its deletion was undone
  std::optional<std::string> scan_from = "";  // deleted roots not named above have this key or a later one; or none
  // Where the children of one root go on that did not fit into a step.
  InodeId partial_root;
  std::string next_child;

  void Add(InodeId root) {
    if (roots.size() < kMostRoots) {
      roots.push_back(root);
    } else {
      scan_from = "";
    }
  }
};

// Given to every Decide function. Ids, time and random choices are fixed here and carried in what is written.
struct OperationContext {
  MetaBatch* batch;    // reads see earlier operations of the batch; writes go here
  Counters* counters;  // ids are taken here; the executor stores them with the batch
  std::vector<Effect>* effects;
  const CoreSettings* settings;
  const NamespaceInfo* info;
  const ReplicaView* replicas;
  const LeaseView* leases;
  Random* random;
  WallTime now;         // chosen once per batch; >= every earlier commit's time while clocks agree
  CommitNumber commit;  // of the batch being built
  // Open files met on the way whose holder is beyond the soft limit: the executor takes them with ReleaseExpired, in
  // operations of their own, also when this one is refused. May be nullptr: then only the hard limit ends leases.
  std::vector<LeaseClosed>* overdue = nullptr;
  // Of an operation that is refused with kNotReplicatedYet: the file of whose replicas it waits, if the request does
  // not name it by id.
  InodeId waits_for;
  // Told of what is deleted. May be nullptr: then the reaper scans.
  ReapBacklog* reap = nullptr;
};

}  // namespace dolmen::namenode
