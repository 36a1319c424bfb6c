// Which volume takes a new replica.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "common/ids.h"
#include "common/random.h"

namespace dolmen::datanode {

struct VolumeCandidate {
  StorageId storage;
  bool online = true;
  uint64_t remaining_bytes = 0;
  uint32_t writers = 0;  // streams writing to it now
};

// One thread only.
class VolumeChooser {
 public:
  // Volumes whose free space differs by more are split into two groups (HDFS's available-space policy, 10 GB).
  static constexpr uint64_t kBalancedWithin = uint64_t{10} << 30;
  // Of 4 replicas this many go to the emptier group (HDFS: 0.75).
  static constexpr uint64_t kEmptierOfFour = 3;

  explicit VolumeChooser(Random random) : random_(random) {}

  // `wanted` if it is online and has room; otherwise, among the volumes with room for `bytes`, one of the emptier group
  // three times out of four, and in the group the one with the fewest writers, in turn.
  // Error: kNoSpace, naming each volume and why it was refused. Same inputs and random state give the same answer.
  absl::StatusOr<StorageId> Choose(std::span<const VolumeCandidate> volumes, const StorageId& wanted, uint64_t bytes);

 private:
  Random random_;
  uint64_t turn_ = 0;
};

}  // namespace dolmen::datanode
