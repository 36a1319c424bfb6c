// What a storage directory holds when the datanode starts. Finishes what a crash interrupted, cuts replicas that were
// being written to what can be verified, and never deletes what it cannot explain: that goes to quarantine/.
//
//   found                                          becomes
//   both files in finalized/, lengths agree        finalized
//   both files in finalized/, lengths differ       corrupt (reported; deleted only when the namenode says so)
//   both files, header unreadable or of another    quarantine
//   one in finalized/, the other in being_written/
//     or temporary/ (finalize interrupted, or      finalized if the whole replica verifies or its slot says that all of
//     an append before its first byte)             it was synced; else as before finalizing
//   one in trash/, the other anywhere              both in trash/ (delete interrupted)
//   both in being_written/                         being written, not open; length: what verifies; quarantine if synced
//                                                  bytes do not
//   one file alone, without data                   removed (create interrupted)
//   one file alone otherwise, unknown names        quarantine
//   anything left in temporary/                    removed
//   trash/                                         kept for a new grace time
//
// May be interrupted at any step and run again: the outcome is the same (F-031).
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "datanode/storage/volume.h"

namespace dolmen::datanode {

enum class ScannedState : uint8_t { kFinalized, kBeingWritten, kCorrupt };
struct ScannedReplica {
  protocol::Block block;
  ScannedState state = ScannedState::kFinalized;
};
struct TrashedReplica {
  BlockId block;
  GenerationStamp stamp;
  friend auto operator<=>(const TrashedReplica&, const TrashedReplica&) = default;
};

struct VolumeContents {
  std::vector<ScannedReplica> replicas;  // by block id
  std::vector<TrashedReplica> trash;
};

// Error: the first disk call that failed, or what in the directory cannot be right.
absl::StatusOr<VolumeContents> ScanVolume(Volume& volume);

}  // namespace dolmen::datanode
