// Copies that the namenode ordered and that wait for their turn: it orders many small blocks at a time, the datanode
// sends a few at once.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "common/clock.h"
#include "common/protocol/datanode_namenode.h"

namespace dolmen::datanode {

// Externally synchronised. Bounded by kMost; what does not fit, or waits too long, is lost, and the namenode decides
// again.
class CopyBacklog {
 public:
  // More than the namenode orders at a time (twice its copies_per_datanode).
  static constexpr size_t kMost = 256;
  // The namenode has given an older order up (pending_copy_timeout), so that its targets may be wrong by now.
  static constexpr Duration kLongestWait = std::chrono::seconds(60);

  // Takes the place of an earlier order for the same block. False: full.
  bool Put(protocol::CopyReplicaCommand command, MonotonicTime now);
  // The oldest order that is not too old.
  std::optional<protocol::CopyReplicaCommand> Take(MonotonicTime now);
  void Clear() { waiting_.clear(); }
  size_t size() const { return waiting_.size(); }

 private:
  struct Waiting {
    protocol::CopyReplicaCommand command;
    MonotonicTime since;
  };
  std::deque<Waiting> waiting_;
};

}  // namespace dolmen::datanode
