// Replicas of blocks that this namespace, as far as it knows, never had: after a restore from a backup, or from a
// damaged datanode. They are never deleted and never trusted; they are counted, and the operator is told (F-055,
// F-150).
//
// A block id at or above the counters was never handed out. After a restore the counters are raised above what the
// datanodes have seen; the ids jumped over are remembered here. They are stored with the namespace, in the commit that
// raises the counters: the counters alone would make old data look like deleted blocks.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/ids.h"
#include "common/protocol/types.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/notice.h"

namespace dolmen::namenode {

// One thread only. Bounded.
class Quarantine {
 public:
  static constexpr size_t kMaxRanges = 1000;
  static constexpr size_t kMaxRemembered = 10'000;  // replicas told of once each
  static constexpr size_t kMaxNotices = 100;        // between two calls of TakeNotices

  // The stored ranges. Errors: kDamaged, kIo.
  absl::Status Recover(const MetaReader& published);
  // Ids in [first, end) were never handed out by this namespace's history. Overlaps are merged; beyond kMaxRanges the
  // two that are closest become one. Then ids between them are covered, too, which were handed out: replicas that a
  // datanode brings back long after their file was deleted may stay. Nothing else changes for them.
  // The range counts from now on. Returns what makes it durable: to be committed together with the counters above it,
  // in the order of the calls. If that never happens, the namenode starts again without both.
  [[nodiscard]] std::vector<MetaWrite> AddRange(BlockId first, BlockId end);
  bool Covers(BlockId block) const;

  // A report listed a replica that is left alone.
  void Saw(const DatanodeUuid& datanode, uint32_t storage, const protocol::Block& replica, const std::string& why);

  uint64_t sightings() const { return sightings_; }  // every listing of one, since the start
  std::vector<Notice> TakeNotices() { return std::exchange(notices_, {}); }

 private:
  void JoinClosest(std::vector<MetaWrite>* writes);

  std::map<BlockId, BlockId> ranges_;  // first -> end
  std::set<std::pair<uint32_t, BlockId>> told_;
  uint64_t sightings_ = 0;
  std::vector<Notice> notices_;
};

}  // namespace dolmen::namenode
