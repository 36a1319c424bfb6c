// HDFS's default placement: the first replica on the writer's host, the second on another rack, the third on the rack
// of the second, the rest anywhere, with a most per rack. Source: HDFS Architecture, "Replica Placement", and its
// default policy. Departures: loaded and promised-away datanodes are avoided first and used when that leaves too few;
// stale ones only when a block had fewer than kSufficientReplicas without them, since one that hangs holds a write up
// and its replica can be made later; storages are drawn by free space.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/random.h"
#include "namenode/core/datanode_registry.h"
#include "namenode/core/replica_view.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// Bytes promised to storages for blocks that have not shown up in their reports yet. A help for spreading, so losing or
// overcounting some is harmless: what was promised before the last two Rolls is forgotten. One thread only. Bounded by
// the number of storages.
class ScheduledSpace {
 public:
  void Add(uint32_t storage, uint64_t bytes);
  // One promised replica arrived.
  void Arrived(uint32_t storage);
  void Roll();
  uint64_t Of(uint32_t storage) const;

 private:
  struct Promised {
    uint64_t count = 0;
    uint64_t bytes = 0;
  };
  std::map<uint32_t, Promised> newer_;
  std::map<uint32_t, Promised> older_;
};

// Racks that the replicas of a block have to be on, at least, in a cluster of so many: HDFS's rule.
inline uint32_t RacksWanted(uint32_t replicas, size_t racks_in_cluster) {
  return replicas < 2 || racks_in_cluster < 2 ? 1 : 2;
}

struct PlacementTarget {
  uint32_t storage = 0;
  protocol::ReplicaLocation location;
};

// Pure: same registry state, request and random state give the same answer. One thread only.
class PlacementPolicy {
 public:
  // A datanode is too loaded above twice the average of streams, but never below this many (chosen), so that the noise
  // of a small or idle cluster refuses nobody.
  static constexpr double kLoadFactor = 2.0;
  static constexpr double kLoadFloor = 64;
  // With so many replicas on datanodes that answer, or with min_replication if that is more, a write does not wait for
  // one that is silent (chosen).
  static constexpr uint32_t kSufficientReplicas = 2;
  // The error names at most this many datanodes one by one; the rest are counted by reason.
  static constexpr size_t kMaxListed = 100;

  PlacementPolicy(const CoreSettings* settings, const DatanodeRegistry* registry, const ScheduledSpace* scheduled)
      : settings_(*settings), registry_(*registry), scheduled_(*scheduled) {}

  // Chooses 1..wanted targets in pipeline order (each next one near the one before, beginning at the writer).
  // `request.existing` with two or more entries is seen as holding the first replicas in that order, so that copies of
  // an existing block complete the same pattern.
  // Errors: kNoDatanodes when not one datanode can take a replica, in HDFS's words and with every datanode's reason;
  // kBusy instead while datanodes may still come back after a start of the namenode.
  absl::StatusOr<std::vector<PlacementTarget>> Choose(const TargetRequest& request, Random& random) const;

 private:
  enum class Refusal : uint8_t {
    kNone,
    kDead,
    kExcluded,
    kExisting,
    kFailed,  // all its storages
    kNoSpace,
    kRackFull,
    kStale,
    kLoaded,
    kPromised,  // its space is promised to other blocks
  };
  // Each takes what the one before refused.
  enum class Pass : uint8_t { kBest, kBusyToo, kSilentToo };
  struct State;  // of one Choose

  Refusal Check(const Datanode& datanode, const State& state) const;
  std::string Describe(const Datanode& datanode, Refusal refusal, const State& state) const;
  std::vector<uint32_t> FittingStorages(const Datanode& datanode, const State& state) const;
  bool Take(const Datanode& datanode, State* state) const;
  // Takes one acceptable datanode at random.
  bool TakeFrom(const std::vector<const Datanode*>& nodes, State* state) const;
  bool TakeOutside(const std::string& rack, State* state) const;
  bool TakeOnRack(const std::string& rack, State* state) const;
  bool TakeAnywhere(State* state) const;
  // Until so many are chosen in all, or nobody is left.
  void Fill(size_t count, State* state) const;
  absl::Status NoDatanodes(const State& state) const;

  const CoreSettings& settings_;
  const DatanodeRegistry& registry_;
  const ScheduledSpace& scheduled_;
};

}  // namespace dolmen::namenode
