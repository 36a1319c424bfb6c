// Which blocks need copies, most endangered first, and which copies are under way.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/protocol/types.h"

namespace dolmen::namenode {

// HDFS's priorities.
enum class CopyLevel : uint8_t {
  kHighest = 0,      // one good replica left
  kVeryLow = 1,      // less than a third of what is wanted
  kLow = 2,          // fewer than wanted
  kBadlyPlaced = 3,  // enough, but on one rack of several
  kMissing = 4,      // none left: nothing to copy from
};
inline constexpr int kCopyLevels = 5;

// One thread only. Bounded: when full, a more urgent block takes the place of a less urgent one, others are left out
// (the background scan finds them again).
class CopyQueue {
 public:
  explicit CopyQueue(size_t bound) : bound_(bound) {}

  void Put(BlockId block, CopyLevel level, bool wants_one);
  void Erase(BlockId block);
  bool Contains(BlockId block) const { return levels_of_.contains(block); }
  // Up to `limit` blocks of the level, going round so that every block gets its turn.
  std::vector<BlockId> NextOf(CopyLevel level, size_t limit);

  size_t size() const { return levels_of_.size(); }
  size_t size(CopyLevel level) const { return levels_[static_cast<size_t>(level)].size(); }
  // Missing blocks that were to have one replica only.
  size_t missing_with_one() const { return missing_with_one_; }
  // Since the last call: blocks were left out because the queue was full.
  bool TakeOverflowed() { return std::exchange(overflowed_, false); }

 private:
  struct Place {
    CopyLevel level;
    bool wants_one;
  };

  const size_t bound_;
  std::array<std::set<BlockId>, kCopyLevels> levels_;
  std::array<BlockId, kCopyLevels> bookmarks_;
  std::map<BlockId, Place> levels_of_;
  size_t missing_with_one_ = 0;
  bool overflowed_ = false;
};

// Copies that were ordered, until they arrive or their time is up. At most one order per block at a time. One thread
// only. Bounded by what the sources may do at a time.
class PendingCopies {
 public:
  // What one datanode was to send and nobody has confirmed.
  struct Load {
    size_t blocks = 0;
    uint64_t bytes = 0;
  };

  void Add(const protocol::Block& block, const DatanodeUuid& source, std::set<DatanodeUuid> targets,
           MonotonicTime deadline);
  bool Contains(BlockId block) const { return copies_.contains(block); }
  bool Expects(BlockId block, const DatanodeUuid& target) const;
  // A finalized replica was reported there.
  void Arrived(BlockId block, const DatanodeUuid& target);
  void Forget(BlockId block);
  Load LoadOf(const DatanodeUuid& source) const;
  // The orders whose time is up, or that involve a datanode which is gone, end; their blocks, to be looked at again.
  std::vector<BlockId> Expire(MonotonicTime now);
  std::vector<BlockId> OnDatanodeLost(const DatanodeUuid& datanode);
  size_t size() const { return copies_.size(); }

 private:
  struct Copy {
    DatanodeUuid source;
    uint64_t bytes = 0;
    std::set<DatanodeUuid> targets;  // not arrived yet
    MonotonicTime deadline;
  };
  std::map<BlockId, Copy> copies_;
  std::map<DatanodeUuid, Load> loads_;  // by source
};

}  // namespace dolmen::namenode
