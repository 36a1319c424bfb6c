// Replicas that are to go, by storage. An entry lives from the decision until a report says that the replica is gone
// (or still there although the order must have been carried out), so that a replica under sentence is never again
// counted as one that keeps a block safe, whatever became of the command.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/protocol/types.h"

namespace dolmen::namenode {

// One thread only. Bounded: `bound` entries in all, a quarter of them (at least kLeastPerStorage) per storage.
class DeletionQueue {
 public:
  static constexpr size_t kLeastPerStorage = 1000;

  enum class Why : uint8_t {
    kNoSuchBlock,  // no such block any more
    kExcess,       // more good replicas than wanted
    kBad,          // corrupt, of another length, of an older stamp, or left being written
    kMakeRoom,     // bad, and in the way of a new copy on the only datanode left for it
  };
  struct Entry {
    protocol::Block block;  // the replica as it was reported, with the highest stamp
    Why why = Why::kNoSuchBlock;
    bool ordered = false;        // a command went out at least once
    MonotonicTime ordered_at{};  // the last time
    uint64_t session = 0;        // of the storage at that time
    // Put off after it was ordered: the command must have been carried out or lost by now, and is not repeated. Only
    // then can a later full report prove that the replica survived.
    bool held = false;
    uint64_t evidence = 0;  // when held; see FullReportProgress; within that session
  };

  explicit DeletionQueue(size_t bound) : bound_(bound) {}

  // Adds, or changes the reason of, an entry. Of what is said of one replica the highest stamp counts: stamps never fall
  // on a datanode, and it refuses to delete under an older one. False: full; the caller finds the replica again later.
  bool Add(uint32_t storage, const protocol::Block& replica, Why why);
  // nullptr: not under sentence. Valid until the next change.
  const Entry* Find(uint32_t storage, BlockId block) const;
  bool Contains(uint32_t storage, BlockId block) const { return Find(storage, block) != nullptr; }
  void Remove(uint32_t storage, BlockId block);
  // Blocks in [first, last] with an entry, ascending.
  std::vector<BlockId> InRange(uint32_t storage, BlockId first, BlockId last) const;
  // Its datanode is dead or the storage failed. What was only planned is forgotten; what was ordered stays in mind,
  // except of blocks that do not exist.
  void OnStorageLost(uint32_t storage);
  void OnStorageDropped(uint32_t storage);

  // Storages with entries that wait to be ordered, ascending.
  std::vector<uint32_t> WaitingStorages() const;
  // The first `limit` of them by block id.
  std::vector<BlockId> Waiting(uint32_t storage, size_t limit) const;
  // The command goes out now.
  void MarkOrdered(uint32_t storage, BlockId block, MonotonicTime now, uint64_t session);
  // It was ordered, but should not be ordered again now: look again later.
  void Hold(uint32_t storage, BlockId block, MonotonicTime now, uint64_t session, uint64_t evidence);
  // Entries ordered or held before `time` wait again.
  void WakeBefore(MonotonicTime time);

  size_t size() const { return size_; }

 private:
  struct PerStorage {
    std::map<BlockId, Entry> entries;
    std::set<BlockId> waiting;
  };
  struct Sleeping {
    MonotonicTime since;
    uint32_t storage;
    BlockId block;
  };
  Entry* Mutable(uint32_t storage, BlockId block);
  void Sleep(uint32_t storage, Entry* entry, MonotonicTime now);

  const size_t bound_;
  std::map<uint32_t, PerStorage> storages_;
  size_t size_ = 0;                // entries in all
  std::deque<Sleeping> sleeping_;  // by time; may name entries that are gone or slept again since
};

}  // namespace dolmen::namenode
