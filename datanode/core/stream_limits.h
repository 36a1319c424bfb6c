// How many streams run on each volume and on the node: full means busy, never a queue (DESIGN: no deadlock by
// construction).
#pragma once

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "common/ids.h"

namespace dolmen::datanode {

enum class StreamKind : uint8_t { kWrite, kRead, kTransfer, kRelay };

struct StreamLimitOptions {
  uint32_t writers_per_volume = 128;
  uint32_t readers_per_volume = 512;
  uint32_t transfers = 4;          // copies to other datanodes, of the whole node
  uint32_t relays = 128;           // calls passed on to other datanodes, of the whole node (chosen)
  uint32_t streams_in_all = 4096;  // HDFS: dfs.datanode.max.transfer.threads
};

// Externally synchronised.
class StreamLimits {
 public:
  explicit StreamLimits(const StreamLimitOptions& options) : options_(options) {}

  // Counts one stream, or answers kBusy naming the limit. Each OK is followed by one Release with the same arguments.
  // `storage` is of no matter to relays.
  absl::Status Acquire(StreamKind kind, const StorageId& storage);
  void Release(StreamKind kind, const StorageId& storage);

  uint32_t writers(const StorageId& storage) const;
  uint32_t streams() const { return streams_; }
  uint32_t transfers() const { return transfers_; }

 private:
  struct Counts {
    uint32_t writers = 0;
    uint32_t readers = 0;
  };
  StreamLimitOptions options_;
  std::map<StorageId, Counts> volumes_;
  uint32_t streams_ = 0;
  uint32_t transfers_ = 0;
  uint32_t relays_ = 0;
};

}  // namespace dolmen::datanode
