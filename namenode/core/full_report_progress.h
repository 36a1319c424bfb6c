// How far the full reports of one storage have come in its datanode's present session, and which evidence about a
// single replica outranks which.
//
// Incremental reports and slices of a full report travel apart, so a slice may have been built before an incremental
// report that was handled earlier. Rounds settle who is right: evidence from an incremental report can be contradicted
// only by the second round seen after it, because a slice of the present round, and of one that has just begun, could
// be older than the report. A slice's own evidence can be contradicted by any later round. A replica that really
// vanished without a word is thus noticed one round later; a good one is never dropped by a late message.
//
// This relies on the datanode to build a round only after every slice of the one before was answered or given up.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace dolmen::namenode {

// One thread only. Bounded by kMaxGaps.
class FullReportProgress {
 public:
  static constexpr uint64_t kLastId = (uint64_t{1} << 63) - 1;
  static constexpr size_t kMaxGaps = 4096;  // chosen: far more than slices ever arrive out of order

  // A new session: nothing was reported yet.
  void Reset() { *this = FullReportProgress(); }

  // Call before handling a slice. False: it belongs to a round that a later one has overtaken; ignore it.
  bool Begin(uint64_t round) {
    if (latest_.has_value() && round < *latest_) return false;
    if (latest_.has_value() && round == *latest_) return true;
    latest_ = round;
    ++rounds_seen_;
    covered_.clear();
    return true;
  }

  // Call after a slice of the round given to Begin was handled. True: this made the round complete, that is, the ids
  // [0, 2^63) were covered without a gap, in whatever order and however often the slices came.
  bool Cover(uint64_t first, uint64_t last) {
    const bool was_complete = RoundIsComplete();
    auto after = covered_.upper_bound(first);
    if (after != covered_.begin()) {
      auto before = std::prev(after);
      if (before->second == UINT64_MAX || before->second + 1 >= first) {
        first = before->first;
        if (before->second > last) last = before->second;
        covered_.erase(before);
      }
    }
    while (after != covered_.end() && (last == UINT64_MAX || after->first <= last + 1)) {
      if (after->second > last) last = after->second;
      after = covered_.erase(after);
    }
    covered_.emplace(first, last);
    if (covered_.size() > kMaxGaps) covered_.clear();  // this round stays incomplete; the next one will do
    if (was_complete || !RoundIsComplete()) return false;
    complete_ = true;
    return true;
  }

  // A full round was complete at some time in this session.
  bool complete() const { return complete_; }

  // What to remember with a replica: only a round after this many can contradict it.
  uint64_t IncrementalEvidence() const { return rounds_seen_ + 1; }
  uint64_t SliceEvidence() const { return rounds_seen_; }
  // May the present round contradict evidence gathered in this session?
  bool Contradicts(uint64_t evidence) const { return rounds_seen_ > evidence; }

 private:
  bool RoundIsComplete() const {
    return covered_.size() == 1 && covered_.begin()->first == 0 && covered_.begin()->second >= kLastId;
  }

  std::optional<uint64_t> latest_;
  uint64_t rounds_seen_ = 0;
  bool complete_ = false;
  std::map<uint64_t, uint64_t> covered_;  // of the latest round: first id -> last id, merged
};

}  // namespace dolmen::namenode
